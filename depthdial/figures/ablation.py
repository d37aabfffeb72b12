"""The rules of scaling kept blocks, with and without recalibrated BatchNorm."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from depthdial.artefacts import read_table
from depthdial.figures.style import Drawing, Style, canvas, in_percent, tell_all

SHARES = {1.0: ("recalibrated", "-", True), 0.5: ("blend", "--", False), 0.0: ("as trained", ":", False)}
"""How much of the BatchNorm statistics is taken anew: how that is said and drawn."""


def draw(style: Style, *, ablation: str) -> Drawing:
    """The same masks under every rule of scaling."""
    table = read_table(ablation)
    return Drawing(picture(table, style), table, f"the same {table['mask'].nunique()} masks, validation split")


def picture(table: pd.DataFrame, style: Style) -> Figure:
    """Accuracy of the same masks under each rule of scaling; filled with recalibrated BatchNorm, open without.

    The legend has the mean over all masks, which is what recalibration is worth.
    """
    with canvas(style.width_mm, 0.85) as (figure, axis):
        names = {"survival": ("dial", "o"), "none": ("control", "s"), "inverse": ("static", "v")}
        for scaling, (colour, marker) in names.items():
            for share, (how, line, filled) in SHARES.items():
                part = table[(table["scaling"] == scaling) & (table["recalibrated"] == share)]
                if part.empty:
                    continue
                mean = part.groupby("kept")["val_accuracy"].mean()
                # In words for all masks: differences are smaller than what the eye tells apart.
                label = f"{scaling}, {how}: {100 * part['val_accuracy'].mean():.1f} %"
                look = {"linestyle": line, "mfc": style.colours[colour] if filled else "white"}
                axis.plot(mean.index, mean, marker=marker, color=style.colours[colour], label=label, **look)
                texts = [f"{scaling}, {how}, {kept:.0f} blocks kept: {100 * v:.1f} %" for kept, v in mean.items()]
                tell_all(axis, mean.index, mean, texts)
        axis.set(xlabel="blocks kept", ylabel="mean validation accuracy / %", title=style.title, ylim=(0, 1.02))
        in_percent(axis.yaxis)
        figure.legend(fontsize=6, loc="outside upper left", ncols=2)
        return figure
