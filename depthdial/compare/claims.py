"""The paper's claims beside what was found: a verdict only where the numbers carry it.

The paper is Korol, Beck and Castrillon (2025), arXiv 2505.17626; its abstract and summaries of it by others could be
read, its tables could not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import pandas as pd

from depthdial.artefacts import read_table
from depthdial.compare.files import read_comparison
from depthdial.compare.rankings import SENSITIVITY
from depthdial.compare.skipping import ALL
from depthdial.layout import Place
from depthdial.replay.names import FULL_NETWORK, SCHEDULE_WITH_FEEDBACK

HOLDS, FAILS, OPEN, UNCHECKED = "holds", "does not hold", "not decided", "not checked"
PAPER, SUMMARY, HUANG = "the paper's abstract", "the paper, as summarised by others", "Huang et al. 2016"
GOAL = "goal of depthdial"
DROP = 0.0071
"""The accuracy that the paper's doubled power efficiency costs at least."""
GAP, SKIPPED, DEPTH = 0.4961, 37, 110
"""Best minus worst mask in the paper, at so many skipped blocks, in the ResNet of that depth."""
RIVALS = ("l2", "fisher", "hessian", "random")
GOAL_DROP = 0.003
"""What half of the latency may cost in the end."""

NEARLY_TWICE = 1.9
NO_CONTROL = "there is no constant-depth network to compare with"

Row = dict[Any, Any]


@dataclass(frozen=True)
class Claim:
    """A claim, where it stands, what was found here and what follows; ``subject`` names network and data set."""

    claim: str
    source: str
    subject: str
    here: str
    verdict: str
    evidence: str = ""


@dataclass(frozen=True)
class Evidence:
    """The comparison tables of one dial with its control on one data set; absent where there is no such table.

    ``published``: the paper's claims are put to it. ``stochastic``: it was trained with Stochastic Depth, so that
    claims of what that does can be, too. ``best``: of the dials of its shape it has the largest hypervolume on
    validation, so it is held against the goals.
    """

    network: str
    dataset: str
    depth: int
    equal_macs: pd.DataFrame
    skipping: pd.DataFrame
    training: pd.DataFrame
    published: bool = True
    stochastic: bool = True
    best: bool = True
    rankings: pd.DataFrame | None = None
    devices: dict[str, pd.DataFrame] = field(default_factory=dict)
    replays: dict[str, pd.DataFrame] = field(default_factory=dict)

    @property
    def subject(self) -> str:
        """Network and data set."""
        return f"{self.network} on {self.dataset}"


def evidence(experiment: str, dial: dict[str, Any]) -> Evidence:
    """The comparison tables of a dial and the replays of its schedules.

    ``dial`` has dataset, label (of the data set), network, depth, published, stochastic and devices.
    """
    data_set = Place(experiment, dial["dataset"])
    place = Place(experiment, dial["dataset"], dial["network"])
    on_devices = {name: Place(experiment, dial["dataset"], dial["network"], name) for name in dial["devices"]}
    rankings = Path(place.table("rankings"))
    recipes = read_comparison(data_set.table("recipes")).set_index("network")
    alike = recipes[recipes["depth"].eq(dial["depth"]) & recipes["width"].eq(recipes.loc[dial["network"], "width"])]
    return Evidence(
        network=dial["network"],
        dataset=dial["label"],
        depth=dial["depth"],
        equal_macs=read_comparison(place.table("equal_macs")),
        skipping=read_comparison(place.table("skipping")),
        training=read_comparison(place.table("training")),
        published=dial["published"],
        stochastic=dial["stochastic"],
        best=alike["hypervolume"].idxmax() == dial["network"],
        rankings=read_comparison(rankings) if rankings.exists() else None,
        devices={name: read_comparison(on.table("configurations")) for name, on in on_devices.items()},
        replays={name: read_table(on.stage("replay", "summary.parquet")) for name, on in on_devices.items()},
    )


def claims(found: Sequence[Evidence]) -> list[Claim]:
    """Every claim for every dial that it can be put to, then what nobody can check with this experiment.

    None where there is no dial of the paper's family.
    """
    if not found:
        return []
    published = [evidence for evidence in found if evidence.published]
    deep = {evidence.dataset for evidence in published if evidence.depth == DEPTH}
    checked = [
        check(evidence) if evidence.stochastic or check not in OF_STOCHASTIC_DEPTH else _not_asked(check(evidence))
        for evidence in published
        for check in (resilience, gap, power, time, inferences, ranking, full_accuracy, training_time)
        if check is not gap or evidence.depth == DEPTH or evidence.dataset not in deep
    ]
    return [*checked, *goals([evidence for evidence in found if evidence.best]), *unchecked(found)]


