"""Why a table chooses what it chooses: what was in time, which budget holds, what more time or charge would buy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from depthdial.errors import ScheduleError
from depthdial.schedule.grid import UNKNOWN, encode
from depthdial.schedule.table import ScheduleTable

AXES_SAID = {
    "reserve": ("charge left over charge planned; 1 is on plan", ""),
    "battery": ("charge left, as a share", ""),
    "deadline": ("time until the answer must be there", "ms"),
    "rate": ("arrivals", "per second"),
    "slowdown": ("latency now over latency measured", ""),
    "temperature": ("temperature of the device", "°C"),
}
"""Axis -> what it is, and the unit that follows a value."""


def axis_value(axis: str, value: float) -> str:
    """A value of an axis with its unit."""
    return f"{value:.3g} {AXES_SAID[axis][1]}".strip()


@dataclass(frozen=True)
class Better:
    """A more accurate configuration that the table gives where one condition is easier."""

    axis: str
    value: float
    configuration: str


@dataclass(frozen=True)
class Explanation:
    """A cell's configuration and its reasons. ``cell`` is None outside the grid, where the fail-safe one answers."""

    cell: int | None
    level: Mapping[str, float]
    configuration: str
    in_time: tuple[str, ...]
    served: bool
    budget_mj: float | None
    yielded: bool
    better: tuple[Better, ...]


def cell_at(table: ScheduleTable, conditions: Mapping[str, float]) -> int | None:
    """The cell in which physical values lie; None beyond the grid. Raises ScheduleError for axes that do not match."""
    names = [axis.name for axis in table.grid.axes]
    if missing := [name for name in names if name not in conditions]:
        raise ScheduleError(f"the schedule asks for {', '.join(names)}; give also {', '.join(missing)}")
    if unknown := [name for name in conditions if name not in names]:
        raise ScheduleError(f"the schedule has no axis {', '.join(unknown)}; it has {', '.join(names)}")
    levels = {}
    for axis in table.grid.axes:
        value = encode(axis.name, conditions[axis.name])
        index = None if value == UNKNOWN else axis.index(value)
        if index is None:
            return None
        levels[axis.name] = index
    return table.grid.cell(levels)


def explain(table: ScheduleTable, cell: int | None) -> Explanation:
    """Why the table answers with its configuration in a cell."""
    if cell is None:
        return Explanation(None, {}, table.configurations[0].name, (), False, None, False, ())
    level = table.grid.describe(cell)
    budget = next((b for b in table.budgets if b.name in (f"reserve {level.get('reserve', 0):g}", "charge")), None)
    allowed = level.get("deadline", np.inf) / level.get("slowdown", 1.0)
    return Explanation(
        cell=cell,
        level=level,
        configuration=table.configurations[table.cells[cell]].name,
        in_time=tuple(c.name for c in table.configurations if c.latency_ms <= allowed),
        served=cell not in {one.cell for one in table.unserved},
        budget_mj=budget.limit_mj if budget else None,
        yielded=bool(budget and budget.yielded),
        better=tuple(_better(table, cell)),
    )


def _better(table: ScheduleTable, cell: int) -> list[Better]:
    """Along each axis, towards the easier side, the nearest level at which a more accurate configuration answers."""
    index = np.unravel_index(cell, table.grid.shape)
    here = table.configurations[table.cells[cell]]
    found = []
    for position, axis in enumerate(table.grid.axes):
        step = 1 if axis.is_floor else -1
        levels = range(int(index[position]) + step, len(axis.levels) if axis.is_floor else -1, step)
        for level in levels:
            other = [*map(int, index)]
            other[position] = level
            there = table.configurations[table.cells[int(np.ravel_multi_index(other, table.grid.shape))]]
            if there.accuracy > here.accuracy:
                found.append(Better(axis.name, float(axis.values[level]), there.name))
                break
    return found


def reasons(table: ScheduleTable, found: Explanation) -> list[str]:
    """The explanation in sentences."""
    if found.cell is None:
        return [
            "These conditions lie outside the grid: the fastest configuration answers, as it does for unknown inputs."
        ]
    by_name = {c.name: c for c in table.configurations}
    here = by_name[found.configuration]
    if not found.served:
        said = ["No configuration serves these conditions: the fastest answers."]
    elif "deadline" in found.level:
        in_time = listed(found.in_time) if found.in_time else "none"
        said = [f"In time ({table.quantile}): {in_time}."]
    else:
        said = []
    barred = [name for name in found.in_time if by_name[name].accuracy > here.accuracy]
    if barred and found.served and found.budget_mj is not None:
        why = "more than which even the cheapest table draws" if found.yielded else "which buys more elsewhere in it"
        said.append(
            f"{listed(barred)} would be more accurate, but this level of charge has {found.budget_mj:.3g} mJ for an "
            f"inference on average, {why}."
        )
    for better in found.better:
        accuracy = f"{100 * by_name[better.configuration].accuracy:.1f} % on validation"
        said.append(f"With {better.axis} {axis_value(better.axis, better.value)}: {better.configuration} ({accuracy}).")
    if not found.better and found.served:
        said.append("Neither more time nor more charge would bring a more accurate one.")
    return said


def listed(names: Sequence[str]) -> str:
    """Names as a sentence lists them."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
