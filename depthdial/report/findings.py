"""What the tables say, in sentences: each with its interval, none beyond its noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from depthdial.compare.findings import ALIKE, LESS, MORE, Finding, against_static, as_accurate, static_as_good
from depthdial.deploy.manifest import CompiledFor
from depthdial.networks.configurations import FULL
from depthdial.replay.names import FULL_NETWORK, SCHEDULE_WITH_FEEDBACK
from depthdial.schedule.table import ScheduleTable

Row = dict[Any, Any]

NOISY = (
    "The device was too noisy while it was measured: the rows marked as not valid did not hold up (the log says why), "
    "and the schedule is no better than they are. Measure again on an idle machine."
)
ONE_SEED = (
    "What is measured on a device are the networks of one training seed. Intervals here are over the same test images, "
    "not over seeds; the tables at equal MACs have all seeds."
)

HARDER = "Harder images: docs/results/cifar10.md (ResNet-20 on CIFAR-10, three seeds) and the pages beside it."
"""Where the results on other data sets than the digits are."""


@dataclass(frozen=True)
class Badge:
    """A warning beside the number that it is about: two words, and what they mean."""

    text: str
    why: str


def percent(value: float, digits: int = 1) -> str:
    """A share as a percentage."""
    return f"{100 * value:.{digits}f} %"


def first_sentence(configurations: pd.DataFrame, dial: str, policies: Sequence[Row]) -> str:
    """The sentence to remember: what validation chose, by how much it is faster, and what the same test images say."""
    found = as_accurate(configurations, dial) or next_best(configurations, dial)
    if found is None:
        return "No configuration is faster than the full network on this device."
    one, more = found.configuration, charge_gain(policies)
    kept = f"{one['mask'].count('1')} of {len(one['mask'])} blocks"
    faster = f"{one['configuration']} ({kept}) answers {one['speedup']:.1f} times as fast as the full network"
    serves = f"; a charge serves {more:.1f} times as many inputs" if more is not None else ""
    return f"{faster} at {apart(found)}{serves}."


def apart(found: Finding) -> str:
    """The difference to the rival in words, with its paired interval and what that says."""
    points = f"{abs(100 * found.difference):.1f} points {'less' if found.difference < 0 else 'more'} accuracy"
    ends = f"paired interval {100 * found.low:+.1f} to {100 * found.high:+.1f}"
    return f"{points} ({ends}{': not told apart' if found.verdict == ALIKE else ''})"


def next_best(configurations: pd.DataFrame, dial: str) -> Finding | None:
    """Where no faster configuration is as accurate on validation: the one that comes nearest, judged on test."""
    ours = configurations[configurations["network"] == dial]
    full = ours[ours["configuration"] == FULL].iloc[0]
    faster = ours[ours["latency_ms"] < full["latency_ms"]]
    if faster.empty:
        return None
    row: Row = faster.sort_values(["val_accuracy", "latency_ms"], ascending=[False, True]).iloc[0].to_dict()
    ends = (row["to_full"], row["to_full_low"], row["to_full_high"])
    return Finding(row, FULL, *ends, int(row["n_test"]))


def charge_gain(policies: Sequence[Row]) -> float | None:
    """How many times as many inputs a charge serves under the schedule as with the full network alone."""
    means = {row["policy"]: row["inferences_per_charge"] for row in policies}
    return (
        means[SCHEDULE_WITH_FEEDBACK] / means[FULL_NETWORK]
        if {SCHEDULE_WITH_FEEDBACK, FULL_NETWORK} <= means.keys()
        else None
    )


def further_sentences(configurations: pd.DataFrame, equal_time: pd.DataFrame, dial: str, easy: bool) -> list[str]:
    """How the configuration was chosen, and the dial beside static networks; ``easy`` is a data set for trying out."""
    found = as_accurate(configurations, dial)
    if found is not None:
        name, n = found.configuration["configuration"], found.n_test
        said = [
            f"{name} is the fastest configuration that is at least as accurate as the full network on the validation "
            f"images; {n} test images, read once, judge it."
        ]
    else:
        said = ["On the validation images every faster configuration is less accurate than the full network."]
    said += [against(static, finding) for static, finding in against_static(equal_time).items()]
    static = static_as_good(configurations, equal_time)
    if easy and static is not None:
        said.append(for_trying_out(static))
    return said


def for_trying_out(found: Finding) -> str:
    """What a network without a dial says of an easy data set, and where harder ones are."""
    as_good = {LESS: "better than the dial", ALIKE: f"as good as the dial, as far as {found.n_test} test images tell"}
    return (
        f"On these digits the static {found.rival}, in its own time, is {as_good[found.verdict]}: they serve to try "
        f"everything out. {HARDER}"
    )


def against(static: str, found: Finding | None) -> str:
    """The configuration that validation prefers among those no slower than a static network, judged on test."""
    if found is None:
        return f"No configuration is as fast as the static {static}."
    one = found.configuration
    verdict = {MORE: "better than", LESS: "worse than", ALIKE: "not told apart from"}[found.verdict]
    ends = f"{100 * found.difference:+.1f} points [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"
    return f"In the time of the static {static}, {one['configuration']} is {verdict} it: {ends}."


def badges(source: str, valid: bool) -> list[Badge]:
    """The warnings that stand beside the result."""
    found = [Badge("one seed", ONE_SEED)]
    if source == "modelled":
        found.insert(0, Badge("energy modelled", energy_notice(source)))
    if not valid:
        found.insert(0, Badge("device noisy", NOISY))
    return found


def off_front(equal_macs: pd.DataFrame) -> list[str]:
    """Where the full network is not on the front of its own masks, in a sentence; none where it is."""
    full = equal_macs[equal_macs["budget"] == "full"].iloc[0]
    behind, seeds = int(full["seeds_off_front"]), int(full["seeds"])
    if not behind:
        return []
    return [
        f"In {behind} of {seeds} {'seed' if seeds == 1 else 'seeds'} the full network is not on the front of accuracy "
        "against MACs: a mask that skips blocks is at least as accurate on the validation images."
    ]


def scheduled(schedule: ScheduleTable) -> list[str]:
    """What the table is, and where it could not do what was wished."""
    missed, gap = len(schedule.unserved), f" (gap {schedule.gap:.1e})" if schedule.gap else ""
    found = [
        f"The table assigns one of {len(schedule.configurations)} resident configurations to each of "
        f"{len(schedule.cells)} conditions; it was proven optimal{gap} in {schedule.solve_s:.1f} s.",
        f"In {missed} conditions no allowed configuration is in time; they get the fastest."
        if missed
        else "In every condition the answer is in time.",
    ]
    exceeded = [budget.name for budget in schedule.budgets if budget.yielded]
    if exceeded:
        found.append(
            f"So little charge is left at {', '.join(exceeded)} that no such table keeps within it: these budgets are "
            "exceeded by as little as possible."
        )
    return found


def worth(policies: Sequence[Row]) -> list[str]:
    """What the schedule is worth; ``policies`` has the means over the held-out traces."""
    means = {row["policy"]: row for row in policies}
    more = charge_gain(policies)
    if more is None:
        return []
    ours, full = means[SCHEDULE_WITH_FEEDBACK], means[FULL_NETWORK]
    return [
        f"Replayed over the held-out traces, the schedule answers {percent(ours['accuracy_offered'])} of all "
        f"inputs correctly and in time, the full network alone {percent(full['accuracy_offered'])}; a charge gives "
        f"{more:.2f} times as many inferences. The schedule stays {percent(ours['regret'])} behind a clairvoyant "
        f"oracle."
    ]


def loops_cut(target: CompiledFor, known_gain: float | None = None) -> str:
    """How the compiler cut loops, and what cutting them as the device is fastest brought, or would bring if known."""
    if target.tuned is None:
        timing = "timing them on this device (deploy.tune: device)"
        would = f"what {timing} would bring is not known"
        if known_gain is not None:
            would = f"{timing} would save {percent(known_gain)} of the convolutions' time"
        return f"The compiler cut loops {target.way}; {would}."
    if not target.tuned.cuts:
        return f"{target.tuned.device} was too noisy to tell which cuts of loops are faster: the model's were kept."
    gain = f"saves {percent(target.tuned.gain)} of the convolutions' time"
    return f"The compiler cut loops as measured on {target.tuned.device} (deploy.tune: device), which {gain}."


def energy_notice(source: str) -> str:
    """One sentence on where energies come from."""
    if source == "modelled":
        return (
            "Energy is modelled, not measured: nominal power of the device times measured latency. "
            "Differences in energy therefore say no more than the latencies do."
        )
    return f"Energy was measured ({source}) in the same windows as the latency."