def _not_asked(claim: Claim) -> Claim:
    """A claim of what Stochastic Depth does, where the dial was trained without it."""
    return replace(claim, here="this dial was not trained with Stochastic Depth here", verdict=UNCHECKED, evidence="")


def table(found: Sequence[Claim]) -> pd.DataFrame:
    """Claims as a table."""
    return pd.DataFrame([vars(claim) for claim in found], columns=[field.name for field in fields(Claim)])


def resilience(e: Evidence) -> Claim:
    """Whether masks are more accurate after training with Stochastic Depth."""
    claim = "Networks trained with Stochastic Depth are more resilient to skipping blocks than those of constant depth"
    row = _row(e.skipping, "skipped", ALL)
    if pd.isna(row["control_mean"]):
        return Claim(claim, PAPER, e.subject, NO_CONTROL, UNCHECKED)
    drawn = e.skipping[e.skipping["sampled"].astype(bool)].to_dict("records")
    if drawn and not row["complete"]:
        row = drawn[-1]
        which = f"{row['masks']:.0f} random masks that skip {row['skipped']} blocks"
    else:
        which = f"{row['masks']:.0f} masks"
    here = f"mean over {which}: {percent(row, 'dial_mean')}, constant depth "
    here += f"{percent(row, 'control_mean')}; difference {points(row, 'difference_mean')} points"
    if not (row["complete"] or row["sampled"]):
        return Claim(claim, PAPER, e.subject, f"{here}; masks that two searches chose cannot be compared", UNCHECKED)
    return Claim(claim, PAPER, e.subject, here, _sign(row, "difference_mean"), "skipping.csv")


def gap(e: Evidence) -> Claim:
    """Best minus worst mask at 37 of 54 skipped blocks."""
    claim = f"ResNet-110, {SKIPPED} of 54 blocks skipped: best and worst mask differ by {100 * GAP:.2f} points"
    counted = e.skipping[e.skipping["skipped"].astype(str) != ALL]
    if e.depth == DEPTH:
        row = _row(counted, "skipped", str(SKIPPED))
        verdict = HOLDS if row["dial_spread_low"] >= GAP else OPEN
        here = f"{percent(row, 'dial_spread')} over the {row['masks']:.0f} masks measured"
        if row["sampled"] and not row["complete"]:
            here += ", drawn at random: the true spread is no smaller"
        elif not row["complete"]:
            here += ", which are few and chosen: the true spread is no smaller"
        if not pd.isna(row["control_spread"]):
            here += f"; constant depth {percent(row, 'control_spread')}"
        if pd.isna(row["dial_spread_low"]) and not pd.isna(row["dial_apart"]):
            verdict = HOLDS if row["dial_apart_low"] >= GAP else FAILS if row["dial_apart_high"] < GAP else OPEN
            here += f"; of this one network, best and worst chosen on half of the images: {percent(row, 'dial_apart')}"
            here += " on the other half"
        return Claim(claim, SUMMARY, e.subject, here, verdict, "skipping.csv")
    widest = counted.sort_values("dial_spread").to_dict("records")[-1]
    here = f"no ResNet-110 in this experiment; ResNet-{e.depth}: at most {percent(widest, 'dial_spread')}, at "
    here += f"{widest['skipped']} of {len(counted) - 1} skipped blocks"
    if not pd.isna(widest["control_spread"]):
        here += f" (constant depth: {percent(widest, 'control_spread')})"
    return Claim(claim, SUMMARY, e.subject, here, UNCHECKED, "skipping.csv")


def power(e: Evidence) -> Claim:
    """Twice the power efficiency at a drop of 0.71 points against constant depth."""
    claim = f"Up to twice the power efficiency of the original ResNet at drops as low as {100 * DROP:.2f} points"
    measured = {name: rows for name, rows in e.devices.items() if set(rows["energy_source"]) != {"modelled"}}
    if not measured:
        why = "no device of this experiment has a power meter; energy here is modelled from time"
        return Claim(claim, PAPER, e.subject, why, UNCHECKED)
    device, rows = next(iter(measured.items()))
    here, verdict = at_half(rows, "energy_share", "the energy", DROP)
    return Claim(claim, PAPER, e.subject, f"{device}: {here}", verdict, "configurations.csv")


def time(e: Evidence) -> Claim:
    """The same in time, which is measured everywhere."""
    claim = f"The same in time: half the latency at drops as low as {100 * DROP:.2f} points"
    if not e.devices:
        return Claim(claim, PAPER, e.subject, "no device measured", UNCHECKED)
    device, rows = next(iter(e.devices.items()))
    here, verdict = at_half(with_latency_share(rows), "latency_share", "the time", DROP)
    return Claim(claim, PAPER, e.subject, f"{device}: {here}", verdict, "configurations.csv")


