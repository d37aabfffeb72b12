"""How a page of results begins: what a dial is worth, in a paragraph and a table with the intervals."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from depthdial.compare.claims import halved, percent, points, with_latency_share
from depthdial.compare.files import read_comparison
from depthdial.compare.findings import ALIKE, LESS, MORE, Finding, Verdict, against_static, as_accurate, verdict_of
from depthdial.compare.tables import Column, escaped, markdown
from depthdial.networks.configurations import FULL
from depthdial.report.findings import next_best

Row = dict[Any, Any]

COLUMNS = [
    Column("beside", "beside", "text"),
    Column("the dial, chosen on validation", "answer", "text"),
    Column("test accuracy against it / points", "gap", "points"),
    Column("verdict", "verdict", "text"),
]
TABLES = ("configurations", "equal_time", "equal_macs")
"""Where the numbers of the table are from."""
NOTE = (
    "Intervals are 95 %, over the same test images; at equal MACs over the seeds, if there are several. Times, and "
    "what is chosen by them, are of one training seed."
)


def worth(dials: Sequence[Mapping[str, str]], folder: Path) -> str:
    """A paragraph and a table for each data set, of the dial with the largest hypervolume on its validation images.

    ``dials`` have title, network, device and the paths of the tables recipes, equal_macs, training, equal_time and
    configurations; links hold in ``folder``.
    """
    chosen = {dial["recipes"]: dial for dial in dials if dial["network"] == _best(dial["recipes"])}
    return "\n\n".join(_worth(dial, folder) for dial in chosen.values())


def _best(recipes: str) -> str:
    return str(read_comparison(recipes).sort_values("hypervolume")["network"].iloc[-1])


def _worth(dial: Mapping[str, str], folder: Path) -> str:
    configurations = read_comparison(dial["configurations"])
    ours = with_latency_share(configurations[configurations["network"] == dial["network"]])
    statics = against_static(read_comparison(dial["equal_time"]))
    said = [*_of_the_original(ours), *_of_statics(statics), *_of_training(read_comparison(dial["training"]))]
    rows = [_beside_itself(configurations, dial["network"]), *_beside_the_original(ours)]
    rows += [_in_its_time(name, found) for name, found in statics.items()]
    rows += map(_at_its_macs, _compared(read_comparison(dial["equal_macs"])))
    links = [f"[{name}.csv]({os.path.relpath(dial[name], folder)})" for name in TABLES]
    return "\n\n".join(
        [
            f"**{escaped(dial['title'])}**, on {escaped(dial['device'])}. {' '.join(said)}",
            markdown(pd.DataFrame(rows), COLUMNS),
            f"{NOTE} Numbers: {', '.join(links)}.",
        ]
    )


# --- the paragraph ---


def _of_the_original(ours: pd.DataFrame) -> list[str]:
    """The full network, and what takes half of its time, against the same network of constant depth."""
    full: Row = ours[ours["configuration"] == FULL].iloc[0].to_dict()
    whole = f"With all blocks the dial has {100 * full['test_accuracy']:.1f} % of {full['n_test']} test images right"
    if pd.isna(full["to_constant"]):
        return [f"{whole}."]
    said = [f"{whole}: {_in_words(full, 'to_constant', 'the same network of constant depth')}."]
    half, _ = halved(ours, "latency_share")
    if half is None:
        return [*said, "No configuration takes half of the time of all blocks."]
    taken = f"{100 * half['latency_share']:.0f} %"
    return [*said, f"In {taken} of the time of all blocks it is {_in_words(half, 'to_constant', 'that network')}."]


def _in_words(row: Row, name: str, rival: str) -> str:
    verdict = verdict_of(row[f"{name}_low"], row[f"{name}_high"])
    if verdict == ALIKE:
        return f"{ALIKE} from {rival} ({points(row, name)} points)"
    return f"{abs(100 * row[name]):.1f} points {verdict} than {rival}"


def _of_statics(found: Mapping[str, Finding | None]) -> list[str]:
    """The static networks that one would deploy instead, by what the dial is in their time."""
    by_verdict: dict[Verdict | None, list[str]] = {MORE: [], ALIKE: [], LESS: [], None: []}
    for name, finding in found.items():
        by_verdict[finding.verdict if finding else None].append(name)
    phrases = [
        f"{verdict} {'from' if verdict == ALIKE else 'than'} {_listed(names)}"
        for verdict, names in by_verdict.items()
        if verdict and names
    ]
    said = [f"In the time of the static networks it is {'; '.join(phrases)}."] if phrases else []
    if by_verdict[None]:
        said.append(f"None of its configurations is as fast as {_listed(by_verdict[None])}.")
    return said


def _of_training(training: pd.DataFrame) -> list[str]:
    """What the dial's training was against that of the others: none of the differences is at equal training."""
    rows: list[Row] = training.to_dict("records")
    dial = next(row for row in rows if row["role"] == "dial")
    if not dial["epochs"]:
        return []  # adopted as others trained it
    others = [f"{escaped(row['network'])} {row['epochs']:.0f}" for row in rows if row is not dial]
    said = f"It was trained for {dial['epochs']:.0f} epochs"
    if pd.notna(dial["begins_with"]) and dial["begins_with"]:
        said += " (those of what it begins with among them)"
    if pd.notna(dial["time_share"]):
        said += f", in {dial['time_share']:.1f} times the processor time of constant depth"
    return [f"{said}; the others: {', '.join(others)}." if others else f"{said}."]


