"""Search strategies against the true front."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from depthdial.artefacts import read_table
from depthdial.figures.style import Drawing, Style, canvas, in_percent, tell, tell_all

LEAST_GAP = 1e-4


def draw(style: Style, *, search: str, fronts: str) -> Drawing:
    """The progress and the fronts of all strategies of search."""
    progress, found = read_table(search), read_table(fronts)
    cost, accuracy = progress[["reference_cost", "reference_accuracy"]].iloc[0]
    note = f"reference point: {cost:g} of the full MACs, accuracy {accuracy:g}; dotted: 95, 99, 99.9 %"
    return Drawing(picture(progress, found, style), progress, note)


def picture(progress: pd.DataFrame, fronts: pd.DataFrame, style: Style) -> Figure:
    """Left: what is missing of the true hypervolume over the evaluations spent. Right: the fronts at the end.

    A strategy with several search seeds is drawn as their median, with a band from worst to best; its front is that
    of the first seed. A front is a staircase: between two masks of it the better one cannot be afforded.
    """
    with canvas(1.9 * style.width_mm, 0.5, 2, width_ratios=[1.15, 1]) as (figure, axes):
        strategies = list(dict.fromkeys(progress["strategy"]))
        palette = mpl.colormaps["tab10"]
        for index, strategy in enumerate(strategies):
            marks = {
                "color": palette(index % 10),
                "marker": "osv^D<>pPX"[index % 10],
                "markersize": 3,
                "label": strategy,
            }
            _progress(axes[0], progress[progress["strategy"] == strategy], marks)
            front = fronts[(fronts["strategy"] == strategy) & (fronts["search_seed"] == 0)].sort_values("macs")
            axes[1].step(
                front["macs"] / 1e6, front["val_accuracy"], where="post", linewidth=0.8, linestyle="--", **marks
            )
            _front_with_tooltips(axes[1], front, strategy)
        known = "share_of_exhaustive" in progress
        whole = "truth" if known else "together"
        best = fronts[fronts["strategy"] == whole].sort_values("macs")
        axes[1].step(best["macs"] / 1e6, best["val_accuracy"], where="post", color="black", linewidth=1.4, label=whole)
        _front_with_tooltips(axes[1], best, whole)
        axes[0].set(
            xscale="log",
            yscale="log",
            xlabel="block evaluations / those of all masks" if known else "block evaluations",
            ylabel="missing hypervolume / " + ("true" if known else "that of all together"),
        )
        for axis in (axes[0].xaxis, axes[0].yaxis):  # matplotlib's own formatter writes mathtext, which is off
            axis.set_major_formatter("{x:g}")
            axis.set_minor_formatter("")
        for share in (0.05, 0.01, 0.001):
            axes[0].axhline(share, color=style.colours["neutral"], linewidth=0.6, linestyle=":")
        if known:
            least, most = axes[0].get_xlim()
            ticks = [share for share in (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5) if least <= share <= most]
            axes[0].set_xticks(ticks, [f"{100 * share:g} %" for share in ticks])
            axes[0].xaxis.set_minor_locator(NullLocator())
        axes[0].set_title(style.title)
        axes[1].set(xlabel="million MACs per image", ylabel="validation accuracy / %")
        in_percent(axes[1].yaxis)
        axes[1].legend(fontsize=6, loc="lower right")
        return figure


def _front_with_tooltips(axis: Axes, front: pd.DataFrame, name: str) -> None:
    macs, accuracy = front["macs"] / 1e6, front["val_accuracy"]
    texts = [f"{name}: {100 * a:.1f} %, {m:.3g} million MACs" for m, a in zip(macs, accuracy, strict=True)]
    tell_all(axis, macs, accuracy, texts)


def _progress(axis: Axes, part: pd.DataFrame, marks: Mapping[str, Any]) -> None:
    gaps = part.assign(gap=(1 - part["hypervolume_share"]).clip(lower=LEAST_GAP))
    # What every run has reached by then, from where all of them have something; a run that ended stays where it is.
    spent = "share_of_exhaustive" if "share_of_exhaustive" in part else "block_evaluations"
    runs = gaps.pivot_table("gap", spent, "search_seed", aggfunc="last").ffill().dropna()
    every = max(1, len(runs) // 12)
    middle = runs.median(axis=1)
    axis.plot(runs.index, middle, linewidth=1, markevery=every, **marks)
    for cost, gap in list(zip(runs.index.tolist(), middle.tolist(), strict=True))[::every]:
        evaluations = f"{100 * cost:.1f} % of the" if spent == "share_of_exhaustive" else f"{cost:.0f}"
        tell(axis, (cost, gap), f"{marks['label']}: {evaluations} evaluations, {100 * gap:.2f} % missing")
    if len(runs.columns) > 1:
        axis.fill_between(runs.index, runs.min(axis=1), runs.max(axis=1), color=marks["color"], alpha=0.15, linewidth=0)
