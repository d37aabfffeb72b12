"""Progress is drawn for a person who watches, a line for each job, and nowhere else."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from depthdial.runs import progress
from depthdial.runs.progress import PROGRESS, JobLine, StageLine, clock, part_of, report_step, show_progress


class Terminal(io.StringIO):
    """What a person sees a job write."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _silent_again() -> Iterator[None]:
    yield
    PROGRESS.handlers, PROGRESS.propagate = [], True
    PROGRESS.setLevel(logging.NOTSET)


def watched(tmp_path: Path, name: str = "digits-net-seed0") -> Terminal:
    """A terminal on which the job of that name may draw."""
    log = tmp_path / "logs/digits/train" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    terminal = Terminal()
    assert show_progress(log, terminal)
    return terminal


def test_steps_are_drawn_in_one_line_with_the_time_that_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter(range(0, 100, 2))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(seconds)))
    terminal = watched(tmp_path)
    for done in (1, 2, 3):
        report_step("epoch", done, 40)
    drawn = terminal.getvalue()
    assert "train digits-net-seed0: epoch 1 of 40\r" in drawn
    assert "train digits-net-seed0: epoch 3 of 40, 1:14 left" in drawn
    assert "\n" not in drawn, "the first job's line is the one on which everything is written"


def test_the_last_step_clears_the_line(tmp_path: Path) -> None:
    terminal = watched(tmp_path)
    report_step("mask", 7, 7)
    assert terminal.getvalue() == "\r\x1b[K\r"


def test_quick_steps_are_not_all_drawn(tmp_path: Path) -> None:
    terminal = watched(tmp_path)
    for done in range(1, 1000):
        report_step("mask", done, 100_000)
    assert terminal.getvalue().count("mask") < 20


def test_jobs_that_share_a_terminal_have_lines_of_their_own(tmp_path: Path) -> None:
    first, second = (JobLine(name, Terminal(), tmp_path) for name in ("one", "two"))
    record = logging.makeLogRecord({"msg": "mask 1 of 2", "done": 1, "total": 2})
    first.emit(record)
    second.emit(record)
    assert re.fullmatch(r"\r\x1b\[Kone: mask 1 of 2\r", first._stream.getvalue())
    assert re.fullmatch(r"\n\r\x1b\[Ktwo: mask 1 of 2\r\x1b\[1A", second._stream.getvalue())


def test_steps_within_a_part_tell_of_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "BETWEEN_S", 0.0)
    terminal = watched(tmp_path)
    with part_of("block evaluation", 100, 50, 200):
        report_step("mask", 1, 2)
        report_step("mask", 2, 2)
    report_step("block evaluation", 160, 200)
    drawn = re.findall(r"seed0: (.*?)(?:, \d+:\d\d left)?\r", terminal.getvalue())
    assert drawn == [f"block evaluation {done} of 200" for done in (125, 150, 160)]


def test_nothing_is_drawn_where_nobody_watches(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    stream = io.StringIO()
    assert not show_progress(tmp_path / "logs/train/a.log", stream)
    with caplog.at_level(logging.INFO):
        report_step("epoch", 1, 2)
    assert stream.getvalue() == ""
    assert not caplog.records


def test_stages_are_counted_as_jobs_finish() -> None:
    terminal = Terminal()
    line = StageLine({1: "train", 2: "train", 3: "masks"}, terminal)
    line.emit(logging.makeLogRecord({"msg": "", "event": "LogEvent.JOB_STARTED", "job_id": 1}))
    assert terminal.getvalue() == "\r\x1b[J"
    line.emit(logging.makeLogRecord({"msg": "", "event": "LogEvent.JOB_FINISHED", "job_id": 1}))
    assert terminal.getvalue().endswith("train 1 of 2, masks 0 of 1\n")
    line.emit(logging.makeLogRecord({"msg": "", "event": "LogEvent.JOB_FINISHED", "job_id": 99}))
    assert terminal.getvalue().endswith("train 1 of 2, masks 0 of 1\n"), "a target has no stage"


def test_the_name_of_snakemakes_event_is_as_expected() -> None:
    from snakemake_interface_logger_plugins.common import LogEvent

    line = StageLine({5: "train"}, Terminal())
    line.emit(logging.makeLogRecord({"msg": "", "event": LogEvent.JOB_FINISHED, "job_id": 5}))
    assert line.text() == "train 1 of 1"


def test_durations_are_read_as_clocks() -> None:
    assert [clock(s) for s in (0, 59.6, 3599, 3661)] == ["0:00", "1:00", "59:59", "1:01:01"]
