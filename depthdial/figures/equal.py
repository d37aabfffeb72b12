"""Networks at equal MACs on the test split."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from depthdial.artefacts import read_csv
from depthdial.figures.accuracies import line, points, tooltip
from depthdial.figures.style import Drawing, Style, canvas, in_percent, point, seeds_of, spread, tell


def draw(style: Style, *, accuracies: str, network: str) -> Drawing:
    """The test accuracies of a dial, its control and the static networks at each budget of MACs."""
    table = read_csv(accuracies)
    data = points(table)
    note = f"{network}; bands: seeds {seeds_of(table)}; bars: 95 %; squares: full, as trained"
    return Drawing(picture(data, style), data, note)


def picture(data: pd.DataFrame, style: Style) -> Figure:
    """Lines: the best mask at each budget, bands span the seeds. Diamonds: static networks; squares: full networks."""
    with canvas(style.width_mm, 0.8) as (figure, axis):
        for role, dashes in (("control", "--"), ("dial", "-")):
            part = data[(data["role"] == role) & ~data["trained"]]
            if len(part):
                line(axis, part, style.colours[role], dashes, "dial" if role == "dial" else "constant depth, skipped")
        names = []
        for row in data[data["trained"]].to_dict("records"):
            static = row["role"] == "static"
            at = (row["macs"] / 1e6, row["test_accuracy"])
            ends = (row["low"], row["high"]) if pd.notna(row["low"]) else (row["worst_seed"], row["best_seed"])
            name = point(
                axis, at, str(row["network"]) if static else "", style.colours[row["role"]], "Ds"[not static], ends
            )
            names += [name] if static else []
            tell(axis, at, tooltip(row))
        own = data[data["role"] != "control"]
        low, high = own["worst_seed"].min(), data["best_seed"].max()
        room = max(high - low, 0.02)
        axis.set_ylim(low - 0.15 * room, high + 0.12 * room)
        axis.set(xlabel="million MACs per image", ylabel="test accuracy / %", title=style.title)
        in_percent(axis.yaxis)
        axis.legend()
        spread(figure, names, zip(own["macs"] / 1e6, own["test_accuracy"], strict=True))
        return figure
