"""Slurm jobs that outlive the Snakemake that submitted them."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import time
from pathlib import Path


def cancel_orphans(folder: Path, alive: int, timeout_s: float = 120) -> list[str]:
    """Cancel the jobs that a dead head left for ``folder``; call before the first job of a new head is submitted.

    They would do the same work again, and one that starts late would remove outputs that others read
    by then. ``alive`` is the descriptor of ``release_stale_locks``: where another head lives nothing is
    cancelled. A job is Snakemake's if its comment names a rule. Returns the names of the jobs, after
    Slurm has ended them or ``timeout_s`` seconds have passed.
    """
    if shutil.which("squeue") is None or not _alone(alive):
        return []
    orphans = _jobs(folder)
    if orphans:
        subprocess.run(["scancel", *orphans], capture_output=True, check=False, timeout=60)
    end = time.monotonic() + timeout_s
    while orphans and set(orphans) & set(_jobs(folder)) and time.monotonic() < end:
        time.sleep(1)
    return orphans


def _alone(alive: int) -> bool:
    """Whether no other head holds its shared lock."""
    try:
        fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    fcntl.flock(alive, fcntl.LOCK_SH)
    return True


def _jobs(folder: Path) -> list[str]:
    """Unfinished jobs of this user that Snakemake submitted from ``folder``; none where Slurm does not answer."""
    command = ["squeue", "--me", "--noheader", "--format=%A|%k|%Z"]
    try:
        rows = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        return []
    found = [row.split("|", 2) for row in rows if row.count("|") >= 2]
    return [name for name, comment, place in found if comment.startswith("rule_") and Path(place) == folder]
