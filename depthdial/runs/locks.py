"""Locks that die with the process that holds them, whatever killed it: flock on files that nobody removes."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

logger = logging.getLogger(__name__)

PATIENCE_S = 15.0
"""How long a head waits for another process of its folder to end: ``--summary`` or ``--unlock`` do so in seconds."""


class Head:
    """A Snakemake that started in ``folder`` (``.snakemake``); while this process lives, other heads know of it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._alive = _open(folder / "alive.lock")  # shared by all heads that live
        self._judging = _open(folder / "judging.lock")  # held by the one that asks whether it is alone

    @contextlib.contextmanager
    def alone(self, patience_s: float = PATIENCE_S) -> Iterator[bool]:
        """Whether no other head lives, or none does after ``patience_s`` seconds; none starts inside the block.

        Linux gives up a shared lock before it tries to make it exclusive, and does not give it back when it
        fails. Hence the second lock: nobody else can judge while this head seems dead.
        """
        _lock(self._judging, fcntl.LOCK_EX)
        try:
            yield _exclusive(self._alive, patience_s)
        finally:
            _lock(self._alive, fcntl.LOCK_SH)
            _lock(self._judging, fcntl.LOCK_UN)


def release_stale_locks(folder: Path, patience_s: float = PATIENCE_S) -> Head:
    """Remove the locks that a killed Snakemake left in ``folder`` (``.snakemake``); call once per head process.

    Snakemake's lock files name no process, so that after ``kill -9`` a run stops until someone unlocks by
    hand. Where no other head lives the files are stale. Two live heads still exclude each other by
    Snakemake's own lock, as all do on file systems without flock.
    """
    head = Head(folder)
    locks = folder / "locks"
    with head.alone(patience_s if any(locks.glob("*.lock")) else 0) as alone:
        for path in locks.glob("*.lock") if alone else ():
            path.unlink(missing_ok=True)
    return head


def hold_job_lock(path: Path) -> int:
    """Wait until no other process runs the job that ``path`` stands for, then hold it until this process ends.

    A job outlives its head that was killed; the next head starts the same job again. This lock keeps the
    two from writing the same outputs at the same time. The file is never removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = _open(path)
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


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)


def _lock(handle: int, how: int) -> None:
    """Lock a file, however long that takes; a file system without locks says so at once and is left without."""
    with contextlib.suppress(OSError):
        fcntl.flock(handle, how)


def _exclusive(handle: int, patience_s: float) -> bool:
    """Whether a file could be locked for this process alone within so many seconds."""
    end = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= end:
                return False
            time.sleep(0.2)
        except OSError:  # a file system without locks
            return False
