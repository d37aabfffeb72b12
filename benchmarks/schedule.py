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
from depthdial.devices.processors import this_processor
from depthdial.errors import ScheduleError
from depthdial.files import write_text
from depthdial.replay.compare import compare
from depthdial.replay.names import SCHEDULE_WITH_FEEDBACK
from depthdial.replay.policies import Scheduled
from depthdial.replay.simulate import plan, replay
from depthdial.replay.tables import Scores, read_scores
from depthdial.schedule import solve as solving
from depthdial.schedule.build import build_schedule
from depthdial.schedule.choices import choices_of, read_latency_table
from depthdial.schedule.table import ScheduleTable
from depthdial.traces.trace import Trace, read_traces
from tests.rigs.schedules import latency_table, random_problem, scores_of
from tests.rigs.serving import KEYS, Agreement, serve_for_real

ROOT = Path(__file__).parents[1]
SIZES = ((4, 16, 8), (10, 20, 15), (10, 60, 30))
SEEDS = range(5)
Traced = tuple[Trace, ...]


def solve_times() -> pd.DataFrame:
    """Time and proven gap over sizes and seeds: K = 6, one budget for all cells, half of the costliest's excess."""
    rows = []
    for levels, deadlines, configurations in SIZES:
        for seed in SEEDS:
            problem = random_problem(seed, levels, deadlines, configurations, resident=6, budget=0.5, moves=True)
            start = time.process_time()
            solution = solving.solve(problem)
            rows.append(
                {
                    "cells": levels * deadlines,
                    "configurations": configurations,
                    "seed": seed,
                    "solve_s": solution.seconds,
                    "cpu_s": time.process_time() - start,
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


def measured_table() -> tuple[pd.DataFrame, Scores, str, str]:
    """The latency table to replay with, test accuracies, the dial's name, and where the table is from."""
    for path in sorted(ROOT.glob("results/digits/digits/*/bench/*/latency.parquet")):
        table = read_latency_table(path)
        tested = [path.parents[3] / network / "seed0/test.parquet" for network in set(table["network"])]
        noisy = "" if table["valid"].any() else ", a noisy machine"
        return table, read_scores(tested), path.parts[-4], f"measured ({path.parts[-2]}{noisy})"
    table = latency_table()
    return table, scores_of(table), "resnet20-sd", "made up"


def policies(table: pd.DataFrame, scores: Scores, network: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every policy on every held-out trace of the default experiment; and the parts of the selector."""
    settings, traces = Schedule(), Traces()

    def files(names: tuple[str, ...]) -> list[str]:
        found = [next((ROOT / traces.folder).glob(f"{name}.*")) for name in names]
        return [str(path) for path in found]

    schedule = build_schedule(table, network, "local", settings, files(traces.estimate), traces.estimate_seeds)
    full = schedule.full_latency_ms
    training = read_traces(files(traces.estimate), traces.estimate_seeds, full)
    held_out = read_traces(files(traces.held_out), traces.held_out_seeds, full)
    summary = compare(table, scores, schedule, settings, training, held_out).summary
    return summary, parts_table(table, scores, schedule, training, held_out)


PARTS: dict[str, tuple[dict[str, int], bool]] = {
    "all as by default": ({}, True),
    "no estimate of the slowdown": ({"gain": 0}, True),
    "no feedback of energy": ({}, False),
    "margin of one deviation": ({"margin": 16}, True),
    "hysteresis of 5 %": ({"band": 51}, True),
    "dwell of 5 decisions": ({"min_dwell": 5}, True),
}


def parts_table(
    table: pd.DataFrame, scores: Scores, schedule: ScheduleTable, training: Traced, held_out: Traced
) -> pd.DataFrame:
    """The schedule with feedback, with each part of the selector switched off or on."""
    choices = choices_of(table, schedule.network)
    names, planned = [choice.name for choice in choices], plan(training)
    tested = np.append(scores.of(choices), 0.0)
    rows = []
    for label, (update, energy) in PARTS.items():
        changed = schedule.model_copy(update={"selector": schedule.selector.model_copy(update=update)})
        for trace in held_out:
            charge = schedule.charge_j * trace.duration_s / (Schedule().horizon_h * 3600)
            policy = Scheduled(changed, names, feedback=True, energy=energy)
            run = replay(policy, trace, choices, charge, planned)
            rows.append(
                {
                    "parts": label,
                    "offered": float((run.met * tested[run.choice]).sum() / trace.arrivals.sum()),
                    "misses": 1 - float(run.met.sum() / run.served.sum()),
                    "switches": run.switches,
                }
            )
    return pd.DataFrame(rows).groupby("parts", sort=False).mean()


def main() -> None:
    """Measure, write the tables, print the keys."""
    times = solve_times()
    plain = [plain_model_s(seed) for seed in SEEDS[:2]]
    table, scores, network, source = measured_table()
    summary, parts = policies(table, scores, network)
    with tempfile.TemporaryDirectory() as folder:
        real = serve_for_real(Path(folder), rounds=4, steps=300)
    write_text(ROOT / "docs/benchmarks/schedule.md", report(times, plain, summary, parts, source, real))
    print((ROOT / "docs/benchmarks/schedule.md").read_text())  # noqa: T201
    largest = times[times["cells"] == SIZES[-1][0] * SIZES[-1][1]]
    ours = summary[summary["policy"] == SCHEDULE_WITH_FEEDBACK]
    result = {
        "solve_s_600x30": round(float(largest["solve_s"].max()), 3),
        "solve_s_600x30_median": round(float(largest["solve_s"].median()), 3),
        "solve_cpu_s_600x30": round(float(largest["cpu_s"].max()), 3),
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
    parts: pd.DataFrame,
    source: str,
    real: Agreement,
) -> str:
    """The tables as Markdown."""
    lines = [
        "# The schedule",
        "",
        f"Written by `make bench-schedule` on {this_processor()}.",
        f"K = 6 and a global budget; {len(SEEDS)} random instances of each size, the",
        "switches minimised too. The one straightforward model (PuLP, HiGHS, the same tolerance) takes "
        f"{', '.join(f'{s:.1f}' for s in plain)} s on the first instances of 600 x 30.",
        "",
        "| cells | configurations | median / s | worst / s | worst of the processor / s | worst gap |",
        "|---|---|---|---|---|---|",
    ]
    for (cells, configurations), rows in times.groupby(["cells", "configurations"]):
        seconds = rows["solve_s"]
        lines.append(
            f"| {cells} | {configurations} | {seconds.median():.2f} | {seconds.max():.2f} | "
            f"{rows['cpu_s'].max():.2f} | {rows['gap'].max():.1e} |"
        )
    lines += [
        "",
        f"Policies on the held-out traces; latencies: {source}, energy: {summary['energy_source'].iloc[0]}.",
        "Policies choose by validation accuracy and are scored on the test split. Regret counts inferences that are",
        "right and in time against the clairvoyant oracle over the dial's configurations.",
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
        "The schedule with feedback, with parts of the selector switched off or on (means over the held-out traces):",
        "",
        "| parts | right and in time | misses | switches |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {label} | {row['offered']:.2%} | {row['misses']:.3%} | {row['switches']:.0f} |"
        for label, row in parts.iterrows()
    ]
    lines += [
        "",
        "Real inference with IREE beside the replay of the same trace, with latencies measured in the same process",
        "(mean and standard deviation of the rounds):",
        "",
        "| | served | replayed |",
        "|---|---|---|",
    ]
    for key in KEYS:
        a, b = np.array(real.real[key]), np.array(real.replayed[key])
        lines.append(f"| {key} | {a.mean():.4g} ± {a.std(ddof=1):.2g} | {b.mean():.4g} ± {b.std(ddof=1):.2g} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
