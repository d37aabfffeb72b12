"""The clairvoyant oracle: the best that any policy could have done, knowing the whole trace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from depthdial.replay.simulate import MILLI, Moment
from depthdial.schedule.choices import Choice
from depthdial.traces.trace import Trace

LEVELS = 6000


@dataclass
class Oracle:
    """Follows a plan made with knowledge of the future; replayed as any other policy is."""

    path: NDArray[np.intp]
    name: str = "oracle"
    _step: int = field(default=0, repr=False)

    def choose(self, moment: Moment) -> int:
        """The next configuration of the plan."""
        self._step += 1
        return int(self.path[self._step - 1])

    def observe(self, choice: int, latency_ms: float) -> None:
        """There is nothing to learn."""


def rewards(
    trace: Trace, choices: Sequence[Choice], candidates: Sequence[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Inferences right and in time, and joules, for every step and candidate; shape (steps, candidates) each."""
    limit = trace.deadline_ms / trace.slowdown
    reward = np.column_stack(
        [
            trace.arrivals * choices[c].accuracy * choices[c].met(limit) for c in candidates
        ]
    )
    cost = np.column_stack([trace.arrivals * choices[c].energy_mj * MILLI for c in candidates])
    return reward, cost


def plan_oracle(
    trace: Trace, choices: Sequence[Choice], candidates: Sequence[int], charge_j: float
) -> Oracle:
    """Dynamic programming backwards over steps and the energy left, in LEVELS parts of the charge.

    Energies are rounded to whole parts; the plan is replayed with the exact ones, and ``bound`` certifies
    how far it can be from the optimum.
    """
    reward, cost = rewards(trace, choices, candidates)
    unit = charge_j / LEVELS
    # Rounding the sums, not the steps, keeps the error of a run of equal choices below one part.
    parts = np.diff(np.rint(np.cumsum(cost, axis=0) / unit), axis=0, prepend=0).astype(np.intp)
    drained = np.diff(np.rint(np.cumsum(trace.background) * LEVELS), prepend=0).astype(np.intp)
    value = np.zeros(LEVELS + 1)
    best = np.zeros((trace.steps, LEVELS + 1), dtype=np.uint8)
    for t in range(trace.steps - 1, -1, -1):
        options = np.full((len(candidates), LEVELS + 1), -np.inf)
        for index, part in enumerate(parts[t]):
            if part <= LEVELS:
                options[index, part:] = reward[t, index] + value[: LEVELS + 1 - part]
        # Where nothing can be paid for, nothing is served.
        best[t] = options.argmax(axis=0)
        value = np.maximum(options.max(axis=0), 0.0)
        if drained[t]:
            value = np.concatenate([np.zeros(drained[t]), value[: -drained[t]]])
            best[t] = np.concatenate([np.zeros(drained[t], np.uint8), best[t, : -drained[t]]])
    path = np.zeros(trace.steps, dtype=np.intp)
    left = LEVELS
    for t in range(trace.steps):
        index = int(best[t, max(left, 0)])
        path[t] = candidates[index]
        left -= int(parts[t, index] + drained[t])
    return Oracle(path)


def bound(trace: Trace, choices: Sequence[Choice], candidates: Sequence[int], charge_j: float) -> float:
    """No policy gets more inferences right and in time: the Lagrangian dual of the charge, minimised by bisection."""
    reward, cost = rewards(trace, choices, candidates)
    available = charge_j * (1 - float(trace.background.sum()))

    def dual(price: float) -> tuple[float, float]:
        worth = reward - price * cost
        index = worth.argmax(axis=1)
        rows = np.arange(trace.steps)
        served = worth[rows, index] > 0
        spent = float(cost[rows, index][served].sum())
        return float(worth[rows, index][served].sum()) + price * available, spent

    low, high = 0.0, float((reward / np.maximum(cost, 1e-300)).max())
    found = dual(low)[0]
    for _ in range(60):
        middle = (low + high) / 2
        upper, spent = dual(middle)
        found = min(found, upper)
        low, high = (middle, high) if spent > available else (low, middle)
    return found
