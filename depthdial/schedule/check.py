"""A solution is checked against every constraint again, in plain Python, far from any solver."""

from __future__ import annotations

from depthdial.errors import ScheduleError
from depthdial.schedule.problem import Problem
from depthdial.schedule.solution import Solution

TOLERANCE = 1e-7


def check_solution(problem: Problem, solution: Solution) -> None:
    """Raise ScheduleError that lists every constraint which the solution violates."""
    if broken := violations(problem, solution):
        raise ScheduleError(
            "the solver's table violates its own constraints (please report this): " + "; ".join(broken)
        )


def violations(problem: Problem, solution: Solution) -> list[str]:
    """Every violated constraint, in words; empty for a valid table."""
    choice = [int(c) for c in solution.choice]
    found = []
    if len(solution.residents) > problem.resident:
        found.append(f"{len(solution.residents)} resident configurations, at most {problem.resident}")
    if set(choice) - set(solution.residents):
        found.append("a cell runs a configuration that is not resident")
    memory = sum(int(problem.memory[c]) for c in solution.residents)
    if problem.memory_bytes is not None and memory > problem.memory_bytes:
        found.append(f"{memory} resident bytes, at most {problem.memory_bytes}")
    fastest = min(float(problem.latency_ms[c]) for c in solution.residents)
    for cell, c in enumerate(choice):
        if solution.missed[cell]:
            if problem.latency_ms[c] > fastest:
                found.append(f"cell {cell} is missed, but not served by the fastest configuration")
        elif not problem.serves[cell, c]:
            found.append(f"cell {cell} runs {problem.choices[c].name}, which does not serve it")
    for less, more in problem.ordered:
        servable = problem.serves[less].any() and problem.serves[more].any()
        if servable and problem.energy_mj[choice[less]] > problem.energy_mj[choice[more]]:
            found.append(f"cell {less} has less energy left than cell {more} and runs a costlier configuration")
    found += _over_budget(problem, solution, choice)
    return found


def _over_budget(problem: Problem, solution: Solution, choice: list[int]) -> list[str]:
    """Budgets that are exceeded, the price of switches included."""
    found = []
    for budget, limit in zip(problem.budgets, solution.limits_mj, strict=True):
        inside = {int(cell) for cell in budget.cells}
        share = sum(float(problem.weight[s]) for s in inside)
        spent = sum(float(problem.weight[s] * problem.energy_mj[choice[s]]) for s in inside)
        for (s, t), rate in problem.conditions.transitions.items():
            if s in inside and choice[s] != choice[t]:
                spent += rate * problem.switch_energy_mj
        if share > 0 and spent / share > limit * (1 + TOLERANCE):
            found.append(f"budget {budget.name}: {spent / share:.9g} mJ per inference, at most {limit:.9g}")
        if not budget.may_yield and limit > budget.limit_mj * (1 + TOLERANCE):
            found.append(f"budget {budget.name} was raised from {budget.limit_mj:.9g} to {limit:.9g}")
    return found