def with_latency_share(rows: pd.DataFrame) -> pd.DataFrame:
    """``configurations.csv`` with the latency as a share of the full network's, which is as deep as the original."""
    shares = {"": rows["speedup"], "_low": rows["speedup_high"], "_high": rows["speedup_low"]}
    return rows.assign(**{f"latency_share{end}": 1 / found for end, found in shares.items()})


def halved(rows: pd.DataFrame, share: str) -> tuple[Row | None, bool]:
    """The configuration by which half of something is judged, and whether it surely takes no more than that.

    Of the configurations whose share lies below half with its interval (of those whose interval holds it, if there is
    none) the most accurate on validation is chosen, and it alone is judged on the test images: the best of several by
    test would seem to hold far too often. None if none takes half.
    """
    surely, perhaps = rows[rows[f"{share}_high"] <= 0.5], rows[rows[f"{share}_low"] <= 0.5]
    half = perhaps if surely.empty else surely
    if half.empty:
        return None, False
    return half.sort_values(["val_accuracy", share], ascending=[False, True]).iloc[0].to_dict(), not surely.empty


def at_half(rows: pd.DataFrame, share: str, what: str, drop: float) -> tuple[str, str]:
    """Whether half of something costs at most ``drop`` of accuracy."""
    rows = rows[rows["to_constant"].notna()]
    if rows.empty:
        return NO_CONTROL, UNCHECKED
    best, surely = halved(rows, share)
    if best is None:
        least = rows.sort_values(share).iloc[0].to_dict()
        here = f"none takes half of {what}; {least['configuration']} takes {percent(least, share)}"
        return here, FAILS if least["valid"] else OPEN
    here = f"{best['configuration']} takes {percent(best, share)} of {what} at {points(best, 'to_constant')} points"
    here += f" against constant depth, on the same {best['n_test']} test images of one seed"
    if share != "energy_share" and best["energy_source"] == "modelled":
        here += f"; {percent(best, 'energy_share')} of the energy, modelled from time"
    if not best["valid"]:
        return f"{here}; the device was too noisy", OPEN
    verdict = _at_least(best, "to_constant", -drop)
    return here, verdict if surely or verdict != HOLDS else OPEN


def inferences(e: Evidence) -> Claim:
    """Nearly twice as many inferences."""
    claim = "Nearly twice as many inferences in some cases"
    if not e.replays:
        return Claim(claim, SUMMARY, e.subject, "no replay", UNCHECKED)
    device, summary = next(iter(e.replays.items()))
    per_charge = summary.pivot_table("inferences_per_charge", "trace", "policy", observed=True)
    more = (per_charge[SCHEDULE_WITH_FEEDBACK] / per_charge[FULL_NETWORK]).max()
    here = f"{device}: up to {more:.2f} times as many per charge as the full network, replayed over held-out traces"
    if set(summary["energy_source"]) == {"modelled"}:
        return Claim(claim, SUMMARY, e.subject, f"{here}; energy is modelled from time", UNCHECKED)
    return Claim(claim, SUMMARY, e.subject, here, HOLDS if more >= NEARLY_TWICE else FAILS)


def ranking(e: Evidence) -> Claim:
    """The sensitivity ranking against its rivals, by the hypervolume of the fronts that they find."""
    claim = "Ranking blocks by sensitivity finds better masks than L2 norm, Fisher information, Hessian or chance"
    if e.rankings is None or SENSITIVITY not in set(e.rankings["strategy"]):
        return Claim(claim, SUMMARY, e.subject, "searches, or sensitivity among them, were not compared", UNCHECKED)
    rows = e.rankings[e.rankings["strategy"].isin(RIVALS)].to_dict("records")
    verdicts = [_sign(row, "behind_sensitivity") for row in rows]
    parts = [f"{row['strategy']} {points(row, 'behind_sensitivity')}" for row in rows]
    whole = "the true one" if "hypervolume" in e.rankings else "that of all together"
    here = f"hypervolume of sensitivity minus that of {', '.join(parts)} points of {whole}"
    verdict = FAILS if FAILS in verdicts else HOLDS if verdicts and set(verdicts) == {HOLDS} else OPEN
    return Claim(claim, SUMMARY, e.subject, here, verdict, "rankings.csv")


def full_accuracy(e: Evidence) -> Claim:
    """Whether Stochastic Depth makes the full network more accurate."""
    row = e.equal_macs.iloc[0].to_dict()
    claim = "Stochastic Depth makes the full network more accurate (ResNet-110 on CIFAR-10: 5.25 against 6.41 % error)"
    here = f"{percent(row, 'stochastic')}, constant depth {percent(row, 'constant')}"
    if pd.isna(row["constant"]):
        return Claim(claim, HUANG, e.subject, NO_CONTROL, UNCHECKED)
    here += f"; difference {points(row, 'full_to_full')} points{_one_seed(row)}"
    return Claim(claim, HUANG, e.subject, here, _sign(row, "full_to_full"), "equal_macs.csv")


