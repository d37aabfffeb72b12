"""Recorded traces: every bad cell is named with its line and column, at the start; what is sound is read rightly."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from depthdial.config.recorded import MOST_STEPS, read_recorded
from depthdial.config.schedule import Grid, Schedule
from depthdial.config.study import check_trace
from depthdial.config.traces import TraceSpec
from depthdial.errors import ConfigError
from depthdial.schedule.conditions import estimate
from depthdial.schedule.grid import make_grid
from depthdial.traces.trace import generate, read_csv
from tests.rigs.fuzz import fuzz

HEADER = "time_s,arrivals,deadline_ms\n"


def written(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "mine.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("time_s,arrivals\n0,1\n", "one of the columns deadline_ms and deadline_relative, and not both"),
        ("time_s,deadline_ms\n0,1\n", "lacks the columns arrivals"),
        ("time_s,arrivals,deadline_ms,wind\n0,1,1,1\n", "unknown columns 'wind'; a trace has time_s, "),
        ("time_s;arrivals;deadline_ms\n0;1;1\n", "separate cells by commas"),
        ("time_s,arrivals,arrivals,deadline_ms\n0,1,1,1\n", "the columns arrivals are there more than once"),
        (HEADER, "there are no steps"),
        ("", "lacks the columns time_s, arrivals"),
        (HEADER + "0,1,nan\n", "line 2, column deadline_ms: 'nan' is no number; nothing was recorded there"),
        (HEADER + "0,1,inf\n", "line 2, column deadline_ms: 'inf' is no number"),
        (HEADER + "0,1,1\n60,-2,1\n", "line 3, column arrivals: '-2' is not between 0 and 1e"),
        (HEADER + "60,1,1\n0,1,1\n", "line 3, column time_s: 0 does not come after 60"),
        (HEADER + "0,1,1\n0,1,1\n", "line 3, column time_s: 0 does not come after 0"),
        (HEADER + "0,1,1,7\n", "line 2: 4 cells, the header names 3 columns; if numbers have decimal commas"),
        (HEADER + "0,1\n", "line 2: 2 cells, the header names 3 columns"),
        (HEADER + '0,"2,5",1\n', "line 2, column arrivals: '2,5' is no number; write a decimal point"),
        (HEADER + "0,1,2 ms\n", r"column deadline_ms: '2 ms' is no number; leave out the unit.*\(deadline_ms\)"),
        (HEADER + "0,-,1\n", "column arrivals: '-' is no number; nothing was recorded there"),
        (HEADER + "0,,1\n", "column arrivals: '' is no number; nothing was recorded there"),
        (HEADER + "2024-01-01T00:00:00,1,1\n", "column time_s: .* is no number; write seconds since the beginning"),
        (HEADER + "12:30:00,1,1\n", "column time_s: .* is no number; write seconds since the beginning"),
        (HEADER + "٣,1,1\n", "column time_s: '٣' is no number"),
        (HEADER + "1_0,1,1\n", "column time_s: '1_0' is no number"),
        (HEADER + "0,1,1e300\n", "line 2, column deadline_ms: '1e300' is not between"),
        (HEADER + "0,1," + "9" * 200_000, "not readable as CSV|is not between"),
        (HEADER + '0,"1,1\n', "line [23]"),
        (HEADER.encode() + b"0,1,\xb5\n", "line 2: cannot be read .byte 0xB5 is no UTF-8.; save it as UTF-8"),
        (HEADER.encode("utf-16"), "it is UTF-16.; save it as UTF-8"),
    ],
)
def test_bad_recordings_are_refused(text: str | bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        read_recorded(written(tmp_path, text))
    assert "mine.csv" in str(caught.value)
    assert len(str(caught.value)) < 2000


def test_all_bad_cells_are_named_at_once_and_many_are_counted(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"(?s)line 2, column arrivals.*line 4, column deadline_ms"):
        read_recorded(written(tmp_path, HEADER + "0,x,1\n60,1,1\n120,1,y\n"))
    with pytest.raises(ConfigError, match=r"\.\.\. and \d+ more") as caught:
        read_recorded(written(tmp_path, HEADER + "x,y,z\n" * 50_000))
    assert len(str(caught.value).splitlines()) < 30


def test_more_steps_than_are_read_and_traces_that_teach_nothing_are_refused(tmp_path: Path, monkeypatch) -> None:
    path = written(tmp_path, HEADER + "0,0,1\n60,0,1\n120,0,1\n")
    check_trace(path, learnt_from=False)
    with pytest.raises(ConfigError, match="no arrivals at all, so nothing can be learnt from it; take it out of"):
        check_trace(path, learnt_from=True)
    monkeypatch.setattr("depthdial.config.recorded.MOST_STEPS", 2)
    with pytest.raises(ConfigError, match="line 4: more than 2 steps; average several into one"):
        read_recorded(path)


def test_absent_and_endless_recordings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_recorded(tmp_path / "none.csv")
    rows = "".join(f"{second},1,1\n" for second in range(MOST_STEPS + 1))
    with pytest.raises(ConfigError, match="line 100002: more than 100,000 steps"):
        read_recorded(written(tmp_path, HEADER + rows))


def test_marks_blanks_comments_and_line_ends_do_not_matter(tmp_path: Path) -> None:
    plain = read_recorded(written(tmp_path, HEADER + "0,10,2\n60,20,1.5\n"))
    other = (
        "\ufeff# a comment, with comma\r\n\r\n time_s , arrivals ,deadline_ms\r\n0, 10 ,2.0\r\n#x\r\n60,2e1,+1.5\r\n"
    )
    assert read_recorded(written(tmp_path, other)) == plain
    assert plain["slowdown"] == [1.0, 1.0]


def test_uneven_steps_have_their_own_rates(tmp_path: Path) -> None:
    """An event log: 1 Hz all the time, rows at 0, 1, 2, 3 s and then every 60 s."""
    times = [0, 1, 2, 3, *range(60, 1200, 60)]
    counts = [*np.diff(times), 60]
    rows = "".join(f"{time},{count},0.5\n" for time, count in zip(times, counts, strict=True))
    trace = read_csv(written(tmp_path, HEADER + rows), 0.5)
    assert trace.rate_hz.tolist() == [1.0] * len(times)
    assert trace.duration_s == 1200
    grid = Grid(reserve=(), rate_hz=(1.5, 100.0), deadline_relative=(0.5,))
    plan = Schedule(grid=grid, smoothing=1e-6)
    weight = estimate(plan, make_grid(grid, 0.5), (trace,)).weight
    assert weight[0] == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"duration_h": 1e300}, "duration_h"),
        ({"step_s": 1e-9}, "step_s"),
        ({"duration_h": 1000, "step_s": 1}, "duration_h, step_s: 3,600,000 steps, at most 100,000"),
        ({"load": {"mean_hz": 1e308}}, "mean_hz"),
        ({"load": {"mean_hz": 0.001}}, r"load.mean_hz: 0.06 arrivals in a step of 60 s at most; lengthen step_s"),
        ({"load": {"noise": 50}}, "noise"),
        ({"deadlines": [{"value": 1e-300}]}, "deadlines.0.value"),
        ({"deadlines": [{"value": 1, "dwell_s": 0.01}]}, "a regime dwells 0.01 s, a step takes 60 s"),
        ({"background": 1}, "background"),
    ],
)
def test_senseless_specifications_are_refused(spec: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TraceSpec.model_validate(spec)


@pytest.mark.slow
def test_the_longest_trace_with_the_shortest_regimes_is_drawn_soon() -> None:
    regimes = ({"value": 1, "dwell_s": 1}, {"value": 2, "dwell_s": 1})
    spec = TraceSpec.model_validate({"duration_h": 27, "step_s": 1, "deadlines": regimes})
    trace = generate("long", spec, 1.0, 0)
    assert trace.steps == 97_200
    assert set(trace.deadline_ms) == {1.0, 2.0}


CELLS = st.one_of(
    st.floats().map(str), st.integers().map(str), st.text(max_size=8), st.sampled_from(["", "#", '"', "1;2", "2 ms"])
)


@given(st.lists(st.lists(CELLS, max_size=6), max_size=8), st.binary(max_size=20), st.integers(0, 300))
@fuzz
def test_any_recording_is_read_or_refused_by_name(rows: list[list[str]], noise: bytes, at: int) -> None:
    text = (HEADER + "\n".join(",".join(row) for row in rows)).encode("utf-8", "surrogatepass")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mine.csv"
        path.write_bytes(text[:at] + noise + text[at:])
        try:
            trace = read_csv(path, 0.5)
        except ConfigError as error:
            told = str(error)
        else:
            told = str(path)
            assert np.isfinite(trace.rate_hz).all()
            assert (trace.step_s > 0).all()
    assert str(path) in told
    assert len(told.splitlines()) < 30
