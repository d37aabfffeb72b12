"""The scheduling problem in numbers: what the solver, the checker and the brute force of the tests share.

Per cell s and configuration c: weight w_s (expected share of all inferences that are made in s), accuracy a_c,
energy e_c, and whether c serves s: its latency at the chosen quantile, slowed down as the cell says and with the
price of a switch, meets the deadline, keeps up with the arrivals, and its accuracy is at or above the floor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from depthdial.config.schedule import Schedule as Settings
from depthdial.errors import ScheduleError
from depthdial.schedule.choices import Choice
from depthdial.schedule.grid import Grid

MILLI = 1e-3
ROUNDING = 1e-12
"""Room for the rounding of a charge that is exactly what a configuration draws."""


@dataclass(frozen=True)
class Budget:
    """A bound on the mean energy of an inference over some cells."""

    name: str
    cells: NDArray[np.intp]
    limit_mj: float
    may_yield: bool
    """Where the bound is below the cheapest table, the cheapest table holds instead of a refusal."""


@dataclass(frozen=True)
class Conditions:
    """What is expected of the surroundings. ``inferences`` is the number planned for one charge."""

    weight: NDArray[np.float64]
    """Expected share of the inferences that are made in each cell; shape (cells,), sums to 1."""
    rate_hz: NDArray[np.float64]
    """Arrivals per second in each cell; shape (cells,)."""
    transitions: dict[tuple[int, int], float]
    """Cell, next cell -> moves per inference."""
    inferences: float


@dataclass(frozen=True)
class Problem:
    """A schedule to solve; arrays over cells s and configurations c."""

    grid: Grid
    choices: tuple[Choice, ...]
    conditions: Conditions
    serves: NDArray[np.bool_]
    latency_ms: NDArray[np.float64]
    energy_mj: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    memory: NDArray[np.int64]
    budgets: tuple[Budget, ...]
    resident: int
    memory_bytes: int | None
    ordered: tuple[tuple[int, int], ...]
    """Pairs (cell, cell with more energy left): the first never gets the costlier configuration."""
    switch_energy_mj: float
    charge_j: float

    @property
    def weight(self) -> NDArray[np.float64]:
        """Expected share of the inferences in each cell."""
        return self.conditions.weight

    @property
    def unservable(self) -> NDArray[np.bool_]:
        """Cells that no configuration serves; shape (cells,)."""
        return np.asarray(~self.serves.any(axis=1), dtype=np.bool_)


def charge_joules(settings: Settings, choices: tuple[Choice, ...], inferences: float) -> float:
    """The charge in joules; a relative one lies between what the cheapest configuration and what c00 draw."""
    if settings.charge_j is not None:
        return settings.charge_j
    assert settings.charge_relative is not None
    cheapest = min(choice.energy_mj for choice in choices)
    mean_mj = cheapest + settings.charge_relative * (choices[0].energy_mj - cheapest)
    return mean_mj * MILLI * inferences


def make_problem(settings: Settings, grid: Grid, choices: tuple[Choice, ...], conditions: Conditions) -> Problem:
    """State the problem. Raises ScheduleError for conditions or configurations that make no sense."""
    _check_conditions(grid, conditions)
    charge_j = charge_joules(settings, choices, conditions.inferences)
    latency = np.array([choice.latency(settings.quantile) for choice in choices])
    return Problem(
        grid=grid,
        choices=choices,
        conditions=conditions,
        serves=_serves(settings, grid, choices, conditions, latency),
        latency_ms=latency,
        energy_mj=np.array([choice.energy_mj for choice in choices]),
        accuracy=np.array([choice.accuracy for choice in choices]),
        memory=np.array([choice.resident_bytes for choice in choices], dtype=np.int64),
        budgets=_budgets(
            grid,
            conditions.weight,
            charge_j / MILLI / conditions.inferences * (1 + ROUNDING),
            yields=settings.charge_relative is not None,
        ),
        resident=settings.resident,
        memory_bytes=settings.memory_bytes,
        ordered=_ordered(grid) if settings.monotone else (),
        switch_energy_mj=settings.switch_energy_mj,
        charge_j=charge_j,
    )


def _check_conditions(grid: Grid, conditions: Conditions) -> None:
    for name, values in (("weights", conditions.weight), ("rates", conditions.rate_hz)):
        if values.shape != (grid.size,):
            raise ScheduleError(
                f"the grid has a hole: {grid.size} cells ({' x '.join(map(str, grid.shape))}), but {name} for "
                f"{values.size} of them; give every cell a value"
            )
        if not np.all(np.isfinite(values)) or np.any(values < 0):
            cell = int(np.flatnonzero(~(np.isfinite(values) & (values >= 0)))[0])
            raise ScheduleError(f"{name}: cell {grid.describe(cell)} has {values[cell]}; finite and not below 0")
    if not np.isclose(conditions.weight.sum(), 1):
        raise ScheduleError(f"the weights of the cells sum to {conditions.weight.sum()}, not to 1")
    if not (np.isfinite(conditions.inferences) and conditions.inferences > 0):
        raise ScheduleError(f"a plan of {conditions.inferences} inferences per charge makes no sense")


def _serves(
    settings: Settings,
    grid: Grid,
    choices: tuple[Choice, ...],
    conditions: Conditions,
    latency: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Which configuration may serve which cell; shape (cells, configurations)."""
    slowdown = grid.values("slowdown", 1.0)
    if grid.has("temperature"):
        slowdown = slowdown * np.array(settings.grid.temperature_slowdown)[grid.indices("temperature")]
    taken = slowdown[:, None] * latency[None, :] + settings.switch_ms
    in_time = taken <= grid.values("deadline", np.inf)[:, None]
    keeps_up = taken * MILLI * conditions.rate_hz[:, None] <= settings.utilisation
    floor = np.zeros(grid.size)
    for wanted in settings.floors:
        holds = np.ones(grid.size, dtype=bool)
        for axis, (least, greatest) in wanted.where.items():
            level = grid.values(axis, 0.0)
            holds &= (level >= least) & (level <= greatest)
        floor = np.where(holds, np.maximum(floor, wanted.accuracy), floor)
    accurate = np.array([choice.accuracy for choice in choices])[None, :] >= floor[:, None]
    return np.asarray(in_time & keeps_up & accurate, dtype=np.bool_)


def _budgets(grid: Grid, weight: NDArray[np.float64], limit_mj: float, yields: bool) -> tuple[Budget, ...]:
    """One budget for the whole grid or, with an axis of reserve, one for each of its levels.

    A charge in joules is a fact that the plan must keep. A relative one is a wish, made before anything was measured:
    where the cheapest table that misses least needs more, it ``yields``, and the schedule says so.
    """
    if not grid.has("reserve"):
        return (Budget("charge", np.arange(grid.size), limit_mj, may_yield=yields),)
    level = grid.indices("reserve")
    return tuple(
        Budget(f"reserve {value:g}", np.flatnonzero(level == i), limit_mj * value, may_yield=yields or value < 1)
        for i, value in enumerate(grid.axis("reserve").values.tolist())
    )


def _ordered(grid: Grid) -> tuple[tuple[int, int], ...]:
    return tuple(pair for name in ("battery", "reserve") if grid.has(name) for pair in grid.neighbours(name))
