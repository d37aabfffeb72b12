"""Locks that die with the process that holds them, whatever killed it: flock on files that nobody removes."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import socket
from pathlib import Path

logger = logging.getLogger(__name__)


def release_stale_locks(folder: Path) -> int:
    """Remove the locks that a killed Snakemake left in ``folder`` (``.snakemake``); call once per head process.

    Snakemake's lock files name no process, so that after ``kill -9`` a run stops until someone unlocks by
    hand. A head that is alive holds a shared lock here; only where nobody does are the files stale. The
    descriptor returned must stay open as long as the head lives. Two live heads still exclude each other
    by Snakemake's own lock.
    """
    folder.mkdir(exist_ok=True)
    handle = os.open(folder / "alive.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for path in (folder / "locks").glob("*.lock"):
            path.unlink(missing_ok=True)
    except OSError:  # another head lives, or the file system has no flock: Snakemake's own message then
        pass
    with contextlib.suppress(OSError):
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return handle


def hold_job_lock(path: Path) -> int:
    """Wait until no other process runs the job that ``path`` stands for, then hold it until this process ends.

    A job outlives its head that was killed; the next head starts the same job again. This lock keeps the
    two from writing the same outputs at the same time. The file is never removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(handle, 200).decode(errors="replace").strip()
        logger.warning("this job is already run by process %s; waiting for it to end", holder or "unknown")
        fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError as error:
        logger.warning("%s: this file system has no locks (%s); not protected against a second process", path, error)
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"{os.getpid()} on {socket.gethostname()}\n".encode(), 0)
    return handle
