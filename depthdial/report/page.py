"""Put the page together: plain data from the tables in, one HTML file with everything inside it out."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from depthdial.report.findings import Badge
from depthdial.report.pictures import Picture
from depthdial.report.tables import Table, data_link

SHADES = 5
"""Shades of the map of cells, from the fastest configuration to the slowest."""


@dataclass(frozen=True)
class Section:
    """A folded part of the page; ``lead`` says what to see in it. ``undecided`` tables are folded once more;
    ``code`` is shown as it is."""

    key: str
    title: str
    lead: str
    sentences: Sequence[str] = ()
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()
    undecided: Sequence[tuple[str, Table]] = ()
    code: str = ""


@dataclass(frozen=True)
class Place:
    """A dial on a device: the result in words, its picture, the dial to turn (``report.dial.turned``), the day."""

    key: str
    title: str
    sentence: str
    sentences: Sequence[str]
    badges: Sequence[Badge]
    hero: Picture
    dial: Mapping[str, Any]
    front: Sequence[tuple[float, float]]
    """Latency and accuracy of the configurations, for the overview."""
    day: Picture | None = None
    day_lead: str = ""
    day_samples: Sequence[Mapping[str, Any]] = ()
    sections: Sequence[Section] = field(default_factory=tuple)

    @property
    def cell(self) -> int:
        """The cell at which the page begins."""
        return number(self.dial, self.dial["start"])

    @property
    def now(self) -> Mapping[str, Any]:
        """The configuration of that cell."""
        found: Mapping[str, Any] = self.dial["settings"][self.dial["cells"][self.cell]]
        return found

    @property
    def map(self) -> dict[str, Any]:
        """The cells across two axes, the others where the page begins."""
        return cell_map(self.dial)

    @property
    def sparkline(self) -> str:
        """The front, small."""
        return sparkline(self.front)


def number(dial: Mapping[str, Any], levels: Sequence[int]) -> int:
    """The number of the cell at these levels, the last axis fastest."""
    cell = 0
    for axis, level in zip(dial["axes"], levels, strict=True):
        cell = cell * len(axis["texts"]) + level
    return cell


def shades(dial: Mapping[str, Any]) -> list[int]:
    """A shade for each configuration, which are ordered fastest first."""
    last = max(1, len(dial["settings"]) - 1)
    return [round(index * (SHADES - 1) / last) for index in range(len(dial["settings"]))]


def cell_map(dial: Mapping[str, Any]) -> dict[str, Any]:
    """Rows and columns of the map: the deadline across if there is one, the first other axis up, from the highest."""
    axes, start, shade = dial["axes"], list(dial["start"]), shades(dial)
    across = next((index for index, axis in enumerate(axes) if axis["name"] == "deadline"), len(axes) - 1)
    up = next((index for index in range(len(axes)) if index != across), across)
    fixed = [index for index in range(len(axes)) if index not in (across, up)]

    def cell(row: int, column: int) -> dict[str, Any]:
        levels = [column if index == across else row if index == up else start[index] for index in range(len(axes))]
        found = number(dial, levels)
        one = dial["settings"][dial["cells"][found]]
        return {
            "name": one["name"],
            "told": f"{one['name']}: {one['accuracy']}, {one['latency']}, {one['energy']}",
            "shade": shade[dial["cells"][found]],
            "now": levels == start,
            "unserved": found in dial["unserved"],
        }

    heights = range(len(axes[up]["texts"])) if up != across else [start[across]]
    names = ", ".join(one["name"] for one in dial["settings"])
    return {
        "across": across,
        "up": up,
        "caption": f"{axes[across]['named']} across" + (f", {axes[up]['named']} up" if up != across else ""),
        "columns": axes[across]["levels"],
        "rows": [
            {
                "text": axes[up]["levels"][row] if up != across else "",
                "cells": [cell(row, column) for column in range(len(axes[across]["texts"]))],
            }
            for row in reversed(heights)
        ],
        "fixed": ", ".join(f"{axes[i]['name']} {axes[i]['bound']} {axes[i]['texts'][start[i]]}" for i in fixed),
        "legend": f"From light to dark: {names}, the fastest first. In hatched cells none is in time, and the fastest "
        "answers.",
    }


def sparkline(front: Sequence[tuple[float, float]]) -> str:
    """Points joined by a line, in a box of 100 by 30; the words beside it say what it shows."""
    xs, ys = [x for x, _ in front], [y for _, y in front]
    wide, high = max(xs) - min(xs) or 1.0, max(ys) - min(ys) or 1.0
    at = [(4 + 92 * (x - min(xs)) / wide, 26 - 22 * (y - min(ys)) / high) for x, y in sorted(front)]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in at)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2" fill="var(--dial)"/>' for x, y in at)
    style = 'fill="none" stroke="var(--dial)" stroke-width="1.5"'
    return f'<svg viewBox="0 0 100 30" aria-hidden="true"><polyline points="{line}" {style}/>{dots}</svg>'


def page_data(places: Sequence[Place]) -> dict[str, Any]:
    """What the page's script reads."""
    return {
        place.key: {"dial": place.dial, "shades": shades(place.dial), "day": list(place.day_samples)}
        for place in places
    }


def script_json(value: Any) -> str:
    """JSON that can stand in a page's script element, whatever its texts hold."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e").replace("\u2028", "\\u2028")


def render(title: str, places: Sequence[Place], sections: Sequence[Section], footer: str) -> str:
    """The page as HTML with everything inside it."""
    environment = Environment(loader=PackageLoader("depthdial.report", "."), autoescape=True, undefined=StrictUndefined)
    environment.filters["link"] = data_link
    script = _own("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("page.html").render(
        title=title,
        places=places,
        sections=sections,
        contents=contents(places, sections),
        footer=footer,
        style=Markup(_own("page.css")),
        script=Markup(script),
        digest=digest,
        data=script_json(page_data(places)),
    )


def contents(places: Sequence[Place], sections: Sequence[Section]) -> list[tuple[str, str]]:
    """Keys and names of what one can go to; of several dials only the dials themselves."""
    if len(places) > 1:
        own = [("overview", "Overview"), *((place.key, place.title) for place in places)]
    else:
        own = []
        for place in places:
            own += [(place.key, "Result"), (f"{place.key}-dial", "Turn the dial")]
            own += [(f"{place.key}-day", "A day")] if place.day else []
            own += [(section.key, section.title) for section in place.sections]
    return own + [(section.key, section.title) for section in sections]


def _own(name: str) -> str:
    return resources.files("depthdial.report").joinpath(name).read_text(encoding="utf-8")
