"""Measured latency and energy against test accuracy."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from depthdial.compare.files import read_comparison
from depthdial.figures.style import Drawing, Style, canvas, in_percent, mark_modelled, point, spread, tell


def draw(style: Style, *, configurations: str, network: str, device: str) -> Drawing:
    """One device's table: the configurations of the dial ``network`` and the static networks."""
    table = read_comparison(configurations)
    note = f"{network} on {device}; bars: 95 % intervals (bootstrap of the median, Wilson)"
    return Drawing(picture(table, network, style), table, note)


def picture(table: pd.DataFrame, dial: str, style: Style) -> Figure:
    """Two panels over ``configurations.csv`` of a device: latency, and energy per inference, against test accuracy.

    Bars: 95 % bootstrap interval of the median latency, 95 % Wilson interval of the accuracy.
    """
    with canvas(1.6 * style.width_mm, 0.55, 2, sharey=True) as (figure, axes):
        names = _panel(axes[0], table, "latency", "ms", dial, style.colours)
        axes[0].set(xlabel="median latency / ms", ylabel="test accuracy / %")
        in_percent(axes[0].yaxis)
        axes[0].set_title(style.title if table["valid"].all() else f"{style.title}\n(device too noisy: not valid)")
        source = str(table["energy_source"].iloc[0])
        names += _panel(axes[1], table, "energy", "mj", dial, style.colours)
        axes[1].set(xlabel="energy per inference / mJ")
        axes[1].set_title("modelled energy" if source == "modelled" else f"energy ({source})")
        mark_modelled(axes[1], source)
        spread(figure, names)
        return figure


def _panel(
    axis: Axes, table: pd.DataFrame, quantity: str, unit: str, dial: str, colours: Mapping[str, str]
) -> list[Annotation]:
    names = []
    for row in table.to_dict("records"):
        ours = row["network"] == dial
        at = (row[f"{quantity}_{unit}"], row["test_accuracy"])
        horizontal = (row[f"{quantity}_{unit}_low"], row[f"{quantity}_{unit}_high"])
        vertical = (row["test_accuracy_low"], row["test_accuracy_high"])
        label, colour, marker = (
            (row["configuration"], colours["dial"], "o") if ours else (row["network"], colours["static"], "D")
        )
        names.append(point(axis, at, label, colour, marker, vertical, horizontal))
        ends = f"[{100 * vertical[0]:.1f}, {100 * vertical[1]:.1f}]"
        figures = f"{100 * at[1]:.1f} % {ends}, {at[0]:.3g} {unit.replace('mj', 'mJ')}"
        tell(axis, at, f"{label}: {figures} [{horizontal[0]:.3g}, {horizontal[1]:.3g}]")
    axis.set_xlim(0, 1.15 * table[f"{quantity}_{unit}_high"].max())  # room for the name of the slowest
    return names
