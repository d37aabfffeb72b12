"""The rules of scaling kept blocks, with and without recalibrated BatchNorm."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from depthdial.artefacts import read_table
from depthdial.figures.style import Drawing, Style, canvas


def draw(style: Style, *, ablation: str) -> Drawing:
    """The same masks under every rule of scaling."""
    table = read_table(ablation)
    return Drawing(picture(table, style), table, f"the same {table['mask'].nunique()} masks, validation split")


def picture(table: pd.DataFrame, style: Style) -> Figure:
    """Accuracy of the same masks under each rule of scaling; filled with recalibrated BatchNorm, open without."""
    with canvas(style.width_mm, 0.72) as (figure, axis):
        names = {"survival": ("dial", "o"), "none": ("control", "s"), "inverse": ("static", "v")}
        for scaling, (colour, marker) in names.items():
            for recalibrated in (True, False):
                part = table[(table["scaling"] == scaling) & (table["recalibrated"] == recalibrated)]
                mean = part.groupby("kept")["val_accuracy"].mean()
                label = f"{scaling}, {'recalibrated' if recalibrated else 'as trained'}"
                line = (
                    {"linestyle": "-", "mfc": style.colours[colour]}
                    if recalibrated
                    else {"linestyle": ":", "mfc": "white"}
                )
                axis.plot(mean.index, mean, marker=marker, color=style.colours[colour], label=label, **line)
        axis.set(xlabel="blocks kept", ylabel="mean validation accuracy", title=style.title, ylim=(0, 1.02))
        axis.legend(fontsize=6, loc="lower right")
        return figure
