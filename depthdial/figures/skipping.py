"""Accuracy against the number of skipped blocks: does Stochastic Depth make skipping bearable?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from depthdial.artefacts import read_table
from depthdial.figures.style import Drawing, Style, canvas, in_percent, seeds_of, tell_all

Run = tuple[str, str, int]
"""Network, role, seed."""


def draw(style: Style, *, masks: Sequence[str], runs: Sequence[Run]) -> Drawing:
    """The mask tables of a dial and its controls over all seeds; ``runs`` says whose each of them is.

    Where random masks skip so many blocks, they stand in place of those that a search asked for, and no line joins
    them to those: a search asks for good masks.
    """
    tables = [
        read_table(path, columns=["mask", "kept", "val_accuracy"]).assign(
            network=network, role=role, seed=seed, drawn="samples" in Path(path).parts
        )
        for path, (network, role, seed) in zip(masks, runs, strict=True)
    ]
    known = pd.concat(tables)
    known = known[known["drawn"] | ~known.groupby(["network", "seed", "kept"])["drawn"].transform("any")]
    data = skipping_data(known)
    at = sorted(set((known["mask"].str.len() - known["kept"])[known["drawn"]]))
    which = f"searched masks, at {', '.join(map(str, at))} (not joined) random ones" if at else "all masks"
    note = f"bands: seeds {seeds_of(data)}; {which}, validation split"
    return Drawing(picture(data, style), data, note)


def skipping_data(masks: pd.DataFrame) -> pd.DataFrame:
    """Best, median and worst validation accuracy per network, seed and number of skipped blocks.

    ``masks``: all mask tables with columns network, role, seed, mask, kept, val_accuracy.
    """
    table = masks.assign(skipped=masks["mask"].str.len() - masks["kept"])
    if "drawn" not in table:
        table["drawn"] = False
    grouped = table.groupby(["network", "role", "seed", "skipped", "drawn"])["val_accuracy"]
    return grouped.agg(best="max", median="median", worst="min", masks="size").reset_index()


def picture(data: pd.DataFrame, style: Style) -> Figure:
    """One panel per role; lines are means over seeds, bands span the seeds."""
    with canvas(style.width_mm, 0.7 if len(data["role"].unique()) > 1 else 0.72, max(1, data["role"].nunique()),
                sharey=True, sharex=True, squeeze=False) as (figure, axes):  # fmt: skip
        for axis, role in zip(axes[0], [r for r in ("dial", "control") if (data["role"] == r).any()], strict=True):
            part = data[data["role"] == role]
            _panel(axis, part, style.colours[role])
            kind = "constant depth" if role == "control" else role
            axis.set_title(f"{part['network'].iloc[0]}\n({kind})")
            axis.set_xlabel("blocks skipped")
        axes[0][0].set_ylabel("validation accuracy / %")
        in_percent(axes[0][0].yaxis)
        axes[0][0].set_ylim(0, 1.02)
        axes[0][0].legend(loc="lower left", fontsize=6, handlelength=1.6)
        figure.suptitle(style.title, fontsize=8, x=0.01, ha="left")
        return figure


def _panel(axis: Axes, part: pd.DataFrame, colour: str) -> None:
    styles = {"best": ("-", "o"), "median": ("--", "s"), "worst": (":", "v")}
    for name, (line, marker) in styles.items():
        by_skipped = part.groupby("skipped")[name]
        mean = by_skipped.mean()
        drawn = part.groupby("skipped")["drawn"].any()
        joined = mean.mask(drawn)
        axis.fill_between(mean.index, by_skipped.min(), by_skipped.max(), where=~drawn, color=colour, alpha=0.2, lw=0)
        axis.plot(mean.index, joined, line, marker=marker, color=colour, label=f"{name} mask", markersize=3)
        axis.plot(mean.index, mean.where(drawn), "", marker=marker, color=colour, markersize=3)
        texts = [f"{name} mask with {n:.0f} blocks skipped: {100 * v:.1f} %" for n, v in mean.items()]
        tell_all(axis, mean.index, mean, texts)
    axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))
