"""What skipping costs: best, mean and worst mask at each number of skipped blocks, by how a network was trained."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb
from typing import Any

import pandas as pd

from depthdial.compare.runs import Trained
from depthdial.statistics.intervals import NOTHING, difference, share

ALL = "all"
"""The row over all masks, whatever they skip."""
STATISTICS = ("best", "mean", "worst", "spread")


def by_skipped(run: Trained) -> pd.DataFrame:
    """Validation accuracy of one trained network, indexed by the number of skipped blocks, and over all masks.

    Columns: masks, best, mean, worst, spread (best - worst), complete (whether all such masks are evaluated).
    """
    n = run.arch.n_units
    table = run.masks.assign(skipped=n - run.masks["kept"])
    counts: list[int] = sorted(set(table["skipped"]))
    groups: list[Any] = [(k, table.loc[table["skipped"] == k, "val_accuracy"], comb(n, k)) for k in counts]
    groups.append((ALL, table["val_accuracy"], 2**n))
    rows = {
        skipped: {
            "masks": len(part),
            "complete": len(part) == there_are,
            "best": part.max(),
            "mean": part.mean(),
            "worst": part.min(),
            "spread": part.max() - part.min(),
        }
        for skipped, part, there_are in groups
    }
    return pd.DataFrame.from_dict(rows, orient="index").infer_objects()


def skipping(dials: Sequence[Trained], controls: Sequence[Trained]) -> pd.DataFrame:
    """A row per number of skipped blocks, then one over all masks; means over seeds on the validation split.

    Columns: skipped, masks (of the first seed), complete (all masks of all seeds are evaluated), seeds; dial_best,
    dial_mean, dial_worst, dial_spread and the same of the control, with intervals; difference_best and
    difference_mean (dial - control; Welch), only where complete: the masks of two searches are not comparable.
    """
    ours, theirs = [by_skipped(run) for run in dials], [by_skipped(run) for run in controls]
    rows = []
    for skipped in ours[0].index:
        row: dict[str, Any] = {"skipped": skipped, "masks": ours[0].loc[skipped, "masks"]}
        present = [table for table in (*ours, *theirs) if skipped in table.index]
        row["complete"] = len(present) == len(ours) + len(theirs) and all(t.loc[skipped, "complete"] for t in present)
        row["seeds"] = len(dials)
        values = {
            (role, name): [table.loc[skipped, name] for table in tables if skipped in table.index]
            for role, tables in (("dial", ours), ("control", theirs))
            for name in STATISTICS
        }
        for (role, name), found in values.items():
            row |= share(found).columns(f"{role}_{name}")
        for name in ("best", "mean"):
            apart = difference(values["dial", name], values["control", name]) if row["complete"] else NOTHING
            row |= apart.columns(f"difference_{name}")
        rows.append(row)
    return pd.DataFrame(rows)
