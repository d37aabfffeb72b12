"""What the tables say, in sentences: each with its interval, none beyond its noise."""

from __future__ import annotations

from typing import Any

import pandas as pd

from depthdial.compare.findings import ALIKE, LESS, MORE, Finding, against_static, as_accurate
from depthdial.networks.configurations import FULL
from depthdial.replay.names import FULL_NETWORK, SCHEDULE_WITH_FEEDBACK
from depthdial.schedule.table import ScheduleTable

Row = dict[Any, Any]


def percent(value: float, digits: int = 1) -> str:
    """A share as a percentage."""
    return f"{100 * value:.{digits}f} %"


def headline(configurations: pd.DataFrame, equal_time: pd.DataFrame, dial: str) -> list[str]:
    """What the configurations of ``dial`` cost and reach on a device, whose tables of those names these are."""
    rows: dict[tuple[str, str], Row] = {
        (r["network"], r["configuration"]): r for r in configurations.to_dict("records")
    }
    full = rows[dial, FULL]
    found = [
        f"The full network {dial} answers in {full['latency_ms']:.3g} ms (median of {int(full['n_inferences'])} timed "
        f"inferences) with a test accuracy of {accuracy(full, 'test_accuracy')} on {int(full['n_test'])} test images.",
        _as_accurate(as_accurate(configurations, dial)),
    ]
    statics = {name: rows[name, FULL] for name, _ in rows if name != dial}
    return found + [_against(finding, statics[name]) for name, finding in against_static(equal_time).items()]


def _as_accurate(found: Finding | None) -> str:
    """The fastest configuration that is at least as accurate as the full network on validation, judged on test."""
    if found is None:
        return "Every faster configuration is less accurate than the full network on the validation images."
    one = found.configuration
    return (
        f"{one['configuration']} keeps {one['mask'].count('1')} of {len(one['mask'])} blocks and is the fastest "
        "that is at least as accurate as the full network on the validation images. "
        f"It answers in {one['latency_ms']:.3g} ms, {one['speedup']:.2f} times as fast; its test accuracy is "
        f"{accuracy(one, 'test_accuracy')}, {judged(found, 'the full network')}."
    )


def _against(found: Finding | None, static: Row) -> str:
    """The configuration that validation prefers among those no slower than a static network, judged on test."""
    name = f"static {static['network']} ({static['latency_ms']:.3g} ms, {accuracy(static, 'test_accuracy')})"
    if found is None:
        return f"No configuration is as fast as the {name}."
    one = found.configuration
    return (
        f"Against the {name}: {one['configuration']}, of those no slower the most accurate on validation, needs "
        f"{one['latency_ms']:.3g} ms and reaches {accuracy(one, 'dial')}, {judged(found, 'the static network')}."
    )


def judged(found: Finding, rival: str) -> str:
    """What the paired interval says of a finding, in words."""
    ends = f"{100 * found.difference:+.1f} points [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"
    verdict = {MORE: "higher than", LESS: "lower than", ALIKE: "which cannot be told from"}[found.verdict]
    return f"{verdict} {rival}'s on the same {found.n_test} test images ({ends})"


def off_front(equal_macs: pd.DataFrame) -> list[str]:
    """Where the full network is not on the front of its own masks, in a sentence; none where it is."""
    full = equal_macs[equal_macs["budget"] == "full"].iloc[0]
    behind, seeds = int(full["seeds_off_front"]), int(full["seeds"])
    if not behind:
        return []
    return [
        f"In {behind} of {seeds} {'seed' if seeds == 1 else 'seeds'} the full network is not on the front of accuracy "
        "against MACs: a mask that skips blocks, its BatchNorm recalibrated, is at least as accurate on the validation "
        "images."
    ]


def accuracy(row: Row, name: str) -> str:
    """An accuracy with its 95 % interval."""
    return f"{percent(row[name])} [{percent(row[f'{name}_low'])}, {percent(row[f'{name}_high'])}]"


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
    if {SCHEDULE_WITH_FEEDBACK, FULL_NETWORK} <= means.keys():
        ours, full = means[SCHEDULE_WITH_FEEDBACK], means[FULL_NETWORK]
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
