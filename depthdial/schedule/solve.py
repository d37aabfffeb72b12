"""Solve a schedule to proven optimality: misses, then budget, then accuracy, then switches."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from depthdial.errors import ScheduleError
from depthdial.schedule.check import check_solution
from depthdial.schedule.model import RESOLUTION, SCALE, Cells, Model, Objective, Solved, build, run
from depthdial.schedule.problem import Problem
from depthdial.schedule.solution import Solution

logger = logging.getLogger(__name__)

SLACK = 1e-9
"""Relative room left when one objective's optimum becomes the next one's constraint."""
DIRECT = 3000
"""Up to this many cells times configurations one model is solved; above, the bound comes from merged cells."""
SWITCH_LIMIT_S = 0.5
"""Time for the last objective; without a proof by then, the table found for accuracy stands."""
TIE = 1e-7
"""Tables whose expected accuracies differ by less than this tie; then the fewer switches decide."""
ROUNDS = 12
"""Resident sets tried before the merged bound is given up for the one model."""


@dataclass(frozen=True)
class Optimum:
    """The optimum of one objective: the model it was read from, its value and bound."""

    model: Model
    solved: Solved
    residents: frozenset[int]


def solve(problem: Problem, time_limit_s: float = 30.0) -> Solution:
    """The table that is best in this order: fewest misses, within budget, most accurate, fewest switches.

    Raises ScheduleError if K, memory or budgets admit no table, or if optimality was not proven in time.
    """
    started = time.perf_counter()
    deadline = started + time_limit_s
    _refuse(problem)
    small, kept = prune(problem)
    limits = np.array([budget.limit_mj for budget in small.budgets])
    bounds: dict[str, Any] = {"limits": limits}
    best = _optimise(small, "accuracy", deadline, bounds)
    if best is None:
        bounds = _relax(small, deadline)
        best = _optimise(small, "accuracy", deadline, bounds)
        assert best is not None, "the table for which budgets yielded keeps them"
    final = _fewest_switches(small, best, deadline, bounds) if small.conditions.transitions else best
    solution = _read(problem, kept, final, -best.solved.bound, bounds["limits"], time.perf_counter() - started)
    check_solution(problem, solution)
    return solution


def prune(problem: Problem) -> tuple[Problem, NDArray[np.intp]]:
    """The problem without configurations that another one beats in everything; and the indices of those kept.

    Exact: wherever a dominated configuration stands, the dominating one may. Only if some cell falls to the
    fastest resident configuration, and faster is not always cheaper, could that lose a table; then all stay.
    """
    order = np.lexsort((problem.energy_mj, problem.latency_ms))
    faster_is_cheaper = np.all(np.diff(problem.energy_mj[order]) >= 0)
    if problem.unservable.any() and not faster_is_cheaper:
        return problem, np.arange(len(problem.choices))
    costs = np.column_stack([problem.latency_ms, problem.energy_mj, -problem.accuracy, problem.memory])
    kept = []
    for c, cost in enumerate(costs):
        no_worse = np.all(costs <= cost, axis=1)
        better = no_worse & np.any(costs < cost, axis=1)
        twin = no_worse & ~better & (np.arange(len(costs)) < c)
        if not (better | twin).any():
            kept.append(c)
    index = np.array(kept, dtype=np.intp)
    small = replace(
        problem,
        choices=tuple(problem.choices[c] for c in kept),
        serves=problem.serves[:, index],
        latency_ms=problem.latency_ms[index],
        energy_mj=problem.energy_mj[index],
        accuracy=problem.accuracy[index],
        memory=problem.memory[index],
    )
    return small, index


def _refuse(problem: Problem) -> None:
    """Refuse bounds that no table can keep, before any model is built."""
    if problem.resident < 1:
        raise ScheduleError(f"schedule.resident: K = {problem.resident}, but at least one configuration runs")
    if problem.memory_bytes is not None and problem.memory.min() > problem.memory_bytes:
        raise ScheduleError(
            f"schedule.memory_bytes: {problem.memory_bytes} bytes hold no configuration; the smallest takes "
            f"{problem.memory.min()}"
        )
    cheapest = problem.energy_mj.min()
    for budget in problem.budgets:
        if not np.isfinite(budget.limit_mj) or budget.limit_mj <= 0:
            raise ScheduleError(f"budget {budget.name}: {budget.limit_mj} mJ per inference is no budget")
        if not budget.may_yield and budget.limit_mj < cheapest:
            raise ScheduleError(_too_low(problem, budget.name, budget.limit_mj, float(cheapest)))


def _too_low(problem: Problem, name: str, limit_mj: float, needed_mj: float) -> str:
    inferences = problem.conditions.inferences
    return (
        f"the charge is below the cheapest table: budget {name} allows {limit_mj:.6g} mJ per inference, at least "
        f"{needed_mj:.6g} mJ are needed; {inferences:.0f} inferences then take {needed_mj * inferences * 1e-3:.6g} J "
        f"and the charge is {problem.charge_j:.6g} J: raise schedule.charge, shorten schedule.horizon_h, or add "
        "cheaper configurations"
    )


def _relax(problem: Problem, deadline: float) -> dict[str, Any]:
    """The fewest misses, and the budgets as far as they must yield to that. Raises ScheduleError if one may not."""
    wide = np.full(len(problem.budgets), problem.energy_mj.max() * 1e3 + 1e3)
    fewest = _optimise(problem, "misses", deadline, {"limits": wide, "may_miss": True})
    assert fewest is not None, "any configuration for all cells is a table, if it misses some"
    misses = fewest.solved.value
    bounds: dict[str, Any] = {"may_miss": misses > SLACK, "most_misses": misses + SLACK}
    limits = np.array([budget.limit_mj for budget in problem.budgets])
    least = _optimise(problem, "excess", deadline, bounds | {"limits": limits})
    assert least is not None, "the table that misses least is one, whatever it spends"
    for budget, excess in zip(problem.budgets, least.model.excess, strict=True):
        if excess.varValue > 1e-7 and not budget.may_yield:
            needed = budget.limit_mj * (1 + excess.varValue)
            raise ScheduleError(_too_low(problem, budget.name, budget.limit_mj, needed))
    yields = np.array([max(0.0, excess.varValue) for excess in least.model.excess])
    return bounds | {"limits": limits * (1 + yields) * np.where(yields > 0, 1 + SLACK, 1.0)}


def _optimise(problem: Problem, objective: Objective, deadline: float, bounds: dict[str, Any]) -> Optimum | None:
    """The optimum of one objective within the bounds that earlier ones left; None if infeasible."""
    if problem.grid.size * len(problem.choices) > DIRECT:
        proven, best = _by_resident_sets(problem, objective, deadline, bounds)
        if proven:
            return best
    model = build(problem, Cells.of(problem), objective, **bounds)
    solved = run(model, _left(deadline))
    return None if solved is None else Optimum(model, solved, _chosen(model))


def _by_resident_sets(
    problem: Problem, objective: Objective, deadline: float, bounds: dict[str, Any]
) -> tuple[bool, Optimum | None]:
    """Bound with merged cells, solve the cells for the resident set found, exclude that set, repeat.

    The merged model is a relaxation, so its optimum over all sets not yet excluded bounds what they can give.
    Once that is no better than the best table found, the table is optimal. The first value is False if ROUNDS
    sets were not enough for that.
    """
    merged = Cells.merged(problem)
    excluded: list[frozenset[int]] = []
    best: Optimum | None = None
    while len(excluded) < ROUNDS:
        relaxed = build(problem, merged, objective, excluded=excluded, **bounds)
        bound = run(relaxed, _left(deadline))
        if best is not None and (bound is None or bound.value >= best.solved.value - RESOLUTION):
            proven = best.solved.bound if bound is None else min(best.solved.bound, bound.value)
            return True, replace(best, solved=replace(best.solved, bound=proven))
        if bound is None:
            return True, None
        residents = _chosen(relaxed)
        excluded.append(residents)
        found = _within(problem, objective, residents, deadline, bounds)
        if found is not None and (best is None or found.solved.value < best.solved.value):
            best = found
    return False, best


def _within(
    problem: Problem,
    objective: Objective,
    residents: frozenset[int],
    deadline: float,
    bounds: dict[str, Any],
) -> Optimum | None:
    """The optimum for one resident set."""
    model = build(problem, Cells.of(problem), objective, residents=residents, **bounds)
    solved = run(model, _left(deadline))
    return None if solved is None else Optimum(model, solved, residents)


def _leave_out(model: Model, relaxed: Model, window: float) -> None:
    """Fix at 0 what no table within ``window`` of the relaxation's value can contain: its reduced cost says so."""
    for key, x in relaxed.x.items():
        if x.varValue < 0.5 and x.dj / SCALE > window:
            model.x[key].upBound = 0


