"""The integer program, built with PuLP; docs/schedule.md states it in mathematics.

``build`` writes one model for one objective. Two exact devices keep it small. *Merging*: cells that the same
configurations serve and that share a budget differ in weight alone; a relaxation over such groups gives the
bound and the resident set. *Fixing*: for a given resident set, only its configurations get variables.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pulp
from numpy.typing import NDArray

from depthdial.errors import ScheduleError
from depthdial.schedule.problem import Problem

Objective = Literal["misses", "excess", "accuracy", "switches"]
SCALE = 1e3
"""Objectives are stated in thousandths, so that the solver's tolerances are small beside them."""
RESOLUTION = 1e-7
"""Tables whose expected accuracies differ by less than this count as equally good: one inference in ten million.
Without it, most of the time goes into subset sums far beyond what is known of any accuracy."""


@dataclass(frozen=True)
class Cells:
    """The cells of a model: the problem's own, or groups of them."""

    serves: NDArray[np.bool_]
    weight: NDArray[np.float64]
    budget: NDArray[np.intp]
    whole: bool
    """A cell gets one configuration; a group may be split among several."""

    @classmethod
    def of(cls, problem: Problem) -> Cells:
        """Every cell by itself."""
        return cls(problem.serves, problem.weight, budget_of(problem), whole=True)

    @classmethod
    def merged(cls, problem: Problem) -> Cells:
        """Cells with equal rows of ``serves`` and equal budget as one."""
        budget = budget_of(problem)
        rows = np.column_stack([budget, problem.serves])
        _, first, group = np.unique(rows, axis=0, return_index=True, return_inverse=True)
        weight: NDArray[np.float64] = np.bincount(group.reshape(-1), weights=problem.weight).astype(np.float64)
        return cls(problem.serves[first], weight, budget[first], whole=False)


def budget_of(problem: Problem) -> NDArray[np.intp]:
    """For every cell the index of its budget; shape (cells,)."""
    found = np.zeros(problem.grid.size, dtype=np.intp)
    for index, budget in enumerate(problem.budgets):
        found[budget.cells] = index
    return found


@dataclass
class Model:
    """A PuLP problem and the variables from which a table is read."""

    lp: pulp.LpProblem
    resident: dict[int, pulp.LpVariable | int]
    x: dict[tuple[int, int], pulp.LpVariable]
    fastest: dict[int, pulp.LpVariable] = field(default_factory=dict)
    missed: dict[tuple[int, int], pulp.LpVariable] = field(default_factory=dict)
    excess: list[pulp.LpVariable] = field(default_factory=list)
    accuracy: pulp.LpAffineExpression | None = None
    misses: pulp.LpAffineExpression | None = None


@dataclass(frozen=True)
class Switch:
    """A move of the surroundings between two cells: 1 if the configuration changes, and moves per inference."""

    w: pulp.LpVariable
    rate: float
    budget: int


@dataclass(frozen=True)
class Solved:
    """What the solver says of one model."""

    value: float
    bound: float
    nodes: int


def build(
    problem: Problem,
    cells: Cells,
    objective: Objective,
    *,
    limits: NDArray[np.float64],
    residents: frozenset[int] | None = None,
    excluded: Iterable[frozenset[int]] = (),
    may_miss: bool = False,
    most_misses: float | None = None,
    least_accuracy: float | None = None,
) -> Model:
    """The model for one objective.

    ``limits`` are the mean energies in mJ allowed by each budget. ``residents`` fixes the resident set,
    ``excluded`` sets (and their subsets) are forbidden. ``may_miss`` lets servable cells go unserved;
    ``most_misses`` and ``least_accuracy`` hold what earlier objectives have reached.
    """
    lp = pulp.LpProblem("schedule", pulp.LpMinimize)
    allowed = range(len(problem.choices)) if residents is None else sorted(residents)
    model = Model(lp, {}, {})
    _add_residents(model, problem, allowed, residents is not None, excluded)
    _add_choices(model, cells, allowed, may_miss)
    _add_fastest(model, problem, cells, allowed, may_miss)
    switching = _add_switches(model, problem, cells, objective)
    _add_budgets(model, problem, cells, limits, objective == "excess", switching)
    if cells.whole:
        _add_order(model, problem, cells)
    model.accuracy = _sum((v, cells.weight[s] * problem.accuracy[c]) for (s, c), v in model.x.items())
    model.misses = _sum((v, cells.weight[s]) for (s, _), v in model.missed.items())
    if most_misses is not None:
        lp.addConstraint(model.misses <= most_misses, "most_misses")
    if least_accuracy is not None:
        lp.addConstraint(SCALE * model.accuracy >= SCALE * least_accuracy, "least_accuracy")
    goals = {
        "misses": SCALE * model.misses,
        "excess": _sum((v, SCALE) for v in model.excess),
        "accuracy": -SCALE * model.accuracy,
        "switches": _sum((move.w, SCALE * move.rate) for move in switching),
    }
    lp.setObjective(goals[objective])
    return model


