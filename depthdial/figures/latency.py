"""Measured latency and energy against test accuracy."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from depthdial.figures.style import canvas, mark_modelled, point


def draw_latency(table: pd.DataFrame, dial: str, colours: Mapping[str, str], title: str, width_mm: float) -> Figure:
    """Two panels over a benchmark's table: latency, and energy per inference, against test accuracy.

    Bars: 95 % bootstrap interval of the median latency, 95 % Wilson interval of the accuracy.
    """
    with canvas(width_mm, 0.55, 2, sharey=True) as (figure, axes):
        _panel(axes[0], table, "latency", "ms", dial, colours)
        axes[0].set(xlabel="median latency / ms", ylabel="test accuracy")
        axes[0].set_title(title)
        _panel(axes[1], table, "energy", "mj", dial, colours)
        source = table["energy_source"].iloc[0]
        axes[1].set(xlabel="energy per inference / mJ")
        axes[1].set_title("modelled energy" if source == "modelled" else f"energy ({source})")
        mark_modelled(axes[1], source)
        return figure


def _panel(axis: Axes, table: pd.DataFrame, quantity: str, unit: str, dial: str, colours: Mapping[str, str]) -> None:
    for row in table.to_dict("records"):
        ours = row["network"] == dial
        colour = colours["dial"] if ours else colours["static"]
        name = row["configuration"] if ours else row["network"]
        at = (row[f"{quantity}_{unit}"], row["accuracy"])
        horizontal = (row[f"{quantity}_low_{unit}"], row[f"{quantity}_high_{unit}"])
        point(
            axis,
            at,
            name,
            colour,
            "o" if ours else "D",
            (row["accuracy_low"], row["accuracy_high"]),
            horizontal,
            not ours,
        )
    ours = table[table["network"] == dial].sort_values(f"{quantity}_{unit}")
    axis.plot(ours[f"{quantity}_{unit}"], ours["accuracy"], color=colours["dial"], linewidth=0.7, alpha=0.6)
    axis.set_xlim(left=0)
