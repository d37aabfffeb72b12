"""Dials of the same shape that were trained differently, at equal MACs on the test split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure

from depthdial.artefacts import read_csv
from depthdial.figures.accuracies import line, points
from depthdial.figures.style import Drawing, Style, canvas, in_percent, seeds_of

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#000000", "#D55E00")
"""Okabe and Ito's colours, the most distant first."""


def draw(style: Style, *, accuracies: Sequence[str], shapes: Mapping[str, Sequence[str]]) -> Drawing:
    """The test accuracies of all dials; ``shapes`` says which dials each panel shows."""
    table = pd.concat([read_csv(path) for path in accuracies]).query("role == 'dial'")
    data = points(table.drop_duplicates())
    panels = [(name, data[data["network"].isin(dials)]) for name, dials in shapes.items()]
    note = f"bands: seeds {seeds_of(table)}; best mask of no more MACs, chosen on validation"
    return Drawing(picture(panels, style), data, note)


def picture(data: Sequence[tuple[str, pd.DataFrame]], style: Style) -> Figure:
    """A panel for each shape of dials (its name, their points): test accuracy of the best mask at each budget."""
    with canvas(style.width_mm, 0.68 * len(data), rows=len(data), squeeze=False) as (figure, axes):
        for axis, (name, part) in zip(axes[:, 0], data, strict=True):
            for index, (network, dial) in enumerate(part[~part["trained"]].groupby("network", sort=False)):
                dashes = ("-", "--", ":", "-.")[index % 4]
                line(axis, dial, COLOURS[index % len(COLOURS)], dashes, str(network))
            axis.set(xlabel="million MACs per image", ylabel="test accuracy / %", title=f"{name}, {style.title}")
            in_percent(axis.yaxis)
            axis.legend(loc="best")
        return figure
