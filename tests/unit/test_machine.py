"""What a machine lacks is said in a sentence before anything starts."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from depthdial import cli
from depthdial.runs import machine
from depthdial.runs.machine import lacks


def test_a_machine_that_lacks_nothing(tmp_path: Path) -> None:
    assert lacks(sys.executable, tmp_path, {"TMPDIR": str(tmp_path), "HOME": str(tmp_path)}) == []


def test_a_blank_in_a_path_is_told(tmp_path: Path) -> None:
    place = tmp_path / "my files"
    place.mkdir()
    told = lacks(f"{place}/.venv/bin/python", tmp_path, {"TMPDIR": str(place), "HOME": str(tmp_path)})
    assert [text.split(":")[0] for text in told] == ["Python", "TMPDIR"]
    assert "move the checkout and its .venv" in told[0]


def test_folders_that_are_not_there_are_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    told = lacks(sys.executable, tmp_path, {"TMPDIR": f"{tmp_path}/gone", "HOME": f"{tmp_path}/file"})
    assert told == [
        f"TMPDIR: {tmp_path}/gone is no folder. Set TMPDIR to a folder that can be written.",
        f"HOME: {tmp_path}/file is no folder. "
        f"Snakemake keeps a cache below {tmp_path}/file: set XDG_CACHE_HOME or HOME.",
    ]


def test_a_home_that_would_be_made_is_enough(tmp_path: Path) -> None:
    assert lacks(sys.executable, tmp_path, {"TMPDIR": str(tmp_path), "HOME": f"{tmp_path}/a/b"}) == []


def test_folders_that_cannot_be_written_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".snakemake").mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != ".snakemake")
    (told,) = lacks(sys.executable, tmp_path, {"TMPDIR": str(tmp_path), "HOME": str(tmp_path)})
    assert told == f"Snakemake's own folder: {tmp_path}/.snakemake cannot be written. Make it writable, or remove it."


@pytest.mark.parametrize(
    ("bytes_free", "files_free", "text"), [(1, 10**6, "0 MiB are free"), (10**9, 3, "3 inodes are")]
)
def test_a_full_disk_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bytes_free: int, files_free: int, text: str
) -> None:
    disk = SimpleNamespace(f_bavail=bytes_free, f_frsize=1, f_files=10**6, f_favail=files_free)
    monkeypatch.setattr(machine.os, "statvfs", lambda path: disk)
    told = lacks(sys.executable, tmp_path, {"TMPDIR": str(tmp_path), "HOME": str(tmp_path)})
    assert told
    assert all(text in sentence for sentence in told)


def test_the_command_says_what_is_lacking_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["depthdial", "machine"])
    monkeypatch.setattr(cli, "lacks", lambda executable, folder, environment: ["HOME: it is full.", "TMPDIR: gone."])
    with pytest.raises(SystemExit, match="1"):
        cli.main()
    assert capsys.readouterr().err == "depthdial: this machine is not ready:\n  HOME: it is full.\n  TMPDIR: gone.\n"
