"""Pareto fronts in two dimensions and their best small subsets. Cost is minimised, accuracy maximised."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def pareto_front(cost: Array, accuracy: Array) -> NDArray[np.int64]:
    """Indices of the points that no other point dominates, by ascending cost.

    Of points equal in both, the first is kept. A point is dominated if another is no costlier and no less
    accurate, and better in one of the two.
    """
    order = np.lexsort((np.arange(len(cost)), -accuracy, cost))
    best, front = -np.inf, []
    for index in order:
        if accuracy[index] > best:
            front.append(index)
            best = accuracy[index]
    return np.asarray(front, np.int64)


def best_subset(cost: Array, accuracy: Array, size: int, reference: tuple[float, float]) -> NDArray[np.int64]:
    """Indices of the ``size`` points of a front with the largest hypervolume, exactly, by ascending cost.

    ``cost`` and ``accuracy`` must ascend strictly (a front). Dynamic programming over the front
    (Auger et al. 2009, "Theory of the hypervolume indicator", for two objectives): O(size n^2).
    """
    n = len(cost)
    if n <= size:
        return np.arange(n)
    height = accuracy - reference[1]
    # area[i]: largest area of j chosen points of which i is the cheapest, looking from the right.
    area = (reference[0] - cost) * height
    follower = np.full((size, n), -1)
    for chosen in range(1, size):
        gain = np.full((n, n), -np.inf)
        for i in range(n):
            gain[i, i + 1 :] = (cost[i + 1 :] - cost[i]) * height[i] + area[i + 1 :]
        follower[chosen] = gain.argmax(axis=1)
        area = gain.max(axis=1)
    picked = [int(area.argmax())]
    for chosen in range(size - 1, 0, -1):
        picked.append(int(follower[chosen, picked[-1]]))
    return np.asarray(picked, np.int64)


def shortfall(cost: Array, accuracy: Array) -> Array:
    """How far each point's accuracy lies below the best that no more cost buys; 0 on the front."""
    order = np.lexsort((-accuracy, cost))
    best = np.empty_like(accuracy)
    best[order] = np.maximum.accumulate(accuracy[order])
    return best - accuracy
