"""One look for all figures, and one way to write them: vector, PNG and the data beside them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from depthdial import __version__
from depthdial.files import atomic_path

mpl.use("Agg")

MM_PER_INCH = 25.4
RC: Any = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 7,
    "lines.linewidth": 1.4,
    "lines.markersize": 4,
    "text.parse_math": False,  # a title may hold dollars; what needs an exponent is written with ⁻¹
    "svg.fonttype": "none",
    "svg.hashsalt": "depthdial",
    "figure.constrained_layout.use": True,
}


@dataclass(frozen=True)
class Style:
    """What the settings say of a picture: its title, the colours that it uses by name, its width."""

    title: str
    colours: Mapping[str, str]
    width_mm: float


@dataclass(frozen=True)
class Drawing:
    """A figure, the data that it shows, and what is printed small below it: networks, seeds, device, intervals."""

    figure: Figure
    data: pd.DataFrame
    note: str


@contextmanager
def canvas(width_mm: float, aspect: float = 0.72, columns: int = 1, rows: int = 1, **keywords: Any) -> Any:
    """Yield a figure of ``width_mm`` and its axes; ``aspect`` is height over width. Closed afterwards."""
    with mpl.rc_context(RC):
        inches = width_mm / MM_PER_INCH
        figure, axes = plt.subplots(rows, columns, figsize=(inches, inches * aspect), **keywords)
        try:
            yield figure, axes
        finally:
            plt.close(figure)


def write(drawing: Drawing, outputs: Sequence[str], dots_per_inch: int) -> None:
    """Write the figure, with its note below it, to the .svg and .png, and its data to the .csv, of ``outputs``."""
    with mpl.rc_context(RC):
        below = f"{drawing.note} | depthdial {__version__}"
        drawing.figure.supxlabel(below, fontsize=5, color="#6E6E6E", x=0.01, ha="left")
        for output in outputs:
            with atomic_path(output) as temporary:
                if Path(output).suffix == ".csv":
                    drawing.data.to_csv(temporary, index=False)
                else:
                    metadata = {"Date": None} if Path(output).suffix == ".svg" else {}
                    drawing.figure.savefig(temporary, dpi=dots_per_inch, metadata=metadata)
                    if Path(output).suffix == ".svg":
                        temporary.write_text(titled(temporary.read_text(encoding="utf-8")), encoding="utf-8")


def point(
    axis: Axes,
    at: tuple[float, float],
    label: str,
    colour: str,
    marker: str,
    vertical: tuple[float, float],
    horizontal: tuple[float, float] | None = None,
) -> Annotation:
    """A named point with the ends of its interval in both directions; ``spread`` moves the names apart."""
    x, y = at
    xerr = None if horizontal is None else [[max(0.0, x - horizontal[0])], [max(0.0, horizontal[1] - x)]]
    yerr = [[max(0.0, y - vertical[0])], [max(0.0, vertical[1] - y)]]
    axis.errorbar(
        x, y, yerr, xerr, fmt=marker, color=colour, mec="white", mew=0.5, elinewidth=0.8, capsize=1.5, zorder=3
    )
    return axis.annotate(
        label, at, xytext=PLACES[0], textcoords="offset points", fontsize=6.5, color=colour, va="center"
    )


PLACES = [
    *((side, height) for height in (-6, 6) for side in (5, -5)),
    *((0, height) for height in (9, -9)),
    *(
        (sign * distance, height)
        for distance, heights in ((5, (-12, 12)), (12, (-16, 16, -24, 24)), (22, (0, -32, 32)))
        for height in heights
        for sign in (1, -1)
    ),
]
"""Where a name may stand relative to its point, in points; the first place without a collision is taken."""
NEAR = 16
"""So far up or down a name may go to be nearest to its own point; farther off any place without a collision does."""


def spread(figure: Figure, names: Sequence[Annotation], unnamed: Iterable[tuple[float, float]] = ()) -> None:
    """Move the names of points so that none covers another or a point, or is nearer to another's point than to its own.

    ``unnamed`` are further points of the same axes.
    """
    figure.draw_without_rendering()
    points = [name.axes.transData.transform(name.xy) for name in names if name.axes is not None]
    axes = names[0].axes if names else None
    further = [axes.transData.transform(at) for at in unnamed] if axes is not None else []
    taken = [Bbox.from_bounds(x - 4, y - 4, 8, 8) for x, y in [*points, *further]]
    for name, own in zip(names, points, strict=True):
        others = [other for other in points if tuple(other) != tuple(own)]
        free = [place for place in PLACES if _is_free(_placed(name, place), name, taken)]
        near = [(dx, dy) for dx, dy in free if abs(dy) <= NEAR]
        clear = [place for place in near if _nearest(_placed(name, place), own, others)]
        taken.append(_placed(name, next(iter([*clear, *free, *PLACES]))))


def _placed(name: Annotation, place: tuple[float, float]) -> Bbox:
    """Where a name is when it stands at ``place``."""
    name.set_position(place)
    name.set_horizontalalignment("left" if place[0] > 0 else "right" if place[0] < 0 else "center")
    return name.get_window_extent()


def _is_free(box: Bbox, name: Annotation, taken: Sequence[Bbox]) -> bool:
    frame = name.axes.get_window_extent() if name.axes is not None else box
    inside = frame.contains(box.x0, box.y0) and frame.contains(box.x1, box.y1)
    return inside and not any(box.overlaps(other) for other in taken)


def _nearest(box: Bbox, own: Iterable[float], others: Iterable[Iterable[float]]) -> bool:
    return all(_distance(box, own) <= _distance(box, other) for other in others)


def _distance(box: Bbox, at: Iterable[float]) -> float:
    """Of a point from a box; zero inside."""
    x, y = at
    return math.hypot(max(box.x0 - x, 0, x - box.x1), max(box.y0 - y, 0, y - box.y1))


TOLD = "told: "
"""Begins the name of an artist that tells its figures."""


def tell(axis: Axes, at: tuple[float, float], text: str) -> None:
    """Say ``text`` of a point when it is pointed at: an unseen disc over it, which has a title in the SVG."""
    (disc,) = axis.plot(*at, "o", ms=11, mew=0, color="#808080", alpha=0, gid=TOLD + text, zorder=9)
    disc.set_in_layout(False)


def tell_all(axis: Axes, xs: Iterable[float], ys: Iterable[float], texts: Iterable[str]) -> None:
    """Say a text of each point of a line."""
    for x, y, text in zip(xs, ys, texts, strict=True):
        tell(axis, (x, y), text)


def titled(svg: str) -> str:
    """The SVG of a figure in which whatever tells its figures is of class ``told`` and has a title."""
    return re.sub(rf'<g id="{TOLD}([^"]*)">', r'<g class="told"><title>\1</title>', svg)


def in_percent(axis: Axis) -> None:
    """Shares as per cent, which tables and pages give too; the label says so."""
    axis.set_major_formatter(lambda share, _: f"{100 * share:.6g}")


def mark_modelled(axis: Axes, source: str, height: float = 0.01) -> None:
    """Say across the plot that the energy in it was modelled, if it was."""
    if source == "modelled":
        axis.text(
            0.99, height, "energy modelled, not measured", transform=axis.transAxes, ha="right",
            va="bottom" if height < 0.5 else "top",
            fontsize=6.5, style="italic", color="#A00000",
        )  # fmt: skip


def seeds_of(table: pd.DataFrame) -> str:
    """The training seeds in a table, for the note of a figure."""
    return ", ".join(map(str, sorted(table["seed"].unique())))
