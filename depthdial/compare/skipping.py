"""What skipping costs: best, mean and worst mask at each number of skipped blocks, by how a network was trained."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb
from typing import Any

import numpy as np
import pandas as pd

from depthdial.compare.runs import Trained, bits
from depthdial.statistics.intervals import NOTHING, Interval, difference, paired, same_images, share

ALL = "all"
"""The row over all masks, whatever they skip."""
STATISTICS = ("best", "median", "mean", "worst", "spread")


def by_skipped(run: Trained) -> pd.DataFrame:
    """Validation accuracy of one trained network, indexed by the number of skipped blocks, and over all masks.

    Columns: masks, best, median, mean, worst, spread (best - worst), complete (whether all such masks are evaluated),
    sampled (whether they are drawn at random, and not what a search asked for). The last row has no drawn ones.
    """
    n = run.arch.n_units
    drawn = {} if run.samples is None else _groups(run.samples, n)
    parts = _groups(run.masks, n) | drawn
    there_are: dict[Any, int] = {k: comb(n, k) for k in range(n + 1)} | {ALL: 2**n}
    groups: dict[Any, Any] = {k: parts[k] for k in sorted(parts)} | {ALL: run.masks["val_accuracy"]}
    rows = {
        skipped: {
            "masks": len(part),
            "complete": len(part) == there_are[skipped],
            "sampled": skipped in drawn,
            "best": part.max(),
            "median": part.median(),
            "mean": part.mean(),
            "worst": part.min(),
            "spread": part.max() - part.min(),
        }
        for skipped, part in groups.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").infer_objects()


def _groups(table: pd.DataFrame, n: int) -> dict[int, Any]:
    """The accuracies in a table of masks of n units, by the number of skipped ones."""
    return {n - kept: table.loc[table["kept"] == kept, "val_accuracy"] for kept in set(table["kept"])}


def apart(run: Trained, skipped: object) -> Interval:
    """How far the best and the worst random mask lie apart: chosen on every other image, judged on the images between.

    So what is called the best because its images were easy gains nothing by it. Nothing without random masks.
    """
    if run.samples is None or not (run.arch.n_units - run.samples["kept"] == skipped).any():
        return NOTHING
    table = run.samples[run.arch.n_units - run.samples["kept"] == skipped]
    right = np.array([bits(packed, n) for packed, n in zip(table["correct"], table["n_val"], strict=True)])
    chosen = right[:, ::2].mean(axis=1)
    return same_images(right[chosen.argmax(), 1::2], right[chosen.argmin(), 1::2])


def on_same_masks(dial: Trained, control: Trained, skipped: object) -> Interval:
    """Mean difference of two networks over the same random masks; paired t over the masks."""
    assert dial.samples is not None
    assert control.samples is not None
    both = dial.samples.merge(control.samples, on=["mask", "kept"])
    both = both[dial.arch.n_units - both["kept"] == skipped]
    return paired(both["val_accuracy_x"], both["val_accuracy_y"])


def skipping(dials: Sequence[Trained], controls: Sequence[Trained]) -> pd.DataFrame:
    """A row per number of skipped blocks, then one over all masks; means over seeds on the validation split.

    Columns: skipped, masks (of the first seed), complete (all masks of all seeds are evaluated), sampled (the same
    random ones of all), seeds; dial_best, dial_median, dial_mean, dial_worst, dial_spread and the same of the control,
    with intervals; difference_best and difference_mean (dial - control; Welch), only where complete or sampled: the
    masks of two searches are not comparable. Of one seed difference_mean of random masks has its interval over those
    masks, and dial_apart is the spread with its interval over images.
    """
    ours, theirs = [by_skipped(run) for run in dials], [by_skipped(run) for run in controls]
    rows = []
    for skipped in ours[0].index:
        row: dict[str, Any] = {"skipped": skipped, "masks": ours[0].loc[skipped, "masks"]}
        present = [table for table in (*ours, *theirs) if skipped in table.index]
        everywhere = len(present) == len(ours) + len(theirs)
        row["complete"] = everywhere and all(t.loc[skipped, "complete"] for t in present)
        row["sampled"] = everywhere and all(t.loc[skipped, "sampled"] for t in present)
        row["seeds"] = len(dials)
        values = {
            (role, name): [table.loc[skipped, name] for table in tables if skipped in table.index]
            for role, tables in (("dial", ours), ("control", theirs))
            for name in STATISTICS
        }
        for (role, name), found in values.items():
            row |= share(found).columns(f"{role}_{name}")
        for name in ("best", "mean"):
            alike = row["complete"] or row["sampled"]
            between = difference(values["dial", name], values["control", name]) if alike else NOTHING
            row |= between.columns(f"difference_{name}")
        if row["sampled"] and len(dials) == len(controls) == 1:
            row |= on_same_masks(dials[0], controls[0], skipped).columns("difference_mean")
        row |= (apart(dials[0], skipped) if len(dials) == 1 else NOTHING).columns("dial_apart")
        rows.append(row)
    return pd.DataFrame(rows)