def run(model: Model, time_limit_s: float, *, integer: bool = True) -> Solved | None:
    """Solve to proven optimality; None if infeasible. Raises ScheduleError if the proof was not finished in time."""
    # HiGHS calls a stop by the time limit optimal in PuLP's `status`; `sol_status` does not.
    solver = pulp.HiGHS(
        mip=integer,
        msg=False,
        threads=1,
        gapRel=0.0,
        gapAbs=SCALE * RESOLUTION,
        timeLimit=time_limit_s,
        mip_feasibility_tolerance=1e-9,
        primal_feasibility_tolerance=1e-9,
        log_to_console=False,
    )
    model.lp.solve(solver)
    info = model.lp.solverModel.getInfo()
    if model.lp.sol_status == pulp.LpSolutionInfeasible:
        return None
    if model.lp.sol_status != pulp.LpSolutionOptimal:
        raise ScheduleError(
            f"the solver stopped after {time_limit_s:g} s with a gap of {info.mip_gap:.2%} "
            f"({model.lp.numVariables()} variables, {model.lp.numConstraints()} constraints): the table is not "
            "proven optimal; raise schedule.time_limit_s, or take fewer cells or configurations"
        )
    value = info.objective_function_value / SCALE
    return Solved(value, info.mip_dual_bound / SCALE if integer else value, int(info.mip_node_count))


def budget_prices(model: Model, problem: Problem, limits: NDArray[np.float64]) -> NDArray[np.float64]:
    """The duals of a solved linear relaxation: accuracy that a budget's energy (weight x mJ) buys; (budgets,)."""
    duals = {constraint.name: constraint.pi for constraint in model.lp.constraints()}
    prices = np.zeros(len(problem.budgets))
    for index, budget in enumerate(problem.budgets):
        share = float(problem.weight[budget.cells].sum())
        # The constraint reads energy / share / limit <= 1, the objective -SCALE x accuracy.
        if share > 0:
            prices[index] = max(0.0, -(duals.get(f"budget_{index}") or 0.0) / SCALE / limits[index] / share)
    return prices


def _sum(terms: Iterable[tuple[pulp.LpVariable, float]]) -> pulp.LpAffineExpression:
    """The sum of factor x variable; a variable may come more than once."""
    total: dict[pulp.LpVariable, float] = {}
    for variable, factor in terms:
        total[variable] = total.get(variable, 0.0) + float(factor)
    return pulp.LpAffineExpression(total)


def _add_residents(
    model: Model,
    problem: Problem,
    allowed: Iterable[int],
    fixed: bool,
    excluded: Iterable[frozenset[int]],
) -> None:
    """y_c: configuration c is resident; at most K of them, within the memory."""
    if fixed:
        model.resident = dict.fromkeys(allowed, 1)
        return
    lp = model.lp
    y = {c: lp.add_variable(f"y_{c}", 0, 1, "Integer") for c in allowed}
    model.resident = dict(y)
    lp.addConstraint(_sum((v, 1) for v in y.values()) <= problem.resident, "resident")
    if problem.memory_bytes is not None:
        share = problem.memory / problem.memory_bytes
        lp.addConstraint(_sum((v, share[c]) for c, v in y.items()) <= 1, "memory")
    for number, residents in enumerate(excluded):
        outside = _sum((v, 1) for c, v in y.items() if c not in residents)
        lp.addConstraint(outside >= 1, f"excluded_{number}")


def _add_choices(model: Model, cells: Cells, allowed: Iterable[int], may_miss: bool) -> None:
    """x_sc: cell s is served by c, which is resident; one per servable cell, or it is missed."""
    lp = model.lp
    kind = "Integer" if cells.whole else "Continuous"
    for s in range(len(cells.weight)):
        serving = [c for c in allowed if cells.serves[s, c]]
        for c in serving:
            model.x[s, c] = lp.add_variable(f"x_{s}_{c}", 0, 1, kind)
            if not isinstance(model.resident[c], int):
                lp.addConstraint(model.x[s, c] <= model.resident[c], f"resident_{s}_{c}")
        if not cells.serves[s].any():
            continue
        if may_miss:
            for c in allowed:
                model.missed[s, c] = lp.add_variable(f"m_{s}_{c}", 0, 1)
        terms = [(model.x[s, c], 1.0) for c in serving]
        terms += [(model.missed[s, c], 1.0) for c in allowed if may_miss]
        lp.addConstraint(_sum(terms) == 1, f"one_{s}")


