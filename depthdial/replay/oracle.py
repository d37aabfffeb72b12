"""The clairvoyant oracle: the best that any policy could have done, knowing the whole trace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from depthdial.replay.names import ORACLE
from depthdial.replay.simulate import IDLE, MILLI, Moment
from depthdial.schedule.choices import Choice
from depthdial.traces.trace import Array, Trace

BUCKETS = 400


@dataclass
class Oracle:
    """Follows a plan made with knowledge of the future; replayed as any other policy is."""

    path: NDArray[np.intp]
    name: str = ORACLE
    _step: int = field(default=0, repr=False)

    def choose(self, moment: Moment) -> int:
        """The next configuration of the plan."""
        self._step += 1
        return int(self.path[self._step - 1])

    def observe(self, choice: int, latencies_ms: Array) -> None:
        """There is nothing to learn."""


def rewards(
    trace: Trace, choices: Sequence[Choice], candidates: Sequence[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Inferences right and in time, and joules, for every step and candidate; shape (steps, candidates) each."""
    limit = trace.deadline_ms / trace.slowdown
    reward = np.column_stack([trace.arrivals * choices[c].accuracy * choices[c].met(limit) for c in candidates])
    cost = np.column_stack([trace.arrivals * choices[c].energy_mj * MILLI for c in candidates])
    return reward, cost


def plan_oracle(
    trace: Trace, choices: Sequence[Choice], candidates: Sequence[int], charge_j: float
) -> tuple[Oracle, float]:
    """The oracle's plan, and a bound on what any policy can get right and in time.

    Dynamic programming over steps and the energy spent. States are kept in a corridor around the path of the
    Lagrangian relaxation, BUCKETS wide, one per part of energy: the one with the greatest value, with its exact
    energy, so that rounding cannot be exploited. The relaxation's value bounds every policy from above and
    certifies the plan.
    """
    reward, cost = rewards(trace, choices, candidates)
    # A step may also be left out.
    reward = np.column_stack([reward, np.zeros(trace.steps)])
    cost = np.column_stack([cost, np.zeros(trace.steps)])
    available = charge_j * (1 - float(trace.background.sum()))
    if available <= 0 or not cost.any():  # others draw the whole charge, or nothing arrives: there is nothing to plan
        return Oracle(np.full(trace.steps, IDLE, dtype=np.intp)), 0.0
    bound, around = _relaxation(reward, cost, available)
    index = _corridor(reward, cost, available, around)
    chosen = np.array([*candidates, IDLE], dtype=np.intp)
    return Oracle(chosen[index]), bound


def _relaxation(
    reward: NDArray[np.float64], cost: NDArray[np.float64], available: float
) -> tuple[float, NDArray[np.float64]]:
    """The Lagrangian dual of the charge, minimised by bisection over its price; and the energy spent up to each step.

    That is a mixture of the paths at prices just too low and just high enough, which uses up the charge.
    """
    rows = np.arange(len(reward))
    low, high = 0.0, float((reward / np.maximum(cost, 1e-300)).max())
    bound = np.inf
    for _ in range(80):
        price = (low + high) / 2
        path = (reward - price * cost).argmax(axis=1)
        spent = float(cost[rows, path].sum())
        bound = min(bound, float((reward - price * cost)[rows, path].sum()) + price * available)
        low, high = (price, high) if spent > available else (low, price)
    free = reward.argmax(axis=1)
    if cost[rows, free].sum() <= available:
        return float(reward[rows, free].sum()), np.cumsum(cost[rows, free])
    more = np.cumsum(cost[rows, (reward - low * cost).argmax(axis=1)])
    less = np.cumsum(cost[rows, (reward - high * cost).argmax(axis=1)])
    share = (available - less[-1]) / max(more[-1] - less[-1], 1e-300)
    return bound, less + min(1.0, share) * (more - less)


def _corridor(
    reward: NDArray[np.float64], cost: NDArray[np.float64], available: float, around: NDArray[np.float64]
) -> NDArray[np.intp]:
    """The best path within the charge whose spending stays near ``around``; shape (steps,)."""
    steps, options = reward.shape
    width = 8 * float(cost.max())
    unit = 2 * width / BUCKETS
    value, spent = np.zeros(1), np.zeros(1)
    parents: list[NDArray[np.intp]] = []
    taken: list[NDArray[np.intp]] = []
    for t in range(steps):
        energy = (spent[:, None] + cost[t]).reshape(-1)
        total = (value[:, None] + reward[t]).reshape(-1)
        bucket = np.floor((energy - around[t] + width) / unit)
        inside = np.flatnonzero((energy <= available) & (bucket >= 0) & (bucket < BUCKETS))
        order = inside[np.lexsort((-total[inside], bucket[inside]))]
        first = np.append(True, np.diff(bucket[order]) > 0)
        kept = order[first]
        # More energy spent for less value is never better.
        ahead = np.maximum.accumulate(np.append(-np.inf, total[kept][:-1]))
        kept = kept[total[kept] > ahead]
        parents.append(kept // options)
        taken.append(kept % options)
        value, spent = total[kept], energy[kept]
    state = int(value.argmax())
    path = np.zeros(steps, dtype=np.intp)
    for t in range(steps - 1, -1, -1):
        path[t] = taken[t][state]
        state = int(parents[t][state])
    return path
