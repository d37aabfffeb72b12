"""What more resident configurations would buy."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from depthdial.artefacts import read_table
from depthdial.figures.style import Drawing, Look, canvas


def draw(look: Look, *, curve: str) -> Drawing:
    """The optimum for each number of resident configurations."""
    table = read_table(curve)
    return Drawing(picture(table, look), table, "each point is an optimum of its own")


def picture(curve: pd.DataFrame, look: Look) -> Figure:
    """What is minimised first, next and last, against the number of resident configurations.

    Fewer misses come first, then budgets kept, then accuracy: accuracy may fall where one of the others gains.
    """
    rows = [
        ("misses", 100, "missed\n/ % of inputs"),
        ("over_budget", 100, "worst budget\nexceeded / %"),
        ("val_accuracy", 1, "accuracy\n(validation)"),
    ]
    with canvas(look.width_mm, 1.0, rows=len(rows), sharex=True) as (figure, axes):
        used = curve[curve["used"]]
        for axis, (column, scale, label) in zip(axes, rows, strict=True):
            axis.plot(curve["resident"], scale * curve[column], "-o", color=look.colours["dial"])
            axis.plot(used["resident"], scale * used[column], "o", ms=9, mfc="none", color=look.colours["dial"])
            axis.set_ylabel(label)
            axis.margins(y=0.25)
        for axis in axes[:2]:
            axis.set_ylim(bottom=0 if axis.get_ylim()[1] > 0 else -1)
        axes[0].set_title(look.title)
        axes[-1].set_xlabel("resident configurations K (ring: shipped)")
        axes[-1].set_xticks(curve["resident"])
        return figure
