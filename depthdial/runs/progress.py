"""Progress where a person watches: a line for each job that works, and the stages of the whole run; else nothing.

Several jobs share a terminal. Each takes a line below the one on which everything else is written, by locks that die
with it; what comes between clears the lines, and the next step draws them anew.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TextIO

PROGRESS = logging.getLogger("depthdial.progress")
"""Where steps are reported; its records go to no file."""
MOST_LINES = 32
BETWEEN_S = 0.25
"""Least time between two drawings of a line."""
CLEAR = "\r\x1b[J"
"""To the left edge, and nothing from there to the end of the screen."""


def report_step(what: str, done: int, total: int) -> None:
    """Report that ``done`` of ``total`` things are done; ``what`` is their name in the singular."""
    PROGRESS.debug("%s %d of %d", what, done, total, extra={"done": done, "total": total})


@contextlib.contextmanager
def part_of(what: str, done: int, size: int, total: int) -> Iterator[None]:
    """Steps that are reported within are parts of a longer work: of ``size`` of its ``total`` things, after ``done``.

    So a job has one line and one time that is left, though what it calls reports steps of its own.
    """

    def of_the_whole(record: logging.LogRecord) -> bool:
        so_far = done + size * record.__dict__["done"] // record.__dict__["total"]
        record.msg, record.args = "%s %d of %d", (what, so_far, total)
        record.__dict__.update(done=so_far, total=total)
        return True

    PROGRESS.addFilter(of_the_whole)
    try:
        yield
    finally:
        PROGRESS.removeFilter(of_the_whole)


class JobLine(logging.Handler):
    """The line of one job: its name, its last step, and the time that is left at the pace so far."""

    def __init__(self, name: str, stream: TextIO, folder: Path) -> None:
        super().__init__(logging.DEBUG)
        self.name_of_job, self._stream = name, stream
        self._line = _free_line(folder)
        self._began: tuple[float, int] | None = None
        self._drawn = -BETWEEN_S

    def emit(self, record: logging.LogRecord) -> None:
        """Draw the line anew, if it is time to."""
        now, done, total = time.monotonic(), record.__dict__["done"], record.__dict__["total"]
        if self._began is None or done <= self._began[1]:
            self._began = (now, done)
        last = done >= total
        if not last and now - self._drawn < BETWEEN_S:
            return
        self._drawn = now
        began, first = self._began
        left = "" if done == first else f", {clock((now - began) / (done - first) * (total - done))} left"
        text = "" if last else f"{self.name_of_job}: {record.getMessage()}{left}"
        width = shutil.get_terminal_size().columns - 1
        down, up = "\n" * self._line, f"\x1b[{self._line}A" if self._line else ""
        with contextlib.suppress(OSError, ValueError):  # the terminal has gone: the work goes on
            self._stream.write(f"{down}\r\x1b[K{text[:width]}\r{up}")
            self._stream.flush()


class StageLine(logging.Handler):
    """Of the whole run: clears the lines of jobs before Snakemake writes, and counts stages as jobs finish.

    ``stages`` names the stage of every job by its number, in the order of the stages.
    """

    def __init__(self, stages: Mapping[int, str], stream: TextIO) -> None:
        super().__init__(logging.DEBUG)
        self._stages, self._stream = stages, stream
        self._total, self._done = Counter(stages.values()), Counter[str]()

    def emit(self, record: logging.LogRecord) -> None:
        """Clear; where a job has finished, say how far every stage is."""
        self._stream.write(CLEAR)
        if str(getattr(record, "event", "")).rpartition(".")[2].lower() == "job_finished":
            self._done[self._stages.get(getattr(record, "job_id", -1), "")] += 1
            self._stream.write(f"{self.text()}\n")
        self._stream.flush()

    def text(self) -> str:
        """The stages in one line."""
        return ", ".join(f"{stage} {self._done[stage]} of {total}" for stage, total in self._total.items())


def show_progress(log: Path, stream: TextIO = sys.stderr) -> bool:
    """Give the job of ``log`` (logs/experiment/rule/names.log) a line, if someone watches; whether it has one."""
    if not stream.isatty():
        return False
    PROGRESS.setLevel(logging.DEBUG)
    PROGRESS.propagate = False
    PROGRESS.handlers = [JobLine(f"{log.parent.name} {log.stem}", stream, log.parents[1])]
    return True


def clock(seconds: float) -> str:
    """A duration as h:mm:ss or m:ss."""
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def _free_line(folder: Path) -> int:
    """The first line that no other job holds; 0 where files cannot be locked. Held until this process ends."""
    for line in range(MOST_LINES):
        handle = os.open(folder / f".line{line}.lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
        except OSError:
            return 0
        else:
            return line
    return 0
