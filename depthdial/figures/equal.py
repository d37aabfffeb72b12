"""Networks at equal MACs on the test split, and dials that were trained differently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from depthdial.figures.style import canvas, point
from depthdial.statistics.intervals import share

RECIPE_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#000000", "#D55E00")
"""Okabe and Ito's colours, the most distant first."""


def points(accuracies: pd.DataFrame) -> pd.DataFrame:
    """A row per network and cost: mean test accuracy over seeds, its 95 % interval, and the range of the seeds.

    ``accuracies`` are rows of ``accuracies.csv``; ``trained`` marks full networks as trained, the static
    ones among them.
    """
    rows = []
    for (network, role, budget), part in accuracies.groupby(["network", "role", "budget"], sort=False):
        found = share(part["test_accuracy"])
        rows.append(
            {
                "network": network,
                "role": role,
                "budget": budget,
                "trained": budget == "as trained",
                "macs": part["macs"].mean(),
                "test_accuracy": found.value,
                "low": found.low,
                "high": found.high,
                "worst_seed": part["test_accuracy"].min(),
                "best_seed": part["test_accuracy"].max(),
                "seeds": found.n,
            }
        )
    return pd.DataFrame(rows).sort_values(["network", "macs"], ignore_index=True)


def draw_equal(data: pd.DataFrame, colours: Mapping[str, str], title: str, width_mm: float) -> Figure:
    """Lines: the best mask at each budget, bands span the seeds. Diamonds: static networks; squares: full networks."""
    with canvas(width_mm, 0.8) as (figure, axis):
        for role, style in (("control", "--"), ("dial", "-")):
            part = data[(data["role"] == role) & ~data["trained"]]
            if len(part):
                _line(axis, part, colours[role], style, "dial" if role == "dial" else "constant depth, skipped")
        for row in data[data["trained"]].to_dict("records"):
            static = row["role"] == "static"
            at = (row["macs"] / 1e6, row["test_accuracy"])
            ends = (row["low"], row["high"]) if pd.notna(row["low"]) else (row["worst_seed"], row["best_seed"])
            name = point(axis, at, str(row["network"]) if static else "", colours[row["role"]], "Ds"[not static], ends)
            name.set_position((4, 7))
        own = data[data["role"] != "control"]
        low, high = own["worst_seed"].min(), data["best_seed"].max()
        room = max(high - low, 0.02)
        axis.set_ylim(low - 0.15 * room, high + 0.12 * room)
        axis.set(xlabel="million MACs per image", ylabel="test accuracy", title=title)
        axis.legend(loc="lower right")
        return figure


def draw_recipes(data: Sequence[tuple[str, pd.DataFrame]], title: str, width_mm: float) -> Figure:
    """A panel for each shape of dials (its name, their points): test accuracy of the best mask at each budget."""
    with canvas(width_mm, 0.68 * len(data), rows=len(data), squeeze=False) as (figure, axes):
        for axis, (name, part) in zip(axes[:, 0], data, strict=True):
            for index, (network, dial) in enumerate(part[~part["trained"]].groupby("network", sort=False)):
                style = ("-", "--", ":", "-.")[index % 4]
                _line(axis, dial, RECIPE_COLOURS[index % len(RECIPE_COLOURS)], style, str(network))
            axis.set(xlabel="million MACs per image", ylabel="test accuracy", title=f"{name}, {title}")
            axis.legend(loc="best")
        return figure


def _line(axis: Axes, part: pd.DataFrame, colour: str, style: str, label: str) -> None:
    part = part.drop_duplicates("macs").sort_values("macs")
    x = part["macs"] / 1e6
    axis.fill_between(x, part["worst_seed"], part["best_seed"], color=colour, alpha=0.2, linewidth=0)
    axis.plot(x, part["test_accuracy"], style, marker="o", markersize=3, color=colour, label=label)
