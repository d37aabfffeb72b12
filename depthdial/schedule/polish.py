"""A table from a linear relaxation: rounding, then exchanges that use up what the budgets leave.

Branch and bound is slow at the last ten-millionths of accuracy, which are a matter of subset sums. Exchanging
the configurations of two cells at once finds sums that fit in a few steps; the relaxation's value then proves
how good the table is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from depthdial.schedule.model import Cells
from depthdial.schedule.problem import Problem

MOVES = 250
"""Changes of one cell that are tried in pairs: those that cost least at the shadow price of energy."""
STEPS = 150
"""Exchanges before branch and bound takes over."""
BACK = 12
"""Changes among which a step back is drawn."""
TRIALS = 300
"""Best pairs that are tried against the order of the battery levels before a step is given up."""


NONE = (np.zeros(0, dtype=np.intp), np.zeros(0, dtype=np.intp))


@dataclass
class _Table:
    """A table that keeps all constraints, and what its budgets leave."""

    problem: Problem
    cells: Cells
    choice: NDArray[np.intp]
    left: NDArray[np.float64]
    less: NDArray[np.intp]
    more: NDArray[np.intp]
    """Ordered pairs of cells: ``less`` never runs the costlier configuration."""

    def fits(self, moves: list[tuple[int, int]]) -> bool:
        """Whether the order of the battery levels holds after the moves (cell, configuration)."""
        trial = self.choice.copy()
        for s, c in moves:
            trial[s] = c
        energy = self.problem.energy_mj[trial]
        return bool(np.all(energy[self.less] <= energy[self.more]))

    def range(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Least and greatest energy that the order allows each cell as things stand; shape (cells,) each."""
        energy = self.problem.energy_mj[self.choice]
        least, most = np.zeros(len(energy)), np.full(len(energy), np.inf)
        if len(self.less):
            np.maximum.at(least, self.more, energy[self.less])
            np.minimum.at(most, self.less, energy[self.more])
        return least, most

    def apply(self, moves: list[tuple[int, int]]) -> None:
        """Make the moves."""
        for s, c in moves:
            change = self.problem.energy_mj[c] - self.problem.energy_mj[self.choice[s]]
            self.left[self.cells.budget[s]] -= self.cells.weight[s] * change
            self.choice[s] = c


def polish(
    problem: Problem,
    residents: frozenset[int],
    relaxed: dict[tuple[int, int], float],
    prices: NDArray[np.float64],
    limits: NDArray[np.float64],
    bound: float,
    enough: float,
) -> NDArray[np.intp] | None:
    """Choices (-1 where nothing serves) whose expected accuracy is within ``enough`` of ``bound``, or None.

    ``relaxed`` holds the values of x_sc in the relaxation, ``prices`` the accuracy that a budget's energy
    (weight x mJ) buys.
    """
    table = _round(problem, residents, relaxed, limits)
    if table is None:
        return None
    options = np.array(sorted(residents), dtype=np.intp)
    served = table.choice >= 0
    random = np.random.default_rng(0)
    for _ in range(STEPS):
        accuracy = float((table.cells.weight * problem.accuracy[table.choice])[served].sum())
        if bound - accuracy <= enough:
            return table.choice
        moves = _moves(table, options, prices)
        if not (_improve(table, moves) or _step_back(table, moves, random)):
            return None
    return None


def _round(
    problem: Problem,
    residents: frozenset[int],
    relaxed: dict[tuple[int, int], float],
    limits: NDArray[np.float64],
) -> _Table | None:
    """Every cell takes the cheapest configuration that the relaxation gives it; lower levels then yield."""
    cells = Cells.of(problem)
    energy = problem.energy_mj
    choice = np.full(problem.grid.size, -1, dtype=np.intp)
    for (s, c), value in relaxed.items():
        if value > 1e-9 and (choice[s] < 0 or energy[c] < energy[choice[s]]):
            choice[s] = c
    pairs = [(s, t) for s, t in problem.ordered if choice[s] >= 0 and choice[t] >= 0]
    for _ in range(problem.grid.size):
        broken = [(s, t) for s, t in pairs if energy[choice[s]] > energy[choice[t]]]
        for s, t in broken:
            if not problem.serves[s, choice[t]]:
                return None
            choice[s] = choice[t]
        if not broken:
            break
    fastest = min(residents, key=lambda c: (problem.latency_ms[c], c))
    spent = cells.weight * energy[np.where(choice < 0, fastest, choice)]
    share = np.bincount(cells.budget, weights=cells.weight, minlength=len(limits)).astype(np.float64)
    left = limits * share - np.bincount(cells.budget, weights=spent, minlength=len(limits))
    if np.any(left < 0):
        return None
    less, more = (np.array(side, dtype=np.intp) for side in zip(*pairs, strict=True)) if pairs else NONE
    return _Table(problem, cells, choice, left, less, more)


@dataclass(frozen=True)
class _Moves:
    """Changes of one cell that the order allows, those first that cost least at the price of energy."""

    cell: NDArray[np.intp]
    choice: NDArray[np.intp]
    gain: NDArray[np.float64]
    spend: NDArray[np.float64]


def _moves(table: _Table, options: NDArray[np.intp], prices: NDArray[np.float64]) -> _Moves:
    problem, cells = table.problem, table.cells
    served = np.flatnonzero(table.choice >= 0)
    s, c = (a.reshape(-1) for a in np.meshgrid(served, options, indexing="ij"))
    least, most = table.range()
    keep = problem.serves[s, c] & (c != table.choice[s])
    keep &= (problem.energy_mj[c] >= least[s]) & (problem.energy_mj[c] <= most[s])
    s, c = s[keep], c[keep]
    gain = cells.weight[s] * (problem.accuracy[c] - problem.accuracy[table.choice[s]])
    spend = cells.weight[s] * (problem.energy_mj[c] - problem.energy_mj[table.choice[s]])
    first = np.argsort(prices[cells.budget[s]] * spend - gain, kind="stable")[:MOVES]
    return _Moves(s[first], c[first], gain[first], spend[first])


def _improve(table: _Table, moves: _Moves) -> bool:
    """Make the best change of one cell, or of two under one budget; False if none gains anything."""
    s, c, gain, spend = moves.cell, moves.choice, moves.gain, moves.spend
    if s.size == 0:
        return False
    budget = table.cells.budget[s]
    # A pair of a move with itself stands for the single move.
    alone = np.eye(len(s), dtype=bool)
    total = np.where(alone, gain[:, None], gain[:, None] + gain)
    spent = np.where(alone, spend[:, None], spend[:, None] + spend)
    possible = (budget[:, None] == budget) & (spent <= table.left[budget][:, None]) & (total > 0)
    possible &= alone | (s[:, None] != s)
    flat = np.where(possible, total, 0.0).reshape(-1)
    best = np.argpartition(-flat, min(TRIALS, flat.size - 1))[:TRIALS]
    for index in best[np.argsort(-flat[best], kind="stable")].tolist():
        if flat[index] <= 0:
            return False
        first, second = divmod(index, len(s))
        chosen = [(int(s[i]), int(c[i])) for i in {first, second}]
        if table.fits(chosen):
            table.apply(chosen)
            return True
    return False


def _step_back(table: _Table, moves: _Moves, random: np.random.Generator) -> bool:
    """Where nothing improves: one of the cheapest changes that save energy, at random."""
    saving = np.flatnonzero(moves.spend < 0)[:BACK]
    if saving.size == 0:
        return False
    index = int(random.choice(saving))
    table.apply([(int(moves.cell[index]), int(moves.choice[index]))])
    return True
