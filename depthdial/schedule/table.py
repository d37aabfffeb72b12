"""The schedule as it is shipped: schedule.json and the C header that says the same."""

from __future__ import annotations

import os
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, NonNegativeFloat, PositiveFloat, model_validator

from depthdial.artefacts import read_record
from depthdial.deploy.manifest import Text
from depthdial.files import write_json
from depthdial.schedule.grid import AXES, FLOORS, LARGEST, UNITS, Axis, Grid

TABLE_VERSION = 1
MOST_RESERVE = 2**15 - 1
"""Greatest level of reserve, in permille: the selector multiplies it by an energy without overflow."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


class TableAxis(_Part):
    """One axis of the grid."""

    name: Text
    unit: Text
    side: Literal["floor", "ceiling"]
    """Whether a level is the least or the greatest value of its cells."""
    levels: tuple[int, ...]
    """Ascending, in the unit."""


class TableConfiguration(_Part):
    """A resident configuration, as measured on the device."""

    name: Text
    accuracy: NonNegativeFloat
    """On the validation split, as every accuracy in a schedule: the test split only scores what was chosen."""
    latency_ms: NonNegativeFloat
    """At the schedule's quantile."""
    median_ms: NonNegativeFloat
    energy_mj: NonNegativeFloat
    resident_bytes: int


class TableBudget(_Part):
    """A bound on the mean energy of an inference, and what it costs."""

    name: Text
    limit_mj: float
    energy_mj: float
    binding: bool
    accuracy_per_mj: float
    """Shadow price: expected accuracy gained per mJ more for an inference, at this resident set."""
    correct_per_joule: float
    """The same, as further correct inferences for one more joule of charge."""
    yielded: bool
    """The cheapest table needs more than the budget allows, and holds instead."""


class DeadlinePrice(_Part):
    """What more time at one level of the deadline would buy."""

    deadline_ms: float
    next_ms: float
    """Milliseconds that are lacking for the configuration which gains most per millisecond."""
    configuration: Text
    accuracy_per_ms: float
    """Expected accuracy (at the price of energy) gained per millisecond, up to next_ms."""


class CurvePoint(_Part):
    """The optimum with at most ``resident`` configurations."""

    resident: int
    accuracy: float
    misses: float
    over_budget: float = 0.0
    """Most by which a budget had to yield, as a share of it; fewer configurations may overspend where more do not."""
    configurations: tuple[Text, ...]


class Unserved(_Part):
    """A cell that is served by the fastest configuration, but not in time or not accurately enough."""

    cell: int
    conditions: dict[Text, float]
    servable: bool
    """Some configuration serves the cell, but none within K and the memory."""


class TableSelector(_Part):
    """The selector's settings as integers: gain in 256ths, margin in 16ths, band in 1024ths."""

    gain: int
    margin: int
    band: int
    min_dwell: int
    max_age_ms: int


class ScheduleTable(_Part):
    """condition -> configuration, with its proof and what an engineer asks of it."""

    schema_version: Literal[1] = 1
    network: Text
    device: Text
    quantile: Literal["median", "p90", "p99"]
    energy_source: Text
    """Where the energies come from; ``modelled`` is no measurement."""
    noisy: bool = False
    """The device was too noisy: the latencies did not hold up, and the table is no better than they are."""
    status: Literal["optimal"]
    gap: float
    """Proven relative distance of the accuracy from the best possible."""
    accuracy: float
    misses: float
    switches: float
    solve_s: float
    charge_j: PositiveFloat
    inferences: PositiveFloat
    """Planned inferences per charge."""
    full_latency_ms: PositiveFloat
    """Latency of c00 at the quantile, to which relative deadlines refer."""
    axes: tuple[TableAxis, ...]
    configurations: tuple[TableConfiguration, ...]
    """The resident ones, fastest first; the first is the fail-safe one."""
    cells: tuple[int, ...]
    """For every cell, last axis fastest, the index of its configuration."""
    unserved: tuple[Unserved, ...]
    budgets: tuple[TableBudget, ...]
    deadlines: tuple[DeadlinePrice, ...]
    curve: tuple[CurvePoint, ...]
    selector: TableSelector

    @model_validator(mode="after")
    def _complete(self) -> Self:
        names = [axis.name for axis in self.axes]
        if names != [name for name in AXES if name in names]:
            raise ValueError(f"axes {names} must be some of {list(AXES)}, in this order")
        if len(self.cells) != self.grid.size:
            raise ValueError(f"{self.grid.size} cells expected, got {len(self.cells)}")
        if not 1 <= len(self.configurations) <= 255:
            raise ValueError(f"1 to 255 configurations expected, got {len(self.configurations)}")
        if any(not 0 <= c < len(self.configurations) for c in self.cells):
            raise ValueError("a cell names a configuration that is not there")
        for axis in self.axes:
            if list(axis.levels) != sorted(set(axis.levels)) or not 1 <= len(axis.levels) <= 65535:
                raise ValueError(f"axis {axis.name}: levels must ascend without repetition")
            if axis.levels[0] < 0 or axis.levels[-1] > (MOST_RESERVE if axis.name == "reserve" else LARGEST):
                raise ValueError(f"axis {axis.name}: levels are out of range")
        latencies = [configuration.latency_ms for configuration in self.configurations]
        if latencies != sorted(latencies):
            raise ValueError("configurations must be ordered fastest first")
        return self

    @property
    def grid(self) -> Grid:
        """The grid whose cells are listed."""
        return Grid(tuple(Axis(axis.name, axis.levels) for axis in self.axes))


def table_axes(grid: Grid) -> tuple[TableAxis, ...]:
    """The axes of a grid as the file says them."""
    return tuple(
        TableAxis(
            name=axis.name,
            unit=UNITS[axis.name],
            side="floor" if axis.name in FLOORS else "ceiling",
            levels=axis.levels,
        )
        for axis in grid.axes
    )


def write_schedule(path: str | os.PathLike[str], table: ScheduleTable) -> None:
    """Write schedule.json, whole or not at all."""
    write_json(path, table.model_dump(mode="json"))


def read_schedule(path: str | os.PathLike[str]) -> ScheduleTable:
    """Read and check schedule.json. Raises ArtefactError that names the file and what is wrong."""
    return read_record(path, ScheduleTable, f"a schedule of version {TABLE_VERSION}")
