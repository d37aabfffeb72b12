"""The grid of conditions: axes, cells, and the integers in which the selector compares.

Physical values become integers once, here: the solver, the Python selector and the C selector then speak of
the very same levels. A level of a *floor* axis (battery, reserve, deadline) is the least value of its cells, a
level of a *ceiling* axis (rate, slowdown, temperature) the greatest; rounding goes to the safe side.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from depthdial.config.schedule import Grid as GridSettings
from depthdial.errors import ScheduleError

AXES = ("reserve", "battery", "temperature", "slowdown", "rate", "deadline")
FLOORS = frozenset({"reserve", "battery", "deadline"})
SCALES = {
    "reserve": 1000,
    "battery": 1000,
    "temperature": 10,
    "slowdown": 1024,
    "rate": 1000,
    "deadline": 1_000_000,
}
UNITS = {
    "reserve": "permille of plan",
    "battery": "permille of charge",
    "temperature": "tenths of a kelvin",
    "slowdown": "1024ths",
    "rate": "millihertz",
    "deadline": "nanoseconds",
}
ZERO_CELSIUS = 273.15
UNKNOWN = 2**64 - 1
LARGEST = 2**48 - 1


def encode(axis: str, value: float) -> int:
    """The integer that stands for a measured ``value`` on ``axis``, rounded to the safe side.

    Units of ``value``: shares for battery and reserve, degrees Celsius, a factor for slowdown, Hz, ms. A value
    that is no number, negative or beyond reason becomes UNKNOWN.
    """
    scaled = (value + ZERO_CELSIUS if axis == "temperature" else value) * SCALES[axis]
    if not 0 <= scaled <= LARGEST:  # also refuses NaN
        return UNKNOWN
    return math.floor(scaled) if axis in FLOORS else math.ceil(scaled)


def decode(axis: str, level: int) -> float:
    """The physical value of an integer level of ``axis``."""
    value = level / SCALES[axis]
    return value - ZERO_CELSIUS if axis == "temperature" else value


@dataclass(frozen=True)
class Axis:
    """One dimension of the grid; ``levels`` are integers in the units of UNITS, ascending."""

    name: str
    levels: tuple[int, ...]

    @property
    def is_floor(self) -> bool:
        """Levels are the least values of their cells, not the greatest."""
        return self.name in FLOORS

    @property
    def values(self) -> NDArray[np.float64]:
        """The levels in physical units."""
        return np.array([decode(self.name, level) for level in self.levels])

    def index(self, value: int) -> int | None:
        """The level that holds at ``value``; None where none does (below a floor, above a ceiling)."""
        found = sum(level < value + self.is_floor for level in self.levels) - self.is_floor
        return found if 0 <= found < len(self.levels) else None


@dataclass(frozen=True)
class Grid:
    """All combinations of the levels of some axes; cells are numbered with the last axis fastest."""

    axes: tuple[Axis, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of levels of every axis."""
        return tuple(len(axis.levels) for axis in self.axes)

    @property
    def size(self) -> int:
        """Number of cells."""
        return math.prod(self.shape)

    def has(self, name: str) -> bool:
        """Whether the grid has that axis."""
        return any(axis.name == name for axis in self.axes)

    def axis(self, name: str) -> Axis:
        """The axis of that name."""
        return next(axis for axis in self.axes if axis.name == name)

    def indices(self, name: str) -> NDArray[np.intp]:
        """For every cell the index of its level on that axis; shape (cells,)."""
        position = [axis.name for axis in self.axes].index(name)
        return np.indices(self.shape)[position].reshape(-1)

    def values(self, name: str, default: float) -> NDArray[np.float64]:
        """For every cell the physical value of its level, ``default`` where the grid lacks the axis."""
        if not self.has(name):
            return np.full(self.size, default)
        return self.axis(name).values[self.indices(name)]

    def cell(self, levels: Mapping[str, int]) -> int:
        """The number of the cell with these level indices, one per axis."""
        return int(np.ravel_multi_index([levels[axis.name] for axis in self.axes], self.shape))

    def describe(self, cell: int) -> dict[str, float]:
        """Axis -> physical level of a cell."""
        index = np.unravel_index(cell, self.shape)
        return {axis.name: float(axis.values[i]) for axis, i in zip(self.axes, index, strict=True)}

    def neighbours(self, name: str) -> list[tuple[int, int]]:
        """Pairs (cell, the cell one level higher on that axis and equal on all others)."""
        cells = np.arange(self.size).reshape(self.shape)
        position = [axis.name for axis in self.axes].index(name)
        swapped = np.moveaxis(cells, position, 0)
        return list(zip(swapped[:-1].reshape(-1).tolist(), swapped[1:].reshape(-1).tolist(), strict=True))


def make_grid(settings: GridSettings, full_latency_ms: float) -> Grid:
    """The grid that the settings describe on a device whose c00 takes ``full_latency_ms``.

    Raises ScheduleError if two levels of an axis fall together in the selector's integers.
    """
    deadlines = [level * full_latency_ms for level in settings.deadline_relative] or list(settings.deadline_ms)
    levels = {
        "reserve": settings.reserve,
        "battery": settings.battery,
        "temperature": settings.temperature_c,
        "slowdown": settings.slowdown,
        "rate": settings.rate_hz,
        "deadline": deadlines,
    }
    axes = []
    for name in AXES:
        encoded = tuple(_encode_level(name, level) for level in levels[name])
        if len(set(encoded)) < len(encoded) or UNKNOWN in encoded:
            raise ScheduleError(
                f"schedule.grid.{name}: levels {list(levels[name])} become {list(encoded)} {UNITS[name]}, which "
                "are not distinct numbers in range; choose levels further apart or within range"
            )
        if encoded:
            axes.append(Axis(name, encoded))
    return Grid(tuple(axes))


def _encode_level(axis: str, value: float) -> int:
    """A level as an integer; rounded to nearest, since the grid is then defined by these very integers."""
    shifted = (value + ZERO_CELSIUS if axis == "temperature" else value) * SCALES[axis]
    return round(shifted) if 0 <= shifted <= LARGEST else UNKNOWN