def training_time(e: Evidence) -> Claim:
    """Whether closed blocks save a quarter of the training time."""
    row = _row(e.training, "network", e.network)
    claim = "Stochastic Depth saves training time (about a quarter with p_L = 0.5)"
    if pd.isna(row["time_share"]):
        return Claim(claim, HUANG, e.subject, NO_CONTROL, UNCHECKED)
    here = (
        f"{percent(row, 'time_share')} of the time of constant depth, {100 * row['open_share']:.0f} % of the branches"
    )
    return Claim(claim, HUANG, e.subject, here, _sign(row, "time_share", 1.0, below=True), "training.csv")


OF_STOCHASTIC_DEPTH = (resilience, gap, ranking, full_accuracy, training_time)
"""Claims of networks trained with Stochastic Depth, which a dial of sandwiches alone, or an adopted one, is not."""


def goals(found: Sequence[Evidence]) -> list[Claim]:
    """What depthdial wants: dials as accurate as static networks of equal MACs, and half of the original's latency."""
    reached = []
    for e in found:
        for row in e.equal_macs[e.equal_macs["to_static"].notna()].to_dict("records"):
            claim = f"The dial is at least as accurate as the static {row['budget']} of no fewer MACs"
            tuned = not pd.isna(row["finetuned_to_static"])
            dial, gap = ("finetuned", "finetuned_to_static") if tuned else ("dial", "to_static")
            here = f"{percent(row, dial)} against {percent(row, 'static')}: {points(row, gap)} points"
            here += ", after fine-tuning" if tuned else ""
            here += _one_seed(row)
            reached.append(Claim(claim, GOAL, e.subject, here, _at_least(row, gap, 0.0), "equal_macs.csv"))
        if e.devices and e.equal_macs["constant"].notna().any():
            reached += [_half_the_latency(e, drop) for drop in (DROP, GOAL_DROP)]
    return reached


def _half_the_latency(e: Evidence, drop: float) -> Claim:
    """Half of what the constant-depth network takes, at no more than ``drop`` below it."""
    claim = f"Half the latency of ResNet-{e.depth} of constant depth, at most {100 * drop:.2f} points below it"
    device, rows = next(iter(e.devices.items()))
    here, verdict = at_half(with_latency_share(rows), "latency_share", "the time", drop)
    return Claim(claim, GOAL, e.subject, f"{device}: {here}", verdict, "configurations.csv")


def _one_seed(row: Row) -> str:
    """What an interval over images is about, where there is one seed; nothing where there are several."""
    return ", on the same test images of one seed: about this network" if row["seeds"] == 1 else ""


def unchecked(found: Sequence[Evidence]) -> list[Claim]:
    """What this experiment cannot say anything about, and why."""
    missing = []
    if not any("100" in e.dataset for e in found):
        missing.append(("The results on CIFAR-100", PAPER, "no CIFAR-100 in this experiment"))
    missing += [
        (
            "The paper's energy figures on its boards",
            PAPER,
            "boards and meter are not in what could be read",
        ),
        (
            "The paper's accuracies as such",
            PAPER,
            "its survival probabilities, epochs, seeds and scaling at test time are not in what could be read",
        ),
        (
            "The paper's run-time selection",
            PAPER,
            "its algorithm is not in what could be read; the schedule here is ours",
        ),
    ]
    return [Claim(claim, source, "", here, UNCHECKED) for claim, source, here in missing]


def percent(row: Row, name: str) -> str:
    """A share as a percentage, with its interval if it has one."""
    return f"{100 * row[name]:.2f} %" + _ends(row, name, "{:.2f}")


def points(row: Row, name: str) -> str:
    """A difference of accuracies in points, with its interval if it has one."""
    return f"{100 * row[name]:+.2f}" + _ends(row, name, "{:+.2f}")


def _ends(row: Row, name: str, form: str) -> str:
    ends = [row.get(f"{name}_{end}") for end in ("low", "high")]
    if any(end is None or pd.isna(end) for end in ends):
        return ""
    return f" [{', '.join(form.format(100 * end) for end in ends if end is not None)}]"


def _sign(row: Row, name: str, against: float = 0.0, below: bool = False) -> str:
    """Whether a value is above ``against`` (below, if asked for) beyond its interval."""
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    above, under = low > against, high < against
    return HOLDS if (under if below else above) else FAILS if (above if below else under) else OPEN


def _at_least(row: Row, name: str, bound: float) -> str:
    """Whether a difference is at least ``bound``: not decided while its interval reaches below and above."""
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return HOLDS if low >= bound else FAILS if high < bound else OPEN


def _row(rows: pd.DataFrame, column: str, value: object) -> Row:
    return rows[rows[column].astype(str) == str(value)].iloc[0].to_dict()
