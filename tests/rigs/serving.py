"""Real inference on a small bundle, beside the replay of the same trace."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from depthdial.config.schedule import Grid, Schedule
from depthdial.config.traces import Regime, TraceSpec
from depthdial.deploy.runtime import Bundle
from depthdial.replay.inputs import network_inputs
from depthdial.replay.serve import Run, measure_in_process, predict, serve, with_latencies
from depthdial.schedule.build import describe, state_problem
from depthdial.schedule.choices import Choice
from depthdial.schedule.solve import solve
from depthdial.schedule.table import ScheduleTable
from depthdial.traces.trace import generate, read_traces
from tests.rigs.bundles import make_bundle

TRAINING = ["config/traces/drain.yaml", "config/traces/bursty.yaml"]
KEYS = ("energy_j", "expected_correct", "miss_rate")


@dataclass(frozen=True)
class Agreement:
    """The same sums of every real run and of every replay."""

    real: dict[str, list[float]]
    replayed: dict[str, list[float]]


def small_schedule(folder: Path) -> tuple[Bundle, ScheduleTable, Run]:
    """A bundle of three configurations, and its schedule from latencies as this process measures them."""
    bundle = Bundle(make_bundle(folder / "bundle", masks=("111111", "111000", "100000"), per_block=60))
    inputs = network_inputs(bundle)

    def run(name: str, number: int) -> object:
        return bundle.logits(inputs[number % len(inputs)], name)

    guess = tuple(
        Choice(name, "dial", accuracy, 1.0, 1.0, 1.0, energy, "modelled", 0)
        for name, accuracy, energy in (("c00", 0.95, 3.0), ("c01", 0.9, 2.0), ("c02", 0.8, 1.0))
    )
    choices = with_latencies(guess, measure_in_process(run, ["c00", "c01", "c02"], 300))
    settings = Schedule(grid=Grid(reserve=(0.9, 1.0, 1.1)), resident=3, quantile="p90")
    problem = state_problem(settings, choices, read_traces(TRAINING, (0,), choices[0].latency("p90")))
    return bundle, describe(problem, solve(problem), settings, "here"), run


def serve_for_real(folder: Path, rounds: int, steps: int) -> Agreement:
    """Serve a trace ``rounds`` times; before and after each, measure and replay."""
    _, table, run = small_schedule(folder)
    spec = TraceSpec(deadlines=(Regime(value=1.6), Regime(value=0.8, dwell_s=600)))
    trace = generate("t", spec, table.full_latency_ms, 7).first(steps)
    names = [configuration.name for configuration in table.configurations]
    real: dict[str, list[float]] = {key: [] for key in KEYS}
    replayed: dict[str, list[float]] = {key: [] for key in KEYS}
    for seed in range(rounds):
        before = measure_in_process(run, names, 100)
        served = serve(run, table, trace, per_step=2)
        after = measure_in_process(run, names, 100)
        said = predict(table, trace, {n: np.concatenate([before[n], after[n]]) for n in names}, seed)
        for key in KEYS:
            real[key].append(float(served.summary[key]))
            replayed[key].append(said[key])
    return Agreement(real, replayed)
