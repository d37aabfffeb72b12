"""Traces, replay, the oracle, real serving."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from depthdial.cli import app
from depthdial.config.schedule import Grid, Schedule
from depthdial.config.traces import Load, Regime, Traces, TraceSpec
from depthdial.errors import ConfigError, ScheduleError
from depthdial.figures.style import Style
from depthdial.figures.trace import draw
from depthdial.replay.compare import compare
from depthdial.replay.oracle import plan_oracle, rewards
from depthdial.replay.policies import Fixed, Greedy, Scheduled
from depthdial.replay.serve import serve
from depthdial.replay.simulate import plan, replay
from depthdial.replay.tables import cell_table, curve_table
from depthdial.schedule.build import build_schedule
from depthdial.schedule.choices import Choice, choices_of
from depthdial.schedule.table import ScheduleTable, write_schedule
from depthdial.traces.trace import Trace, generate, read_csv, read_traces
from tests.rigs.schedules import latency_table, scores_of
from workflow_scripts import build_schedule as build_script
from workflow_scripts import replay_traces as replay_script

SMALL = Schedule(grid=Grid(reserve=(0.8, 0.95, 1.0, 1.05, 1.2)), resident=3)
TRACES = ["config/traces/drain.yaml", "config/traces/bursty.yaml"]
DIAL = "resnet20-sd"


@pytest.fixture(scope="module")
def table() -> ScheduleTable:
    return build_schedule(latency_table(), DIAL, "here", SMALL, TRACES, (0,))


def small_trace(steps: int = 6, seed: int = 0) -> Trace:
    random = np.random.default_rng(seed)
    return Trace(
        "small",
        np.arange(steps) * 60.0,
        random.integers(50, 150, steps).astype(float),
        random.uniform(0.2, 0.7, steps),
        random.uniform(1.0, 1.4, steps),
        np.zeros(steps),
    )


# ------------------------------------------------------------------------------------------ traces


def test_traces_are_reproducible_and_differ_by_seed() -> None:
    spec = TraceSpec(
        load=Load(mean_hz=2, swing=0.5, noise=0.1),
        deadlines=(Regime(value=1.5), Regime(value=0.8, dwell_s=300)),
        slowdowns=(Regime(value=1.0), Regime(value=2.0)),
        background=0.2,
    )
    one, same, other = (generate("t", spec, 0.5, seed) for seed in (1, 1, 2))
    assert np.array_equal(one.deadline_ms, same.deadline_ms)
    assert not np.array_equal(one.deadline_ms, other.deadline_ms)
    assert set(np.round(one.deadline_ms, 9)) == {0.75, 0.4}
    assert set(one.slowdown) == {1.0, 2.0}
    assert one.arrivals.sum() == pytest.approx(2 * 86400, rel=0.05)
    assert one.background.sum() == pytest.approx(0.2)
    noon, midnight = one.arrivals[700:740].mean(), one.arrivals[:40].mean()
    assert noon > 2 * midnight


def test_all_default_traces_are_there() -> None:
    names = {path.stem for path in Path("config/traces").iterdir()}
    assert {*Traces().estimate, *Traces().held_out} <= names
    traces = read_traces(sorted(map(str, Path("config/traces").iterdir())), (0,), 0.5)
    assert all(np.isfinite(trace.deadline_ms).all() and trace.steps > 100 for trace in traces)


def test_recorded_trace_is_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("# a comment\ntime_s,arrivals,deadline_relative,slowdown\n0,10,2.0,1.5\n60,20,1.0,1\n")
    trace = read_csv(path, 0.5)
    assert trace.deadline_ms.tolist() == [1.0, 0.5]
    assert trace.slowdown.tolist() == [1.5, 1.0]
    assert trace.duration_s == 120


def test_held_out_seeds_are_kept_apart() -> None:
    with pytest.raises(ValueError, match=r"share \[1\]; held-out traces are kept apart"):
        Traces(estimate_seeds=(0, 1), held_out_seeds=(1,))


# ------------------------------------------------------------------------------------------ simulation


def test_shares_in_time_follow_the_measured_quantiles() -> None:
    choice = Choice("c00", "net", 0.9, 1.0, 1.2, 1.5, 1.0, "rapl", 0)
    limits = np.array([0.7, 0.8, 1.0, 1.2, 1.5, 1.8, 2.0])
    assert choice.met(limits) == pytest.approx([0, 0, 0.5, 0.9, 0.99, 1, 1])
    assert choice.drawn(np.array([0.5, 0.9, 0.99])) == pytest.approx([1.0, 1.2, 1.5])
    flat = Choice("c00", "net", 0.9, 1.0, 1.0, 1.0, 1.0, "rapl", 0)
    assert flat.met(np.array([0.999, 1.001])).tolist() == [0, 1]


def test_energy_is_conserved_and_an_empty_battery_serves_nothing() -> None:
    choices = choices_of(latency_table(), DIAL)
    trace = small_trace(10)
    full = float(trace.arrivals.sum()) * choices[0].energy_mj * 1e-3
    run = replay(Fixed("full", 0), trace, choices, full / 2, plan([trace]))
    assert run.energy_j.sum() == pytest.approx(full / 2)
    assert run.served.sum() == pytest.approx(trace.arrivals.sum() / 2)
    assert run.choice[-1] == -1
    assert run.left_j[-1] == 0
    drained = Trace(**{**trace.__dict__, "background": np.full(10, 0.1)})
    assert replay(Fixed("full", 0), drained, choices, full, plan([trace])).energy_j.sum() < full


def test_switches_cost_energy() -> None:
    choices = choices_of(latency_table(), DIAL)
    trace = small_trace(10)
    greedy = Greedy(choices, range(len(choices)), "p99")
    free = replay(greedy, trace, choices, 1e3, plan([trace]))
    dear = replay(greedy, trace, choices, 1e3, plan([trace]), switch_energy_mj=7.0)
    assert free.switches > 0
    assert dear.energy_j.sum() - free.energy_j.sum() == pytest.approx(7e-3 * free.switches)


@pytest.mark.parametrize("seed", range(6))
def test_oracle_is_the_best_of_all_paths(seed: int) -> None:
    choices = choices_of(latency_table(3), DIAL)
    trace = small_trace(6, seed)
    reward, cost = rewards(trace, choices, range(3))
    charge = 0.6 * float(cost[:, 0].sum())
    best = max(
        sum(reward[t, c] for t, c in enumerate(path) if c < 3)
        for path in product(range(4), repeat=6)
        if sum(cost[t, c] for t, c in enumerate(path) if c < 3) <= charge
    )
    oracle, bound = plan_oracle(trace, choices, range(3), charge)
    got = float(replay(oracle, trace, choices, charge, plan([trace])).value.sum())
    assert got == pytest.approx(best, rel=2e-3)
    assert got <= best + 1e-9 <= bound + 2e-9


def test_oracle_beats_every_policy_and_is_certified(table: ScheduleTable) -> None:
    held_out = read_traces(TRACES, (100,), table.full_latency_ms)
    training = read_traces(TRACES, (0,), table.full_latency_ms)
    result = compare(latency_table(), scores_of(latency_table()), table, SMALL, training, held_out)
    summary = result.summary
    assert set(summary["policy"]) == {
        "full network",
        "static resnet8",
        "static resnet14",
        *(name for name in summary["policy"] if name.startswith("best single")),
        "greedy",
        "schedule",
        "schedule with feedback",
        "oracle",
    }
    dial = summary[~summary["policy"].str.startswith("static")]
    assert (dial["val_regret"] >= -1e-4).all()
    assert (dial["correct"] < dial["val_accuracy_offered"] * dial["arrivals"]).all(), (
        "scored by the lower test accuracy"
    )
    assert (summary["oracle_gap"] < 1e-3).all()
    assert (summary["energy_j"] <= summary["charge_j"] * (1 + 1e-9)).all()
    feedback = summary[summary["policy"] == "schedule with feedback"]
    assert (feedback["regret"] < 0.02).all()
    assert (feedback["miss_rate"] < 0.01).all()
    assert len(result.steps) == len(summary) * 1440
    assert summary["energy_source"].eq("modelled").all()


def test_feedback_notices_a_slowdown(table: ScheduleTable) -> None:
    choices = choices_of(latency_table(), DIAL)
    names = [choice.name for choice in choices]
    trace = small_trace(200)
    slow = Trace(**{**trace.__dict__, "slowdown": np.full(200, 1.8), "deadline_ms": np.full(200, 0.33)})
    missed = {
        feedback: 1 - (run.met.sum() / run.served.sum())
        for feedback in (False, True)
        for run in [replay(Scheduled(table, names, feedback=feedback), slow, choices, 0.5, plan([trace]))]
    }
    assert missed[False] > 0.2
    assert missed[True] < 0.2 * missed[False]


# ------------------------------------------------------------------------------------------ files


def test_scripts_write_what_the_rules_promise(tmp_path: Path) -> None:
    measured = latency_table()
    measured.to_parquet(tmp_path / "latency.parquet")
    tested = measured.rename(columns={"configuration": "name", "val_accuracy": "test_accuracy"})
    tested.to_parquet(tmp_path / "test.parquet")
    settings = SMALL.model_dump(mode="json")
    build_script.main(
        SimpleNamespace(
            log=[str(tmp_path / "build.log")],
            input=SimpleNamespace(latency=tmp_path / "latency.parquet", traces=TRACES),
            output=SimpleNamespace(schedule=tmp_path / "schedule.json", header=tmp_path / "schedule.h"),
            wildcards=SimpleNamespace(network=DIAL, device="here"),
            params=SimpleNamespace(settings=settings, seeds=[0]),
        )
    )
    assert "dd_schedule" in (tmp_path / "schedule.h").read_text()
    outputs = {name: tmp_path / f"{name}.parquet" for name in ("summary", "steps", "curve", "cells")}
    replay_script.main(
        SimpleNamespace(
            log=[str(tmp_path / "replay.log")],
            input=SimpleNamespace(
                latency=tmp_path / "latency.parquet",
                schedule=tmp_path / "schedule.json",
                test=[tmp_path / "test.parquet"],
                estimate=TRACES,
                held_out=["config/traces/recorded.csv"],
            ),
            output=SimpleNamespace(**outputs),
            params=SimpleNamespace(settings=settings, estimate_seeds=[0], held_out_seeds=[100]),
        )
    )
    assert all(not pd.read_parquet(path).empty for path in outputs.values())


def test_tables_behind_the_figures(table: ScheduleTable) -> None:
    cells, curve = cell_table(table), curve_table(table)
    assert len(cells) == table.grid.size
    assert {"reserve", "deadline", "configuration", "unserved"} <= set(cells)
    assert curve["resident"].tolist() == [1, 2, 3, 4, 5, 6]
    assert curve["used"].sum() == 1


# ------------------------------------------------------------------------------------------ real


def test_serving_nothing_is_refused(table: ScheduleTable) -> None:
    idle = Trace(**{**small_trace().__dict__, "arrivals": np.zeros(6)})
    with pytest.raises(ScheduleError, match="no work"):
        serve(lambda name, number: None, table, idle)


@pytest.mark.parametrize("record", [".", "gone/served.parquet"])
def test_a_record_that_cannot_be_written_is_told_before_anything_is_served(
    table: ScheduleTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record: str
) -> None:
    write_schedule(tmp_path / "schedule.json", table)
    manifest = SimpleNamespace(schedule="schedule.json", network=table.network, named=lambda name: None)
    monkeypatch.setattr("depthdial.deploy.runtime.Bundle", lambda folder: SimpleNamespace(manifest=manifest))
    words = ["serve-trace", str(tmp_path), "--trace", TRACES[0], "--record", str(tmp_path / record)]
    refused = CliRunner().invoke(app, words)
    assert str(refused.exception).startswith(f"--record: {tmp_path / record} cannot be written; name a file")


def test_a_trace_that_was_not_replayed_is_drawn_by_no_figure(tmp_path: Path) -> None:
    pd.DataFrame({"trace": ["drain-100"], "energy_source": ["modelled"]}).to_parquet(tmp_path / "summary.parquet")
    given = {"steps": str(tmp_path / "steps.parquet"), "summary": str(tmp_path / "summary.parquet")}
    with pytest.raises(ConfigError, match=r"figures\.trace: no held-out trace 'calm'; there are drain-100"):
        draw(Style("A day", {}, 100), trace="calm", **given)


@pytest.mark.slow
def test_replay_and_real_inference_agree(tmp_path: Path) -> None:
    """IREE serves a trace several times; the replay, with latencies of the same process, is as near as they are."""
    from tests.rigs.serving import serve_for_real

    result = serve_for_real(tmp_path, rounds=4, steps=300)
    for key, floor in (("energy_j", 0.02), ("expected_correct", 0.02), ("miss_rate", 0.02)):
        real, said = np.array(result.real[key]), float(np.mean(result.replayed[key]))
        unit = 1.0 if key == "miss_rate" else float(real.mean())
        noise = 3 * float(np.hypot(real.std(ddof=1), np.std(result.replayed[key], ddof=1))) / unit
        assert abs(said - real.mean()) / unit <= noise + floor, (key, real, result.replayed[key])


@pytest.mark.slow
def test_serve_trace_command(tmp_path: Path) -> None:
    from tests.rigs.serving import small_schedule

    bundle, made, _ = small_schedule(tmp_path)
    write_schedule(tmp_path / "schedule.json", made)
    common = [
        "--trace",
        TRACES[0],
        "--schedule",
        str(tmp_path / "schedule.json"),
        "--record",
        str(tmp_path / "r.parquet"),
    ]
    done = CliRunner().invoke(app, ["serve-trace", str(bundle.folder), *common, "--steps", "20"])
    assert done.exit_code == 0, done.output
    assert "replayed" in done.output
    assert len(pd.read_parquet(tmp_path / "r.parquet")) == 20
    without = [word for word in common if "schedule" not in word]
    refused = CliRunner().invoke(app, ["serve-trace", str(bundle.folder), *without])
    assert "holds no schedule" in str(refused.exception)
    write_schedule(tmp_path / "schedule.json", made.model_copy(update={"network": "other"}))
    refused = CliRunner().invoke(app, ["serve-trace", str(bundle.folder), *common])
    assert "for other, the bundle holds dial" in str(refused.exception)


@pytest.mark.parametrize(
    "changes",
    [
        {"arrivals": 0.0},
        {"deadline_ms": 1e-6},
        {"background": 0.5},
        {"background": 1.0},
        {"slowdown": 1e6},
    ],
    ids=lambda changes: next(iter(changes)),
)
@pytest.mark.parametrize("steps", [1, 6])
def test_a_trace_in_which_nothing_succeeds_is_replayed(table: ScheduleTable, changes: dict, steps: int) -> None:
    trace = small_trace(steps)
    trace = replace(trace, **{name: np.full(steps, value) for name, value in changes.items()})
    measured = latency_table()
    result = compare(measured, scores_of(measured), table, SMALL, [small_trace()], [trace])
    numbers = result.summary[["regret", "val_regret", "accuracy_offered", "miss_rate", "oracle_gap"]]
    assert np.isfinite(numbers.to_numpy()).all()


def test_configurations_that_are_never_right_are_replayed(table: ScheduleTable) -> None:
    measured = latency_table().assign(val_accuracy=0.0)
    result = compare(measured, scores_of(measured), table, SMALL, [small_trace()], [small_trace()])
    assert np.isfinite(result.summary["val_regret"]).all()
