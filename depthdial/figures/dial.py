"""The dial: what its configurations reach and how long they take, beside what one would deploy instead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from depthdial.compare.files import read_comparison
from depthdial.figures.style import Drawing, Style, canvas, point, spread, tell
from depthdial.networks.configurations import FULL

Row = Mapping[Any, Any]
KINDS = {"dial": ("dial", "o"), "full": ("dial", "o"), "static": ("static", "D"), "constant": ("control", "s")}
"""Kind of point -> colour and marker; ``full`` is the full network, a configuration of the dial."""
LABELS = {"static": "static networks", "constant": "constant depth, at c00's time"}
COLUMNS = [f"{name}{end}" for name in ("latency_ms", "test_accuracy") for end in ("", "_low", "_high")]


def draw(style: Style, *, configurations: str, equal_time: str, network: str, constant: list[str]) -> Drawing:
    """One device's comparison tables; ``constant`` names the dial's network of constant depth, if there is one."""
    control = constant_depth(read_comparison(equal_time), constant[0]) if constant else None
    data = dial_data(read_comparison(configurations), network, control)
    return Drawing(picture(data, style), data, f"{network}; bars: 95 % intervals (bootstrap of the median, Wilson)")


def constant_depth(equal_time: pd.DataFrame, name: str) -> Row | None:
    """Name and test accuracy of the full network of constant depth, out of ``equal_time.csv``."""
    known = equal_time.dropna(subset=["constant"]) if "constant" in equal_time else equal_time[:0]
    if known.empty:
        return None
    ends = {f"test_accuracy{end}": known.iloc[0][f"constant{end}"] for end in ("", "_low", "_high")}
    return {"name": name} | ends


def dial_data(configurations: pd.DataFrame, dial: str, constant: Row | None) -> pd.DataFrame:
    """A row per point: kind, name, mask, latency_ms and test_accuracy with their intervals; by rising latency.

    ``configurations`` is one device's table. The network of constant depth runs the very program of the dial's full
    network, so that its time stands for both.
    """
    rows: list[dict[str, Any]] = []
    for row in configurations.to_dict("records"):
        ours = row["network"] == dial
        kind = ("full" if row["configuration"] == FULL else "dial") if ours else "static"
        about = {"kind": kind, "name": row["configuration"] if ours else row["network"], "mask": row["mask"]}
        rows.append(about | {column: row[column] for column in COLUMNS})
    if constant is not None:
        rows += [{**row, "kind": "constant", **constant} for row in rows if row["kind"] == "full"]
    return pd.DataFrame(rows).sort_values(["latency_ms", "kind"], ignore_index=True)


def picture(data: pd.DataFrame, style: Style) -> Figure:
    """Test accuracy against measured latency: the dial as a line through its configurations."""
    with canvas(1.25 * style.width_mm, 0.78) as (figure, axis):
        ours = data[data["kind"].isin(["dial", "full"])]
        line = {"color": style.colours["dial"], "linewidth": 2.2, "marker": "o"}
        axis.plot(ours["latency_ms"], 100 * ours["test_accuracy"], label="the dial; c00 is the full network", **line)
        names = [_point(axis, row, style.colours) for row in data.to_dict("records")]
        for kind in (kind for kind in LABELS if (data["kind"] == kind).any()):
            colour, marker = KINDS[kind]
            axis.plot([], [], marker, color=style.colours[colour], label=LABELS[kind])
        low, high = 100 * data["test_accuracy_low"].min(), 100 * data["test_accuracy_high"].max()
        room = max(high - low, 1.0)
        axis.set(xlabel="median latency / ms", ylabel="test accuracy / %", title=style.title)
        axis.set(xlim=(0, 1.12 * data["latency_ms_high"].max()), ylim=(low - 0.05 * room, high + 0.1 * room))
        axis.legend(loc="lower right")
        spread(figure, [name for name in names if name.get_text()])
        return figure


def _point(axis: Axes, row: Row, colours: Mapping[str, str]) -> Annotation:
    colour, marker = KINDS[row["kind"]]
    at = (row["latency_ms"], 100 * row["test_accuracy"])
    name = point(
        axis,
        at,
        "" if row["kind"] == "constant" else row["name"],
        colours[colour],
        marker,
        (100 * row["test_accuracy_low"], 100 * row["test_accuracy_high"]),
        (row["latency_ms_low"], row["latency_ms_high"]),
    )
    tell(axis, at, tooltip(row))
    return name


def tooltip(row: Row) -> str:
    """What a point says of itself."""
    ends = f"[{100 * row['test_accuracy_low']:.1f}, {100 * row['test_accuracy_high']:.1f}]"
    figures = f"{100 * row['test_accuracy']:.1f} % {ends}"
    if row["kind"] == "constant":
        return f"{row['name']}, constant depth: {figures}; it runs the program of c00"
    kept = f"; keeps {row['mask'].count('1')} of {len(row['mask'])} blocks" if row["kind"] != "static" else ""
    return f"{row['name']}: {figures}, {row['latency_ms']:.3g} ms{kept}"
