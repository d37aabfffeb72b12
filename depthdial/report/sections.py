"""The folded parts of the page that are about dials, data sets or the whole experiment, whatever the device."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from depthdial.compare.claims import FAILS, HOLDS
from depthdial.compare.tables import Column, columns_of
from depthdial.report.page import Section
from depthdial.report.pictures import Picture
from depthdial.report.tables import Table, table

PARTS = {
    "equal": (
        "At equal cost",
        "The dial beside static networks and constant depth, at equal MACs over all seeds and in equal time here.",
        ("equal_macs", "equal_time"),
        ("equal", "cloud"),
    ),
    "skipping": (
        "How resilient",
        "What skipping blocks costs a network that was trained for it, and one that was not.",
        ("skipping",),
        ("skipping", "ablation"),
    ),
    "searches": (
        "Searches",
        "Which way of searching finds the masks worth having, for how much work.",
        ("rankings",),
        ("searches",),
    ),
    "training": ("Training", "What training each network took.", ("training",), ()),
}
"""Key -> title, what to see in it, names of its tables and pictures."""
VERDICTS = (
    "A verdict is given only where the 95 % interval lies wholly on one side; what was not checked is named as such, "
    "with the reason."
)
MADE = [Column("", "what", "text"), Column("", "which", "text")]


def dial_sections(
    key: str,
    title: str,
    tables: Sequence[Table],
    pictures: Mapping[str, Picture],
    sentences: Mapping[str, Sequence[str]],
) -> list[Section]:
    """The parts about a dial; ``title`` names it where there are several, ``sentences`` go to parts by key."""
    found = []
    for part, (name, lead, of_tables, of_pictures) in PARTS.items():
        own = [one for one in tables if one.name in of_tables]
        shown = [pictures[one] for one in of_pictures if one in pictures]
        if own or shown:
            heading = f"{name}: {title}" if title else name
            found.append(Section(f"{key}-{part}", heading, lead, sentences.get(part, ()), own, shown))
    return found


def paper(claims: pd.DataFrame, csv: str) -> Section:
    """The paper's claims: those that are decided; what is not, folded."""
    decided = claims["verdict"].isin([HOLDS, FAILS])
    whole = table("Claims and goals", "claims", claims, columns_of("claims", claims), csv=csv)
    rows = dict(zip([True, False], _split(whole, decided.tolist()), strict=True))
    undecided = f"{len(rows[False].rows)} more that this experiment cannot decide"
    return Section(
        "paper",
        "Paper and here",
        f"What this experiment says of {len(claims)} claims and goals; it decides {len(rows[True].rows)} of them.",
        [VERDICTS],
        [rows[True]] if rows[True].rows else [],
        [],
        [(undecided, rows[False])] if rows[False].rows else [],
    )


def _split(whole: Table, chosen: Sequence[bool]) -> tuple[Table, Table]:
    """The chosen rows, and the others."""
    first = [row for row, is_in in zip(whole.rows, chosen, strict=True) if is_in]
    others = [row for row, is_in in zip(whole.rows, chosen, strict=True) if not is_in]
    return replace(whole, rows=first), replace(whole, rows=others)


def made(provenance: Mapping[str, str], settings: Mapping[str, Any]) -> Section:
    """Where the numbers come from: commands, versions, commit, hours; the settings folded."""
    data = pd.DataFrame({"what": list(provenance), "which": list(provenance.values())})
    return Section(
        "made",
        "How this was made",
        "Commands, versions, commit, machines and hours; every setting.",
        [
            "Every figure lies as SVG, PNG and CSV in the folder figures/ beside this page, every table in tables/. "
            "The same command on the same settings makes the same tables, but for measured times."
        ],
        [table("Provenance", "provenance", data, MADE)],
        code=json.dumps(settings, indent=2),
    )


def training_hours(tables: Sequence[pd.DataFrame]) -> float:
    """Processor hours of all trainings in ``training.csv`` of the dials of one data set; a network counts once."""
    if not tables:
        return 0.0
    whole = pd.concat(tables).drop_duplicates("network")
    return float(((whole["seconds"] - whole["earlier_seconds"]) * whole["seeds"]).sum()) / 3600
