"""Solve times, regret, replay against reality: ``make bench-schedule``.

Writes docs/benchmarks/schedule.md; JSON on the last line. Policies are replayed with the latencies that the
default experiment measured, if it has run, else with made-up ones; the output says which.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from depthdial.config.schedule import Schedule
from depthdial.config.traces import Traces
from depthdial.errors import ScheduleError
from depthdial.files import write_text
from depthdial.replay.compare import compare
from depthdial.schedule import solve as solving
from depthdial.schedule.build import build_schedule
from depthdial.schedule.choices import read_latency_table
from depthdial.traces.trace import read_traces
from tests.rigs.schedules import latency_table, random_problem
from tests.rigs.serving import KEYS, serve_for_real

ROOT = Path(__file__).parents[1]
SIZES = ((4, 16, 8), (10, 20, 15), (10, 60, 30))
SEEDS = range(5)
FEEDBACK = "schedule with feedback"


def solve_times() -> pd.DataFrame:
    """Time and proven gap over sizes and seeds: K = 6, one budget for all cells, half of the costliest's excess."""
    rows = []
    for levels, deadlines, configurations in SIZES:
        for seed in SEEDS:
            problem = random_problem(seed, levels, deadlines, configurations, resident=6, budget=0.5, moves=True)
            solution = solving.solve(problem)
            rows.append(
                {
                    "cells": levels * deadlines,
                    "configurations": configurations,
                    "seed": seed,
                    "solve_s": solution.seconds,
                    "gap": solution.gap,
                }
            )
    return pd.DataFrame(rows)


def plain_model_s(seed: int, limit_s: float = 60.0) -> float:
    """Seconds that the one straightforward model takes on the largest size; ``limit_s`` if it was not proven."""
    levels, deadlines, configurations = SIZES[-1]
    problem = random_problem(seed, levels, deadlines, configurations, resident=6, budget=0.5)
    direct, solving.DIRECT = solving.DIRECT, 10**9
    start = time.perf_counter()
    try:
        solving.solve(problem, limit_s)
    except ScheduleError:
        return limit_s
    finally:
        solving.DIRECT = direct
    return time.perf_counter() - start


def measured_table() -> tuple[pd.DataFrame, str, str]:
    """The latency table to replay with, the dial's name, and where the table is from."""
    for path in sorted(ROOT.glob("results/digits/digits/*/bench/*/latency.parquet")):
        table = read_latency_table(path)
        noisy = "" if table["valid"].any() else ", a noisy machine"
        return table, path.parts[-4], f"measured ({path.parts[-2]}{noisy})"
    return latency_table(), "resnet20-sd", "made up"


def regret_table(table: pd.DataFrame, network: str) -> pd.DataFrame:
    """Every policy on every held-out trace of the default experiment."""
    settings, traces = Schedule(), Traces()

    def files(names: tuple[str, ...]) -> list[str]:
        found = [next((ROOT / traces.folder).glob(f"{name}.*")) for name in names]
        return [str(path) for path in found]

    schedule = build_schedule(table, network, "local", settings, files(traces.estimate), traces.estimate_seeds)
    full = schedule.full_latency_ms
    training = read_traces(files(traces.estimate), traces.estimate_seeds, full)
    held_out = read_traces(files(traces.held_out), traces.held_out_seeds, full)
    return compare(table, schedule, settings, training, held_out).summary


def main() -> None:
    """Measure, write the tables, print the keys."""
    times = solve_times()
    plain = [plain_model_s(seed) for seed in SEEDS[:2]]
    table, network, source = measured_table()
    summary = regret_table(table, network)
    with tempfile.TemporaryDirectory() as folder:
        real = serve_for_real(Path(folder), rounds=4, steps=300)
    write_text(ROOT / "docs/benchmarks/schedule.md", report(times, plain, summary, source, real.real, real.replayed))
    print((ROOT / "docs/benchmarks/schedule.md").read_text())  # noqa: T201
    largest = times[times["cells"] == SIZES[-1][0] * SIZES[-1][1]]
    ours = summary[summary["policy"] == FEEDBACK]
    result = {
        "solve_s_600x30": round(float(largest["solve_s"].max()), 3),
        "solve_s_600x30_median": round(float(largest["solve_s"].median()), 3),
        "gap_600x30": float(largest["gap"].max()),
        "plain_model_s_600x30": round(max(plain), 2),
        "regret": round(float(ours["regret"].mean()), 5),
        "regret_worst": round(float(ours["regret"].max()), 5),
        "misses": round(float(ours["miss_rate"].mean()), 5),
        "oracle_gap": float(summary["oracle_gap"].max()),
        "latencies": source,
        **{
            f"replay_off_{key}": round(
                abs(float(np.mean(real.replayed[key]) - np.mean(real.real[key])))
                / (1.0 if key == "miss_rate" else float(np.mean(real.real[key]))),
                4,
            )
            for key in KEYS
        },
    }
    print(json.dumps(result))  # noqa: T201


def report(
    times: pd.DataFrame,
    plain: list[float],
    summary: pd.DataFrame,
    source: str,
    real: dict[str, list[float]],
    replayed: dict[str, list[float]],
) -> str:
    """The tables as Markdown."""
    lines = [
        "# The schedule",
        "",
        f"Written by `make bench-schedule`. K = 6 and a global budget; {len(SEEDS)} random instances of each size, the",
        "switches minimised too. The one straightforward model (PuLP, HiGHS, the same tolerance) takes "
        f"{', '.join(f'{s:.1f}' for s in plain)} s on the first instances of 600 x 30.",
        "",
        "| cells | configurations | median / s | worst / s | worst gap |",
        "|---|---|---|---|---|",
    ]
    for (cells, configurations), rows in times.groupby(["cells", "configurations"]):
        seconds = rows["solve_s"]
        lines.append(
            f"| {cells} | {configurations} | {seconds.median():.2f} | {seconds.max():.2f} | {rows['gap'].max():.1e} |"
        )
    lines += [
        "",
        f"Policies on the held-out traces; latencies: {source}, energy: {summary['energy_source'].iloc[0]}.",
        "Regret counts inferences that are right and in time against the clairvoyant oracle over the dial's",
        "configurations.",
        "",
        "| policy | right and in time | misses | accuracy | inferences per charge | switches | regret | worst regret |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for policy, rows in summary.groupby("policy", sort=False):
        mean = rows.mean(numeric_only=True)
        lines.append(
            f"| {policy} | {mean['accuracy_offered']:.2%} | {mean['miss_rate']:.2%} | {mean['accuracy']:.2%} | "
            f"{mean['inferences_per_charge']:.0f} | {mean['switches']:.0f} | {mean['regret']:.2%} | "
            f"{rows['regret'].max():.2%} |"
        )
    lines += [
        "",
        "Real inference with IREE beside the replay of the same trace, with latencies measured in the same process",
        "(mean and standard deviation of the rounds):",
        "",
        "| | served | replayed |",
        "|---|---|---|",
    ]
    for key in KEYS:
        a, b = np.array(real[key]), np.array(replayed[key])
        lines.append(f"| {key} | {a.mean():.4g} ± {a.std(ddof=1):.2g} | {b.mean():.4g} ± {b.std(ddof=1):.2g} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
