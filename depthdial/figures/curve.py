"""What more resident configurations would buy."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from depthdial.artefacts import read_table
from depthdial.figures.style import Drawing, Style, canvas, tell


def draw(style: Style, *, curve: str) -> Drawing:
    """The optimum for each number of resident configurations."""
    table = read_table(curve)
    return Drawing(picture(table, style), table, "each point is an optimum of its own")


def picture(curve: pd.DataFrame, style: Style) -> Figure:
    """What is minimised first, next and last, against the number of resident configurations.

    Fewer misses come first, then budgets kept, then accuracy: accuracy may fall where one of the others gains.
    """
    rows = [
        ("misses", 100, "missed\n/ % of inputs"),
        ("over_budget", 100, "worst budget\nexceeded / %"),
        ("val_accuracy", 100, "validation\naccuracy / %"),
    ]
    with canvas(1.2 * style.width_mm, 0.75, rows=len(rows), sharex=True) as (figure, axes):
        used = curve[curve["used"]]
        for axis, (column, scale, label) in zip(axes, rows, strict=True):
            axis.plot(curve["resident"], scale * curve[column], "-o", color=style.colours["dial"])
            for k, value in zip(curve["resident"], scale * curve[column], strict=True):
                tell(axis, (k, value), f"{k} resident: {column.replace('_', ' ')} {value:.3g}")
            axis.plot(used["resident"], scale * used[column], "o", ms=9, mfc="none", color=style.colours["dial"])
            axis.set_ylabel(label)
            axis.margins(y=0.25)
        for axis in axes[:2]:
            most = max(axis.get_ylim()[1], 0.01)
            axis.set_ylim(-0.15 * most, 1.2 * most)  # room for the marks, whose share is never below nothing
        axes[0].set_title(style.title)
        axes[-1].set_xlabel("resident configurations K (ring: shipped)")
        axes[-1].set_xticks(curve["resident"])
        return figure