def _fewest_switches(problem: Problem, best: Optimum, deadline: float, bounds: dict[str, Any]) -> Optimum:
    """Among the equally accurate tables of this resident set, one with the fewest expected switches.

    Equally accurate: within TIE. If no proof is found in time, the table found for accuracy stands.
    """
    assert best.model.accuracy is not None
    least = best.model.accuracy.value() - TIE
    cells = Cells.of(problem)
    relaxed = build(problem, cells, "accuracy", residents=best.residents, **bounds)
    linear = run(relaxed, _left(deadline), integer=False)
    assert linear is not None
    model = build(problem, cells, "switches", residents=best.residents, least_accuracy=least, **bounds)
    _leave_out(model, relaxed, -linear.value - least)
    try:
        solved = run(model, min(SWITCH_LIMIT_S, _left(deadline)))
    except ScheduleError:
        logger.info("fewest switches not proven within %g s: the accurate table stands", SWITCH_LIMIT_S)
        return best
    if solved is None:
        return best
    return Optimum(model, replace(best.solved, nodes=solved.nodes), best.residents)


def _left(deadline: float) -> float:
    return max(0.05, deadline - time.perf_counter())


def _chosen(model: Model) -> frozenset[int]:
    """The resident set of a solved model."""
    return frozenset(c for c, y in model.resident.items() if (y if isinstance(y, int) else round(y.varValue)) == 1)


