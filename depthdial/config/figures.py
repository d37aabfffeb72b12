"""How figures look."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from depthdial.config.base import Section
from depthdial.config.traces import TraceName

Colour = Annotated[str, StringConstraints(pattern=r"^#[0-9a-fA-F]{6}$")]


class Figures(Section):
    """Colours and size. The default colours are Okabe and Ito's, told apart by colour-blind readers and in grey."""

    dial: Colour = "#0072B2"
    """Colour of the Stochastic-Depth network and its configurations."""
    control: Colour = "#D55E00"
    """Colour of the constant-depth network."""
    static: Colour = "#009E73"
    """Colour of the static networks."""
    oracle: Colour = "#CC79A7"
    """Colour of the clairvoyant oracle."""
    neutral: Colour = "#6E6E6E"
    """Colour of everything in the background."""
    trace: TraceName = "drain"
    """The held-out trace that is drawn step by step: the beginning of its name."""
    width_mm: float = Field(default=88.0, ge=40, le=400)
    """Width of a figure of one column."""
    dots_per_inch: int = Field(default=200, ge=72, le=600)
    """Resolution of the PNG files."""
