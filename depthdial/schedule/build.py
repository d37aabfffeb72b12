"""From a table of measurements and training traces to a schedule."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from depthdial.config.schedule import Schedule as Settings
from depthdial.config.schedule import Selector as SelectorSettings
from depthdial.errors import ScheduleError
from depthdial.networks.configurations import FULL
from depthdial.schedule.choices import Choice, choices_of
from depthdial.schedule.conditions import estimate
from depthdial.schedule.grid import make_grid
from depthdial.schedule.problem import Problem, make_problem
from depthdial.schedule.sensitivity import curve, energy_prices, is_binding, time_prices
from depthdial.schedule.solution import Solution
from depthdial.schedule.solve import solve
from depthdial.schedule.table import (
    CurvePoint,
    DeadlinePrice,
    ScheduleTable,
    TableBudget,
    TableConfiguration,
    TableSelector,
    Unserved,
    table_axes,
)
from depthdial.traces.trace import Trace, read_traces


def full_choice(choices: Sequence[Choice]) -> Choice:
    """The full network among a dial's configurations. Raises ScheduleError if it was not measured."""
    for choice in choices:
        if choice.name == FULL:
            return choice
    raise ScheduleError(
        f"{choices[0].network}: no valid measurement of {FULL}, to which deadlines and the charge are relative; "
        "measure the device again"
    )


def build_schedule(
    measurements: pd.DataFrame,
    network: str,
    device: str,
    settings: Settings,
    trace_paths: Sequence[str],
    seeds: tuple[int, ...],
) -> ScheduleTable:
    """Solve the schedule of one dial on one device.

    ``measurements`` is the device's latency table, ``trace_paths`` the traces to learn from. Raises
    ScheduleError or ConfigError, with the reason, for conditions that admit no table.
    """
    choices = choices_of(measurements, network)
    full = full_choice(choices).latency(settings.quantile)
    traces = read_traces(list(trace_paths), seeds, full)
    problem = state_problem(settings, choices, traces)
    solution = solve(problem, settings.time_limit_s)
    return describe(problem, solution, settings, device)


def state_problem(settings: Settings, choices: tuple[Choice, ...], traces: tuple[Trace, ...]) -> Problem:
    """The problem that settings, measured configurations and training traces pose."""
    grid = make_grid(settings.grid, full_choice(choices).latency(settings.quantile))
    return make_problem(settings, grid, choices, estimate(settings, grid, traces))


def describe(problem: Problem, solution: Solution, settings: Settings, device: str) -> ScheduleTable:
    """The solution as it is shipped, with prices, unserved cells and the curve over K."""
    order = sorted(solution.residents, key=lambda c: (problem.latency_ms[c], problem.energy_mj[c], c))
    place = {c: index for index, c in enumerate(order)}
    prices = energy_prices(problem, solution)
    return ScheduleTable(
        network=problem.choices[0].network,
        device=device,
        quantile=settings.quantile,
        energy_source="+".join(sorted({choice.energy_source for choice in problem.choices})),
        noisy=any(choice.noisy for choice in problem.choices),
        status="optimal",
        gap=solution.gap,
        accuracy=solution.accuracy,
        misses=solution.misses,
        switches=solution.switches,
        solve_s=round(solution.seconds, 3),
        charge_j=problem.charge_j,
        inferences=problem.conditions.inferences,
        full_latency_ms=full_choice(problem.choices).latency(settings.quantile),
        axes=table_axes(problem.grid),
        configurations=tuple(_configuration(problem.choices[c], settings.quantile) for c in order),
        cells=tuple(place[int(c)] for c in solution.choice),
        unserved=_unserved(problem, solution),
        budgets=_budgets(problem, solution, prices),
        deadlines=_deadlines(problem, solution, prices),
        curve=_curve(problem, settings.time_limit_s),
        selector=selector_integers(settings.selector),
    )


def selector_integers(settings: SelectorSettings) -> TableSelector:
    """The selector's settings in the integers of the C code."""
    return TableSelector(
        gain=round(settings.slowdown_gain * 256),
        margin=round(settings.slowdown_margin * 16),
        band=round(settings.hysteresis * 1024),
        min_dwell=settings.min_dwell,
        max_age_ms=settings.max_age_ms,
    )


def _configuration(choice: Choice, quantile: str) -> TableConfiguration:
    return TableConfiguration(
        name=choice.name,
        accuracy=choice.accuracy,
        latency_ms=choice.latency(quantile),
        median_ms=choice.latency_ms,
        energy_mj=choice.energy_mj,
        resident_bytes=choice.resident_bytes,
    )


def _unserved(problem: Problem, solution: Solution) -> tuple[Unserved, ...]:
    return tuple(
        Unserved(
            cell=cell,
            conditions=problem.grid.describe(cell),
            servable=bool(problem.serves[cell].any()),
        )
        for cell in np.flatnonzero(solution.missed).tolist()
    )


def _budgets(problem: Problem, solution: Solution, prices: NDArray[np.float64]) -> tuple[TableBudget, ...]:
    binding = is_binding(solution, prices)
    found = []
    for index, budget in enumerate(problem.budgets):
        per_mj = float(prices[index])
        found.append(
            TableBudget(
                name=budget.name,
                limit_mj=float(solution.limits_mj[index]),
                energy_mj=float(solution.energy_mj[index]),
                binding=bool(binding[index]),
                accuracy_per_mj=per_mj,
                correct_per_joule=per_mj * 1e3,
                yielded=bool(solution.limits_mj[index] > budget.limit_mj * (1 + 1e-9)),
            )
        )
    return tuple(found)


def _deadlines(problem: Problem, solution: Solution, prices: NDArray[np.float64]) -> tuple[DeadlinePrice, ...]:
    return tuple(
        DeadlinePrice(
            deadline_ms=price.deadline_ms,
            next_ms=price.next_ms,
            configuration=problem.choices[price.choice].name,
            accuracy_per_ms=price.accuracy_per_ms,
        )
        for price in time_prices(problem, solution, prices)
    )


def _curve(problem: Problem, time_limit_s: float) -> tuple[CurvePoint, ...]:
    return tuple(
        CurvePoint(
            resident=resident,
            accuracy=solution.accuracy,
            misses=solution.misses,
            over_budget=max(
                (
                    max(0.0, float(limit) / budget.limit_mj - 1)
                    for limit, budget in zip(solution.limits_mj, problem.budgets, strict=True)
                ),
                default=0.0,
            ),
            configurations=tuple(problem.choices[c].name for c in solution.residents),
        )
        for resident, solution in curve(problem, min(len(problem.choices), 8), time_limit_s)
    )