def _read(
    problem: Problem,
    kept: NDArray[np.intp],
    optimum: Optimum,
    bound: float,
    limits: NDArray[np.float64],
    seconds: float,
) -> Solution:
    """The table in a solved model; indices are those of the problem before pruning."""
    model = optimum.model
    choice = np.full(problem.grid.size, -1, dtype=np.intp)
    for (s, c), x in model.x.items():
        if round(x.varValue) == 1:
            choice[s] = kept[c]
    missed = choice < 0
    used = set(choice[~missed].tolist())
    if missed.any():
        fastest = next(c for c, f in model.fastest.items() if round(f.varValue) == 1)
        choice[missed] = kept[fastest]
        used.add(int(kept[fastest]))
    weight, accuracy = problem.weight, problem.accuracy
    spent = weight * problem.energy_mj[choice]
    moves = problem.conditions.transitions
    changing = {move: rate for move, rate in moves.items() if choice[move[0]] != choice[move[1]]}
    energy = []
    for budget in problem.budgets:
        inside = set(budget.cells.tolist())
        price = sum(rate for (s, _), rate in changing.items() if s in inside) * problem.switch_energy_mj
        energy.append((spent[budget.cells].sum() + price) / max(weight[budget.cells].sum(), 1e-300))
    expected = float((weight * accuracy[choice] * ~missed).sum())
    return Solution(
        choice=choice,
        missed=missed,
        residents=tuple(sorted(used)),
        accuracy=expected,
        bound=max(expected, bound),
        misses=float(weight[missed].sum()),
        switches=float(sum(changing.values())),
        limits_mj=limits,
        energy_mj=np.array(energy),
        seconds=seconds,
    )
