"""Slurm jobs that outlive the Snakemake that submitted them."""

from __future__ import annotations

import contextlib
import logging
import shutil
import subprocess
import time
from pathlib import Path

from depthdial.errors import DepthDialError
from depthdial.runs.locks import PATIENCE_S, Head

logger = logging.getLogger(__name__)

COMMAND_S = 60.0
"""How long one command of Slurm may take."""


class SlurmError(DepthDialError):
    """Slurm does not do what a run needs of it."""


def cancel_orphans(
    folder: Path, head: Head, answer_s: float = 60, end_s: float = 120, patience_s: float = PATIENCE_S
) -> list[str]:
    """Cancel the jobs that a dead head left for ``folder``; call before the first job of a new head is submitted.

    They would do the same work again, and one that starts late would remove outputs that others read
    by then. Beside another head that lives for ``patience_s`` seconds nothing is cancelled. A job is
    Snakemake's if its comment names a rule. Returns the names of the jobs that Slurm has ended within
    ``end_s`` seconds, and warns of those that it has not. Raises SlurmError if Slurm does not answer for
    ``answer_s`` seconds.
    """
    if shutil.which("squeue") is None or not _jobs(folder, answer_s):
        return []
    with head.alone(patience_s) as alone:
        orphans = _jobs(folder, answer_s)
    if not alone:
        logger.warning("another run lives in this folder; its jobs, and those of earlier runs, are left alone")
        return []
    if orphans:
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):  # squeue says what has come of it
            subprocess.run(["scancel", *orphans], capture_output=True, check=False, timeout=COMMAND_S)
    left = _wait_for_the_end(folder, orphans, answer_s, end_s)
    if left:
        logger.warning(
            "%g s after scancel these jobs of an earlier run in this folder have not ended: %s", end_s, " ".join(left)
        )
    return [job for job in orphans if job not in left]


def _wait_for_the_end(folder: Path, jobs: list[str], answer_s: float, end_s: float) -> list[str]:
    """The jobs that Slurm has not ended after so many seconds."""
    end = time.monotonic() + end_s
    while left := sorted(set(jobs) & set(_jobs(folder, answer_s))):
        if time.monotonic() >= end:
            break
        time.sleep(1)
    return left


def _jobs(folder: Path, answer_s: float) -> list[str]:
    """Unfinished jobs of this user that Snakemake submitted from ``folder``."""
    rows = [row.split("|", 2) for row in _squeue(answer_s) if row.count("|") >= 2]
    return [name for name, comment, place in rows if comment.startswith("rule_") and Path(place) == folder]


def _squeue(answer_s: float) -> list[str]:
    """All unfinished jobs of this user: number, comment and folder. Raises SlurmError if Slurm does not answer."""
    command = ["squeue", "--me", "--noheader", "--format=%A|%k|%Z"]
    end = time.monotonic() + answer_s
    while True:
        try:
            return subprocess.run(
                command, capture_output=True, text=True, check=True, timeout=COMMAND_S
            ).stdout.splitlines()
        except (OSError, subprocess.SubprocessError) as error:
            if time.monotonic() >= end:
                said = getattr(error, "stderr", None) or error
                raise SlurmError(
                    f"squeue does not answer ({str(said).strip()}), so jobs of an earlier run in this folder may still "
                    "run; run the same command again when Slurm answers"
                ) from None
            time.sleep(2)
