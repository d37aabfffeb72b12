"""What a machine lacks for a run, said before anything starts: a job that finds it out says less, and later."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

LEAST_BYTES, LEAST_FILES = 200 << 20, 1000
"""Free space and inodes below which a run would soon break off."""


def lacks(executable: str, folder: Path, environment: Mapping[str, str]) -> list[str]:
    """A sentence for each thing that keeps a run in ``folder`` by this Python from working; none if all is well."""
    temporary = Path(environment.get("TMPDIR") or "/tmp")
    home = Path(environment.get("XDG_CACHE_HOME") or environment.get("HOME") or "/")
    problems = [
        _blank(
            Path(executable), "Python", "Snakemake starts it by its path, unquoted: move the checkout and its .venv"
        ),
        _blank(temporary, "TMPDIR", "IREE's linker cannot work there: set TMPDIR to a folder without one"),
        *_unusable(temporary, "TMPDIR", "set TMPDIR to a folder that can be written"),
        *_unusable(folder, "the working folder", "run where you may write"),
        *_unusable(_there(folder / ".snakemake"), "Snakemake's own folder", "make it writable, or remove it"),
        _unwritable(_there(home), "HOME", f"Snakemake keeps a cache below {home}: set XDG_CACHE_HOME or HOME"),
    ]
    return [problem for problem in dict.fromkeys(problems) if problem]


def _there(path: Path) -> Path:
    """The path, or the nearest folder above it that exists: there it would be made."""
    return next(one for one in (path, *path.parents) if one.exists())


def _blank(path: Path, what: str, remedy: str) -> str:
    return f"{what}: {path} has a blank in its path. {remedy}." if any(map(str.isspace, str(path))) else ""


def _unwritable(path: Path, what: str, remedy: str) -> str:
    if not path.is_dir():
        return f"{what}: {path} is no folder. {remedy[0].upper()}{remedy[1:]}."
    if not os.access(path, os.W_OK | os.X_OK):
        return f"{what}: {path} cannot be written. {remedy[0].upper()}{remedy[1:]}."
    return ""


def _unusable(path: Path, what: str, remedy: str) -> list[str]:
    """What is wrong with a folder that a run writes to: it is none, read-only, or full."""
    if problem := _unwritable(path, what, remedy):
        return [problem]
    disk = os.statvfs(path)
    free = disk.f_bavail * disk.f_frsize
    problems = []
    if free < LEAST_BYTES:
        problems.append(f"{what}: {free >> 20} MiB are free in {path}, {LEAST_BYTES >> 20} are needed. Make room.")
    if disk.f_files and disk.f_favail < LEAST_FILES:
        problems.append(f"{what}: {disk.f_favail} inodes are free in {path}, {LEAST_FILES} are needed. Remove files.")
    return problems
