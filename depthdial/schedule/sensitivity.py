"""What bounds a schedule: shadow prices of energy and time, and the optimum over K."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from depthdial.errors import ScheduleError
from depthdial.schedule.model import Cells, budget_prices, build, run
from depthdial.schedule.problem import Problem
from depthdial.schedule.solution import Solution
from depthdial.schedule.solve import solve

BINDING = 1e-2
"""A budget binds if less than this share of it is left and more of it would buy accuracy."""


@dataclass(frozen=True)
class TimePrice:
    """What more time at one level of the deadline would buy."""

    deadline_ms: float
    next_ms: float
    choice: int
    accuracy_per_ms: float


def energy_prices(problem: Problem, solution: Solution, time_limit_s: float = 30.0) -> NDArray[np.float64]:
    """Accuracy of an inference under each budget that one more mJ for it buys; shape (budgets,).

    The duals of the budgets in the linear relaxation at the solution's resident set. By linear duality they
    bound what more energy can gain there, and the relaxation splits at most one cell per budget, so that they
    hold up to the weight of that cell.
    """
    missing = bool((solution.missed & problem.serves.any(axis=1)).any())
    model = build(
        problem,
        Cells.of(problem),
        "accuracy",
        limits=solution.limits_mj,
        residents=frozenset(solution.residents),
        may_miss=missing,
        most_misses=_servable_misses(problem, solution) + 1e-9 if missing else None,
    )
    relaxed = run(model, time_limit_s, integer=False)
    assert relaxed is not None, "the schedule itself is a point of the relaxation"
    return budget_prices(model, problem, solution.limits_mj)


def _servable_misses(problem: Problem, solution: Solution) -> float:
    return float(problem.weight[solution.missed & problem.serves.any(axis=1)].sum())


def is_binding(solution: Solution, prices: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which budgets bind; shape (budgets,)."""
    left = 1 - solution.energy_mj / solution.limits_mj
    return np.asarray((prices > 0) & (left < BINDING), dtype=np.bool_)


def time_prices(problem: Problem, solution: Solution, prices: NDArray[np.float64]) -> list[TimePrice]:
    """For every level of the deadline, the resident configuration worth most per millisecond that is lacking.

    What a configuration is worth in a cell is its accuracy less its energy at the shadow price; the gain over
    the present choice, weighted and summed over the cells of the level, is divided by the time that lacks.
    """
    if not problem.grid.has("deadline"):
        return []
    price = np.zeros(problem.grid.size)
    for index, budget in enumerate(problem.budgets):
        price[budget.cells] = prices[index]
    worth = problem.accuracy[None, :] - price[:, None] * problem.energy_mj[None, :]
    present = np.where(
        solution.missed,
        -price * problem.energy_mj[solution.choice],
        worth[np.arange(problem.grid.size), solution.choice],
    )
    level = problem.grid.indices("deadline")
    found = []
    for index, deadline in enumerate(problem.grid.axis("deadline").values.tolist()):
        cells = np.flatnonzero(level == index)
        best = TimePrice(deadline, 0.0, int(solution.choice[cells[0]]), 0.0)
        for c in solution.residents:
            lacking = float(problem.latency_ms[c]) - deadline
            gain = float((problem.weight[cells] * np.maximum(0, worth[cells, c] - present[cells])).sum())
            if lacking > 0 and gain / lacking > best.accuracy_per_ms:
                best = TimePrice(deadline, lacking, c, gain / lacking)
        found.append(best)
    return found


def curve(problem: Problem, most: int, time_limit_s: float = 30.0) -> list[tuple[int, Solution]]:
    """The optimum with at most 1, 2, ... ``most`` configurations, as far as there is one."""
    accuracy_only = replace(problem, conditions=replace(problem.conditions, transitions={}))
    if problem.switch_energy_mj == 0:
        problem = accuracy_only
    found = []
    for resident in range(1, most + 1):
        try:
            found.append((resident, solve(replace(problem, resident=resident), time_limit_s)))
        except ScheduleError:
            continue
    return found
