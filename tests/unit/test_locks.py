"""Locks of heads and of jobs, held by other processes that are killed."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from depthdial.runs.locks import Head, release_stale_locks

ROOT = Path(__file__).resolve().parents[2]


class Process:
    """A Python process that runs ``code``, says a word, and lives until it is killed."""

    def __init__(self, code: str) -> None:
        program = f"import sys\nfrom pathlib import Path\n{code}\nprint('ready', flush=True)\nsys.stdin.read()"
        self._process = subprocess.Popen(
            [sys.executable, "-c", program], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._ready = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self._process.stdout
        if self._process.stdout.readline() == "ready\n":
            self._ready.set()

    def ready(self, timeout_s: float = 30) -> bool:
        """Whether the code has ended within so many seconds."""
        return self._ready.wait(timeout_s)

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The ``.snakemake`` of a run that left a lock."""
    (tmp_path / ".snakemake/locks").mkdir(parents=True)
    (tmp_path / ".snakemake/locks/0.output.lock").touch()
    return tmp_path / ".snakemake"


@pytest.fixture
def other_head(folder: Path) -> Iterator[Process]:
    process = Process(
        f"from depthdial.runs.locks import Head\nhead = Head(Path({str(folder)!r}))\nwith head.alone(): pass"
    )
    assert process.ready()
    yield process
    process.kill()


def seems_dead(folder: Path) -> bool:
    """Whether no head holds its lock."""
    handle = os.open(folder / "alive.lock", os.O_RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True


def test_locks_of_a_dead_head_are_removed(folder: Path) -> None:
    head = release_stale_locks(folder, patience_s=0)
    assert not list((folder / "locks").iterdir())
    assert not seems_dead(folder), head


def test_locks_of_a_live_head_are_kept_until_it_is_killed(folder: Path, other_head: Process) -> None:
    head = release_stale_locks(folder, patience_s=0.5)
    assert list((folder / "locks").iterdir())
    other_head.kill()
    with head.alone(patience_s=0) as alone:
        assert alone
    release_stale_locks(folder, patience_s=0)
    assert list((folder / "locks").iterdir()), "the first of our heads lives"
    del head


def test_a_process_that_ends_soon_is_waited_for(folder: Path, other_head: Process) -> None:
    threading.Timer(0.5, other_head.kill).start()
    release_stale_locks(folder, patience_s=30)
    assert not list((folder / "locks").iterdir())


def test_a_head_that_was_not_alone_still_counts_as_alive(folder: Path, other_head: Process) -> None:
    head = Head(folder)
    with head.alone(patience_s=0) as alone:
        assert not alone
    other_head.kill()
    assert not seems_dead(folder)


def test_a_head_that_starts_while_another_judges_counts_as_alive_afterwards(folder: Path) -> None:
    head = Head(folder)
    with head.alone(patience_s=0) as alone:
        assert alone
        starting = Process(
            "from depthdial.runs.locks import release_stale_locks\n"
            f"head = release_stale_locks(Path({str(folder)!r}), 0)"
        )
        assert not starting.ready(1), "it would take this one for dead"
    assert starting.ready()
    with head.alone(patience_s=0) as alone:
        assert not alone
    starting.kill()


def test_the_second_of_two_processes_of_a_job_waits_until_the_first_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "logs/train.log"
    job = f"from depthdial.runs.logs import configure_logging\nconfigure_logging({str(log)!r})\nimport logging\n"
    first = Process(job + "logging.info('the first')")
    assert first.ready()
    second = Process(job + "logging.info('the second')")
    assert not second.ready(1)
    assert "the first" in log.read_text(), "the log of a job that runs is left to it"
    first.kill()
    assert second.ready()
    assert "the first" not in log.read_text()
    assert "the second" in log.read_text()
    second.kill()