def _listed(names: Sequence[str]) -> str:
    *others, last = map(escaped, names)
    return f"{', '.join(others)} and {last}" if others else last


# --- the table ---


def _beside_itself(configurations: pd.DataFrame, dial: str) -> Row:
    beside = "its own full network"
    found = as_accurate(configurations, dial) or next_best(configurations, dial)
    if found is None:
        return {"beside": beside, "answer": "no configuration is faster"}
    one = found.configuration
    return _row(beside, f"{_named(one)}: {one['speedup']:.2f} times as fast", one, "to_full")


def _beside_the_original(ours: pd.DataFrame) -> list[Row]:
    if ours["to_constant"].isna().all():
        return []
    full: Row = ours[ours["configuration"] == FULL].iloc[0].to_dict()
    half, _ = halved(ours, "latency_share")
    rows = [_row("constant depth", "all blocks", full, "to_constant")]
    beside = "constant depth, in half its time"
    if half is None:
        return [*rows, {"beside": beside, "answer": "no configuration takes half of it"}]
    taken = f"{_named(half)}: {percent(half, 'latency_share')} of the time"
    if half["energy_source"] == "modelled":
        taken += f", {percent(half, 'energy_share')} of the energy (modelled from time)"
    return [*rows, _row(beside, taken, half, "to_constant")]


def _in_its_time(static: str, found: Finding | None) -> Row:
    beside = f"the static {static}, in its time"
    if found is None:
        return {"beside": beside, "answer": "no configuration is as fast"}
    return _row(beside, _named(found.configuration), found.configuration, "to_static")


def _compared(equal_macs: pd.DataFrame) -> list[Row]:
    return equal_macs[equal_macs["to_static"].notna()].to_dict("records")


def _at_its_macs(row: Row) -> Row:
    tuned = not pd.isna(row["finetuned_to_static"])
    macs = f"{row['dial_macs'] / 1e6:.0f} of {row['budget_macs'] / 1e6:.0f} million{', fine-tuned' if tuned else ''}"
    beside = f"the static {row['budget']}, at no more MACs"
    return _row(beside, macs, row, "finetuned_to_static" if tuned else "to_static")


def _named(configuration: Row) -> str:
    mask = configuration["mask"]
    return f"{configuration['configuration']} ({mask.count('1')} of {len(mask)} blocks)"


def _row(beside: str, answer: str, found: Row, name: str) -> Row:
    ends = {f"gap_{end}": found[f"{name}_{end}"] for end in ("low", "high")}
    verdict = verdict_of(ends["gap_low"], ends["gap_high"])
    return {"beside": beside, "answer": answer, "gap": found[name], **ends, "verdict": verdict}
