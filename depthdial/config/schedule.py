"""The schedule: grid of conditions, bounds, prices, and the runtime selector around the table."""

from __future__ import annotations

import math
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from depthdial.config.base import Section

Share = Annotated[float, Field(ge=0, le=1)]
Levels = Annotated[tuple[Annotated[float, Field(ge=0, le=1e9)], ...], Field(max_length=1000)]
MOST_CELLS = 20_000
"""Cells of a grid."""
AxisName = Literal["battery", "reserve", "deadline", "rate", "slowdown", "temperature"]


class Grid(Section):
    """The grid of conditions: its cells are all combinations of the levels, each list ascending.

    A level of battery, reserve and deadline is the least value of its cells; a level of rate, slowdown and
    temperature is the greatest. What a cell's configuration must do, it therefore does in the whole cell.
    """

    battery: Levels = ()
    """Charge left, as a share of the full charge."""
    reserve: Levels = (0.5, 0.7, 0.85, 0.95, 1.0, 1.05, 1.15, 1.3)
    """Charge left, as a multiple of what the plan needs for the rest of the horizon: 1 is on plan. Each level
    has a budget of its own, so that the table says what to do with more or less energy than planned."""
    deadline_relative: Levels = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    """Deadlines as multiples of the latency of c00 on the device, at the chosen quantile."""
    deadline_ms: Levels = ()
    """Deadlines in milliseconds; instead of deadline_relative, for a grid that knows its device."""
    rate_hz: Levels = ()
    """Arrivals per second. Without levels, the mean rate of the traces holds in every cell."""
    slowdown: Levels = ()
    """Latency as a multiple of the measured one. Without levels, the selector scales deadlines instead."""
    temperature_c: Annotated[tuple[Annotated[float, Field(ge=-273, le=1000)], ...], Field(max_length=1000)] = ()
    """Temperatures of the device in degrees Celsius, with one slowdown for each."""
    temperature_slowdown: Levels = ()
    """The slowdown at each temperature level."""

    @model_validator(mode="after")
    def _levels(self) -> Self:
        for name in type(self).model_fields:
            levels = getattr(self, name)
            if list(levels) != sorted(set(levels)) and name != "temperature_slowdown":
                raise ValueError(f"{name}: levels must ascend without repetition, got {list(levels)}")
        if bool(self.deadline_relative) == bool(self.deadline_ms):
            raise ValueError("give deadline_relative or deadline_ms (the other as []), one of them and not both")
        if len(self.temperature_c) != len(self.temperature_slowdown):
            raise ValueError("temperature_slowdown: one slowdown for each level of temperature_c")
        if any(level > 1 for level in self.battery):
            raise ValueError(f"battery: shares of the full charge in [0, 1], got {list(self.battery)}")
        for name in ("deadline_relative", "deadline_ms", "rate_hz", "slowdown", "temperature_slowdown"):
            if any(level <= 0 for level in getattr(self, name)):
                raise ValueError(f"{name}: levels must be above 0")
        if (cells := math.prod(self.axes().values())) > MOST_CELLS:
            raise ValueError(
                f"{cells:,} cells, all combinations of the levels; at most {MOST_CELLS:,} are solved: give fewer levels"
            )
        return self

    def axes(self) -> dict[str, int]:
        """Axis to number of its levels, of those that have any."""
        levels = {
            "battery": self.battery,
            "reserve": self.reserve,
            "deadline": self.deadline_relative or self.deadline_ms,
            "rate": self.rate_hz,
            "slowdown": self.slowdown,
            "temperature": self.temperature_c,
        }
        return {name: len(values) for name, values in levels.items() if values}


class Floor(Section):
    """An accuracy that is kept wherever all the named axes are within their ranges."""

    accuracy: Share
    """Least accuracy, as a fraction."""
    where: dict[AxisName, tuple[float, float]] = {}
    """Axis -> (least, greatest) level at which the floor holds; empty: everywhere. Deadlines in ms."""


class Selector(Section):
    """What the runtime selector does around the look-up; every part can be switched off."""

    slowdown_gain: Share = 0.25
    """Weight of a new observation in the estimate of the slowdown (EWMA); 0 switches the estimate off."""
    slowdown_margin: Annotated[float, Field(ge=0, le=8)] = 0.0
    """Mean absolute deviations added to the estimated slowdown."""
    hysteresis: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    """Width of the band, as a share of the inputs, in which the present configuration stays."""
    min_dwell: Annotated[int, Field(ge=0, le=65535)] = 0
    """Decisions for which a configuration stays before a slower one may follow; a faster one may at once."""
    max_age_ms: Annotated[int, Field(ge=0, le=2**31)] = 60_000
    """Inputs older than this are stale and lead to the fail-safe configuration; 0 switches the check off."""


class Schedule(Section):
    """How the table is solved and what the device may spend."""

    grid: Grid = Grid()
    """The conditions."""
    quantile: Literal["median", "p90", "p99"] = "p99"
    """The quantile of the measured latency that must meet the deadline."""
    resident: Annotated[int, Field(ge=1, le=60)] = 4
    """K: the most configurations that stay loaded."""
    memory_bytes: Annotated[int, Field(gt=0, le=2**62)] | None = None
    """Bound on the resident bytes of the loaded configurations together; null: none."""
    horizon_h: Annotated[float, Field(gt=0, le=1e6)] = 24.0
    """Hours that one charge must last."""
    charge_relative: Annotated[float, Field(ge=0)] | None = 0.2
    """The charge, from 0 (what the cheapest configuration would draw for the planned load over the horizon) to 1
    (what the full network would)."""
    charge_j: Annotated[float, Field(gt=0, le=1e15)] | None = None
    """The charge in joules; instead of charge_relative. If no plan keeps it, it is refused; a relative one yields."""
    utilisation: Annotated[float, Field(gt=0, le=1)] = 0.9
    """Greatest share of the time that inference may take: rate x latency."""
    floors: tuple[Floor, ...] = Field(default=(), max_length=100)
    """Accuracy floors."""
    monotone: bool = True
    """Never a costlier configuration at lower battery or reserve, all else equal."""
    switch_energy_mj: Annotated[float, Field(ge=0)] = 0.0
    """Price of a change of configuration in energy, as measured on the device."""
    switch_ms: Annotated[float, Field(ge=0)] = 0.0
    """Price of a change of configuration in time, as measured on the device; it is taken off every deadline."""
    probabilities: dict[AxisName, Levels] = {}
    """Axis -> weight of each of its levels; axes not named are estimated from the training traces."""
    smoothing: Annotated[float, Field(gt=0, le=1)] = 0.02
    """Share of the probability spread evenly over all cells, so that cells never seen are chosen with care."""
    time_limit_s: Annotated[float, Field(gt=0, le=1e6)] = 30.0
    """Limit for one solve; a table not proven optimal by then is refused."""
    selector: Selector = Selector()
    """The runtime selector."""

    @model_validator(mode="after")
    def _charge(self) -> Self:
        if (self.charge_relative is None) == (self.charge_j is None):
            raise ValueError("give charge_relative or charge_j (the other as null), one of them and not both")
        axes = self.grid.axes()
        named = [("floors", axis) for floor in self.floors for axis in floor.where]
        for key, axis in [*named, *(("probabilities", axis) for axis in self.probabilities)]:
            if axis not in axes:
                raise ValueError(f"{key}: the grid has no axis {axis}; it has {', '.join(axes)}")
        for axis, weights in self.probabilities.items():
            if len(weights) != axes[axis] or sum(weights) <= 0:
                raise ValueError(f"probabilities.{axis}: {axes[axis]} weights, one for each level, and not all 0")
        return self
