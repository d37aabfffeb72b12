"""Serve a trace for real: IREE runs the configuration that the selector chooses, deadlines and energy are accounted."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from depthdial.errors import ScheduleError
from depthdial.replay.policies import Scheduled
from depthdial.replay.simulate import MILLI, Moment, plan, replay
from depthdial.schedule.choices import Choice
from depthdial.schedule.table import ScheduleTable
from depthdial.traces.trace import Trace

Run = Callable[[str, int], object]
"""Runs the named configuration on the input of that number, to its end."""


@dataclass(frozen=True)
class Served:
    """``steps``: a row per step; ``summary``: sums over them. See docs/schedule.md."""

    steps: pd.DataFrame
    summary: dict[str, float | str]


def timed_ms(run: Run, name: str, number: int) -> float:
    """Milliseconds of one inference."""
    start = time.perf_counter_ns()
    run(name, number)
    return (time.perf_counter_ns() - start) * 1e-6


def measure_in_process(run: Run, names: Sequence[str], runs: int) -> dict[str, NDArray[np.float64]]:
    """Latencies in ms of some configurations as this process calls them, interleaved; shape (runs,) each."""
    for name in names:
        run(name, 0)
    found: dict[str, list[float]] = {name: [] for name in names}
    for number in range(runs):
        for name in names:
            found[name].append(timed_ms(run, name, number))
    return {name: np.array(values) for name, values in found.items()}


def with_latencies(choices: Sequence[Choice], measured: dict[str, NDArray[np.float64]]) -> tuple[Choice, ...]:
    """The configurations with their quantiles replaced by those of other latencies, in ms."""
    found = []
    for choice in choices:
        median, p90, p99 = np.quantile(measured[choice.name], [0.5, 0.9, 0.99]).tolist()
        found.append(replace(choice, latency_ms=median, latency_p90_ms=p90, latency_p99_ms=p99))
    return tuple(found)


def predict(
    table: ScheduleTable, trace: Trace, measured: dict[str, NDArray[np.float64]], seed: int = 0
) -> dict[str, float]:
    """What the replay says that serving a trace gives, with latencies measured as this process calls them."""
    listed = [
        Choice(c.name, table.network, c.accuracy, 1.0, 1.0, 1.0, c.energy_mj, table.energy_source, c.resident_bytes)
        for c in table.configurations
    ]
    choices = with_latencies(listed, measured)
    policy = Scheduled(table, [choice.name for choice in choices], feedback=True)
    free = Trace(**{**trace.__dict__, "slowdown": np.ones(trace.steps)})
    run = replay(policy, free, choices, charge_for(table, trace), plan([trace]), seed=seed)
    served = float(run.served.sum())
    return {
        "miss_rate": 1 - float(run.met.sum()) / max(served, 1.0),
        "expected_correct": float(run.value.sum()),
        "energy_j": float(run.energy_j.sum()),
    }


def charge_for(table: ScheduleTable, trace: Trace) -> float:
    """Joules that the plan of a schedule has for as many inferences as a trace asks for."""
    return table.charge_j * float(trace.arrivals.sum()) / table.inferences


def serve(run: Run, table: ScheduleTable, trace: Trace, *, per_step: int = 1) -> Served:
    """Make every decision of a trace and run ``per_step`` inferences with each choice.

    The trace's arrivals scale the energy; its slowdown is not imposed, since the machine has its own. The charge
    is the share of the schedule's that the plan has for as many inferences.
    Raises ScheduleError if a trace asks for nothing.
    """
    arrivals = trace.arrivals
    if per_step < 1 or arrivals.sum() <= 0:
        raise ScheduleError(f"{trace.name}: {per_step} inferences per step and {arrivals.sum():g} arrivals: no work")
    configurations = table.configurations
    names = [configuration.name for configuration in configurations]
    policy = Scheduled(table, names, feedback=True)
    for name in names:
        run(name, 0)
    charge = charge_for(table, trace)
    left, number, rows = charge, 0, []
    remaining = np.interp(trace.elapsed, np.linspace(0, 1, 101), plan([trace]))
    rate = trace.rate_hz
    for t in range(trace.steps):
        left -= float(trace.background[t]) * charge
        if left <= 0:
            break
        deadline = float(trace.deadline_ms[t])
        moment = Moment(float(trace.time_s[t]), deadline, float(rate[t]), left, charge, float(remaining[t]))
        chosen = policy.choose(moment)
        latencies = [timed_ms(run, names[chosen], number + i) for i in range(per_step)]
        number += per_step
        policy.observe(chosen, np.array(latencies))
        energy = min(left, float(arrivals[t]) * configurations[chosen].energy_mj * MILLI)
        left -= energy
        rows.append(
            {
                "time_s": moment.time_s,
                "arrivals": float(arrivals[t]),
                "deadline_ms": deadline,
                "configuration": names[chosen],
                "latency_ms": float(np.median(latencies)),
                "met": float(np.mean(np.array(latencies) <= deadline)),
                "energy_j": energy,
                "battery": left / charge,
            }
        )
    steps = pd.DataFrame(rows)
    return Served(steps, summarise(steps, table, trace.name, number))


def summarise(steps: pd.DataFrame, table: ScheduleTable, name: str, inferences: int) -> dict[str, float | str]:
    """The sums over a served trace."""
    accuracy = {configuration.name: configuration.accuracy for configuration in table.configurations}
    correct = steps["configuration"].map(accuracy).astype(float) * steps["met"] * steps["arrivals"]
    total = float(steps["arrivals"].sum())
    return {
        "trace": name,
        "decisions": len(steps),
        "inferences": inferences,
        "arrivals": total,
        "miss_rate": 1 - float((steps["met"] * steps["arrivals"]).sum()) / max(total, 1.0),
        "expected_correct": float(correct.sum()),
        "energy_j": float(steps["energy_j"].sum()),
        "switches": int((steps["configuration"] != steps["configuration"].shift()).sum()) - 1,
        "energy_source": table.energy_source,
    }
