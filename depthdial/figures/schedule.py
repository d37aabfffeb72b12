"""The schedule as a map of conditions."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from depthdial.artefacts import read_table
from depthdial.figures.style import Drawing, Style, canvas

NUMBERS = ["configuration", "index", "val_accuracy", "latency_ms", "energy_mj", "unserved", "energy_source"]
TITLES = {
    "battery": "battery left / share",
    "reserve": "energy left / energy planned",
    "deadline": "deadline / ms",
    "rate": "arrivals / s⁻¹",
    "slowdown": "slowdown",
    "temperature": "temperature / °C",
}


def draw(style: Style, *, cells: str) -> Drawing:
    """The cells of a schedule's grid with their configurations."""
    table = read_table(cells)
    note = f"brighter: costlier; hatched: deadline cannot be met; energy {table['energy_source'].iloc[0]}"
    return Drawing(picture(table, style), table, note)


def picture(cells: pd.DataFrame, style: Style) -> Figure:
    """The table as a map: two axes of the grid across and up, further axes at their middle level.

    Brighter is costlier; white hatched cells cannot be served in time and get the fastest configuration.
    """
    axes = [column for column in cells.columns if column not in ("cell", *NUMBERS)]
    across = "deadline" if "deadline" in axes else axes[-1]
    up = next((name for name in axes if name != across), None)
    shown = cells
    fixed = []
    for name in (name for name in axes if name not in (across, up)):
        levels = np.sort(cells[name].unique())
        shown = shown[shown[name] == levels[len(levels) // 2]]
        fixed.append(f"{TITLES.get(name, name)} = {levels[len(levels) // 2]:g}")
    columns = np.sort(shown[across].unique())
    rows = np.sort(shown[up].unique()) if up else np.array([0.0])
    with canvas(style.width_mm, 0.75) as (figure, axis):
        colours = mpl.colormaps["cividis"]
        most = max(1, int(cells["index"].max()))
        for cell in shown.to_dict("records"):
            x = int(np.searchsorted(columns, cell[across]))
            y = int(np.searchsorted(rows, cell[up])) if up else 0
            shade = (1.0, 1.0, 1.0, 1.0) if cell["unserved"] else colours(cell["index"] / most)
            marks: Any = {"facecolor": shade, "edgecolor": "#C8C8C8", "linewidth": 0.8}
            axis.add_patch(Rectangle((x, y), 1, 1, hatch="///" if cell["unserved"] else None, **marks))
            dark = np.dot(shade[:3], (0.3, 0.6, 0.1)) < 0.5
            text = {"color": "white" if dark else "black", "fontsize": 6, "ha": "center", "va": "center"}
            axis.text(x + 0.5, y + 0.5, cell["configuration"], **text)
        axis.set(xlim=(0, len(columns)), ylim=(0, len(rows)), xlabel=TITLES.get(across, across))
        axis.set_ylabel(TITLES.get(up, up) if up else "")
        axis.set_xticks(np.arange(len(columns)) + 0.5, [f"{value:.2g}" for value in columns])
        axis.set_yticks(np.arange(len(rows)) + 0.5, [f"{value:g}" for value in rows])
        axis.grid(visible=False)
        axis.set_title("\n".join([style.title, *fixed]))
        return figure
