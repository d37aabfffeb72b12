"""What the tables say, in sentences: each with its interval, none beyond its noise."""

from __future__ import annotations

from typing import Any

import pandas as pd

from depthdial.schedule.table import ScheduleTable

Row = dict[Any, Any]
SCHEDULE, FULL = "schedule with feedback", "full network"


def percent(value: float, digits: int = 1) -> str:
    """A share as a percentage."""
    return f"{100 * value:.{digits}f} %"


def headline(table: pd.DataFrame, dial: str) -> list[str]:
    """What the configurations of ``dial`` cost and reach on the device that ``table`` was measured on."""
    rows: list[Row] = table.to_dict("records")
    ours = [row for row in rows if row["network"] == dial]
    full = next(row for row in ours if row["configuration"] == "c00")
    found = [
        f"The full network {dial} answers in {full['latency_ms']:.3g} ms (median) with a test accuracy of "
        f"{accuracy(full)}.",
        _as_accurate(ours, full),
    ]
    return found + [_against(ours, row) for row in rows if row["network"] != dial]


def _as_accurate(ours: list[Row], full: Row) -> str:
    """The fastest configuration whose accuracy cannot be told from the full network's."""
    equal = [r for r in ours if r["accuracy_high"] >= full["accuracy"] and r["latency_ms"] < full["latency_ms"]]
    if not equal:
        return "Every cheaper configuration is measurably less accurate than the full network."
    best = min(equal, key=lambda row: row["latency_ms"])
    return (
        f"{best['configuration']} keeps {best['mask'].count('1')} of {len(best['mask'])} blocks and answers in "
        f"{best['latency_ms']:.3g} ms, {full['latency_ms'] / best['latency_ms']:.2f} times as fast; its accuracy of "
        f"{accuracy(best)} cannot be told from the full network's on {int(best['n'])} test images."
    )


def _against(ours: list[Row], static: Row) -> str:
    """The most accurate configuration that is no slower than a static network, beside it."""
    name = f"static {static['network']} ({static['latency_ms']:.3g} ms, {accuracy(static)})"
    rivals = [row for row in ours if row["latency_ms"] <= static["latency_ms"]]
    if not rivals:
        return f"No configuration is as fast as the {name}."
    best = max(rivals, key=lambda row: row["accuracy"])
    if best["accuracy_low"] > static["accuracy_high"]:
        verdict = "more accurate"
    elif best["accuracy_high"] < static["accuracy_low"]:
        verdict = "less accurate"
    else:
        verdict = "the intervals overlap, so no difference is claimed"
    return (
        f"Against the {name}: {best['configuration']} needs {best['latency_ms']:.3g} ms and reaches "
        f"{accuracy(best)}; {verdict}."
    )


def accuracy(row: Row) -> str:
    """Test accuracy with its 95 % interval."""
    return f"{percent(row['accuracy'])} [{percent(row['accuracy_low'])}, {percent(row['accuracy_high'])}]"


def scheduled(schedule: ScheduleTable, policies: list[Row]) -> list[str]:
    """What the schedule is worth; ``policies`` has the means over the held-out traces."""
    missed = len(schedule.unserved)
    found = [
        f"The table assigns one of {len(schedule.configurations)} resident configurations to each of "
        f"{len(schedule.cells)} conditions; it was proven optimal (gap {schedule.gap:.1e}) in "
        f"{schedule.solve_s:.2f} s.",
        f"{missed} conditions cannot be met by any allowed configuration; they get the fastest."
        if missed
        else "Every condition is met.",
    ]
    exceeded = [budget.name for budget in schedule.budgets if budget.yielded]
    if exceeded:
        found.append(
            f"No table that misses as little keeps every energy budget; exceeded by as little as possible: "
            f"{', '.join(exceeded)}."
        )
    means = {row["policy"]: row for row in policies}
    if {SCHEDULE, FULL} <= means.keys():
        ours, full = means[SCHEDULE], means[FULL]
        more = ours["inferences_per_charge"] / full["inferences_per_charge"]
        found.append(
            f"Replayed over the held-out traces, the schedule answers {percent(ours['accuracy_offered'])} of all "
            f"inputs correctly and in time, the full network alone {percent(full['accuracy_offered'])}; a charge gives "
            f"{more:.2f} times as many inferences. The schedule stays {percent(ours['regret'])} behind a clairvoyant "
            f"oracle."
        )
    return found


def energy_notice(source: str) -> str:
    """One sentence on where energies come from."""
    if source == "modelled":
        return (
            "Energy is modelled, not measured: nominal power of the device times measured latency. "
            "Differences in energy therefore say no more than the latencies do."
        )
    return f"Energy was measured ({source}) in the same windows as the latency."
