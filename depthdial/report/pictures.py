"""Figures inside the page: the SVG that was drawn, in the page's own colours, light or dark."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

INKS = {"#000000": "ink", "#ffffff": "paper", "#e6e6e6": "rule", "#6e6e6e": "soft"}
"""Colours of the figures' frames, and the names that the style sheet gives them."""


@dataclass(frozen=True)
class Picture:
    """A figure on the page: its name, SVG to stand in HTML, caption, and the data drawn as CSV."""

    name: str
    svg: str
    caption: str
    csv: str = ""


def picture(path: str | Path, captions: Mapping[str, str], colours: Mapping[str, str], prefix: str) -> Picture:
    """The picture of an SVG file with the CSV beside it; its stem is its name and finds its caption.

    ``prefix`` keeps its identifiers apart from those of other pictures on the page.
    """
    path = Path(path)
    data = path.with_suffix(".csv")
    return Picture(
        path.stem,
        inline(path.read_text(encoding="utf-8"), colours, f"{prefix}-{path.stem}-"),
        captions[path.stem].strip(),
        data.read_text(encoding="utf-8") if data.is_file() else "",
    )


def inline(svg: str, colours: Mapping[str, str], prefix: str) -> str:
    """An SVG document as an element of a page: no prologue, identifiers of its own, colours by name.

    ``colours`` are those of the series, by name; the style sheet has a variable for each.
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    svg = re.sub(r'\bid="', f'id="{prefix}', svg)
    svg = re.sub(r'(href="#|url\(#)', rf"\g<1>{prefix}", svg)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    # How wide it was drawn: where it must shrink, its letters stay large enough to be read.
    svg = re.sub(r'<svg(?=[^>]*? viewBox="0 0 ([\d.]+) )', r'<svg style="--drawn: \1"', svg, count=1)
    names = INKS | {colour.lower(): name for name, colour in colours.items()}

    def named(found: re.Match[str]) -> str:
        name = names.get(found[2].lower())
        return f"{found[1]}: var(--{name})" if name else found[0]

    return re.sub(r"(fill|stroke): (#[0-9a-fA-F]{6})", named, svg)