def _add_fastest(model: Model, problem: Problem, cells: Cells, allowed: Iterable[int], may_miss: bool) -> None:
    """f_c: c is the fastest resident configuration, by which cells are served that nothing serves in time."""
    if not may_miss and cells.serves.any(axis=1).all():
        return
    lp = model.lp
    order = sorted(allowed, key=lambda c: (problem.latency_ms[c], c))
    model.fastest = {c: lp.add_variable(f"f_{c}", 0, 1, "Integer") for c in order}
    lp.addConstraint(_sum((v, 1) for v in model.fastest.values()) == 1, "fastest")
    for position, c in enumerate(order):
        lp.addConstraint(model.fastest[c] <= model.resident[c], f"fastest_{c}")
        for faster in order[:position]:
            lp.addConstraint(model.fastest[c] <= 1 - model.resident[faster], f"fastest_{c}_{faster}")
    for (s, c), missed in model.missed.items():
        lp.addConstraint(missed <= model.fastest[c], f"missed_{s}_{c}")


def _runs(model: Model, cells: Cells, s: int) -> list[tuple[int, pulp.LpVariable]]:
    """The configurations that may run in cell s, with the variables that say so."""
    if not cells.serves[s].any():
        return list(model.fastest.items())
    found = [(c, model.x[s, c]) for c in model.resident if (s, c) in model.x]
    return found + [(c, model.missed[s, c]) for c in model.resident if (s, c) in model.missed]


def _add_switches(model: Model, problem: Problem, cells: Cells, objective: Objective) -> list[Switch]:
    """w_st: cells s and t, between which the surroundings move, run different configurations."""
    if not cells.whole or (objective != "switches" and problem.switch_energy_mj == 0):
        return []
    moves: dict[tuple[int, int], float] = {}
    for (s, t), rate in problem.conditions.transitions.items():
        if s != t and rate > 0:
            moves[min(s, t), max(s, t)] = moves.get((min(s, t), max(s, t)), 0.0) + rate
    switching: list[Switch] = []
    for (s, t), rate in moves.items():
        w = model.lp.add_variable(f"w_{s}_{t}", 0, 1)
        for c in model.resident:
            here = [(v, 1.0) for d, v in _runs(model, cells, s) if d == c]
            there = [(v, -1.0) for d, v in _runs(model, cells, t) if d == c]
            if here:
                model.lp.addConstraint(_sum(here + there) <= w, f"switch_{s}_{t}_{c}")
        switching.append(Switch(w, rate, int(cells.budget[s])))
    return switching


def _add_budgets(
    model: Model,
    problem: Problem,
    cells: Cells,
    limits: NDArray[np.float64],
    yielding: bool,
    switching: list[Switch],
) -> None:
    """The mean energy over the cells of a budget, the price of switching included, stays within its limit."""
    for index in range(len(problem.budgets)):
        members = np.flatnonzero(cells.budget == index)
        share = cells.weight[members].sum()
        if share == 0:
            continue
        terms = [
            (v, cells.weight[s] / share * problem.energy_mj[c])
            for s in members.tolist()
            for c, v in _runs(model, cells, s)
        ]
        if problem.switch_energy_mj > 0:
            price = problem.switch_energy_mj / share
            terms += [(move.w, price * move.rate) for move in switching if move.budget == index]
        within = _sum((v, factor / limits[index]) for v, factor in terms)
        if yielding:
            model.excess.append(model.lp.add_variable(f"e_{index}", 0))
            within = within - model.excess[-1]
        model.lp.addConstraint(within <= 1, f"budget_{index}")


def _add_order(model: Model, problem: Problem, cells: Cells) -> None:
    """With less energy left, all else equal, never a costlier configuration."""
    for less, more in problem.ordered:
        if not (cells.serves[less].any() and cells.serves[more].any()):
            continue
        terms = [(v, problem.energy_mj[c]) for c, v in _runs(model, cells, less)]
        terms += [(v, -problem.energy_mj[c]) for c, v in _runs(model, cells, more)]
        model.lp.addConstraint(_sum(terms) <= 0, f"order_{less}_{more}")
