"""How likely each cell of the grid is, and which moves between cells, learnt from training traces."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from depthdial.config.schedule import Schedule as Settings
from depthdial.errors import ScheduleError
from depthdial.schedule.grid import Grid, encode
from depthdial.schedule.problem import Conditions
from depthdial.traces.trace import Trace


def estimate(settings: Settings, grid: Grid, traces: tuple[Trace, ...]) -> Conditions:
    """Weights of the cells (shares of the inferences), moves between them, and the inferences of one charge.

    The charge left is taken from the plan (proportional to the inferences still to come), so that the estimate
    does not depend on what a schedule does. Weights named in ``settings.probabilities`` replace estimated ones.
    Inputs that fall outside the grid are left out: the selector answers them with the fail-safe configuration.
    """
    weight = np.zeros(grid.size)
    moves: dict[tuple[int, int], float] = {}
    total = 0.0
    for trace in traces:
        path = _path(grid, trace)
        inside = path >= 0
        np.add.at(weight, path[inside], trace.arrivals[inside])
        total += float(trace.arrivals.sum())
        for here, there in zip(path[:-1].tolist(), path[1:].tolist(), strict=True):
            if here != there and here >= 0 and there >= 0:
                moves[here, there] = moves.get((here, there), 0.0) + 1.0
    if weight.sum() == 0:
        raise ScheduleError(
            "no step of the training traces falls inside the grid; their deadlines, rates and slowdowns lie "
            "beyond its levels: widen schedule.grid"
        )
    weight = _replace_marginals(settings, grid, weight / weight.sum())
    weight = (1 - settings.smoothing) * weight + settings.smoothing / grid.size
    hours = sum(trace.duration_s for trace in traces) / 3600
    return Conditions(
        weight=weight,
        rate_hz=grid.values("rate", total / (hours * 3600)),
        transitions=_lift(grid, weight, {move: count / total for move, count in moves.items()}),
        inferences=total / hours * settings.horizon_h,
    )


def _path(grid: Grid, trace: Trace) -> NDArray[np.intp]:
    """The cell of every step, at the first level of reserve; -1 outside the grid. Shape (steps,)."""
    left = 1 - np.cumsum(trace.arrivals) / max(trace.arrivals.sum(), 1.0)
    # Without an axis of slowdown, the selector divides deadlines by its estimate of it.
    deadline = trace.deadline_ms if grid.has("slowdown") else trace.deadline_ms / trace.slowdown
    inputs = {
        "battery": left,
        "slowdown": trace.slowdown,
        "rate": trace.rate_hz,
        "deadline": deadline,
    }
    path = np.zeros(trace.steps, dtype=np.intp)
    for axis in grid.axes:
        path *= len(axis.levels)
        if axis.name in inputs:
            index = [axis.index(encode(axis.name, float(value))) for value in inputs[axis.name]]
            found = np.array([-1 if i is None else i for i in index], dtype=np.intp)
            path = np.where((path < 0) | (found < 0), np.iinfo(np.intp).min // 2**32, path + found)
    return np.where(path < 0, -1, path)


def _replace_marginals(settings: Settings, grid: Grid, weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights with the given marginals; reserve and temperature, which traces do not show, are even by default."""
    probabilities: Mapping[str, tuple[float, ...]] = settings.model_dump()["probabilities"]
    shaped = weight.reshape(grid.shape)
    for position, axis in enumerate(grid.axes):
        given = probabilities.get(axis.name)
        if given is None and axis.name not in ("reserve", "temperature"):
            continue
        marginal = np.ones(len(axis.levels)) if given is None else np.array(given, dtype=np.float64)
        shape = [-1 if i == position else 1 for i in range(len(grid.axes))]
        shaped = shaped.sum(axis=position, keepdims=True) * (marginal / marginal.sum()).reshape(shape)
    return np.asarray(shaped.reshape(-1), dtype=np.float64)


def _lift(grid: Grid, weight: NDArray[np.float64], moves: dict[tuple[int, int], float]) -> dict[tuple[int, int], float]:
    """Moves seen without regard to reserve, at every level of it, in proportion to the level's weight."""
    if not grid.has("reserve"):
        return moves
    # The axis of reserve is the first one, so that its levels are blocks of cells.
    levels = grid.shape[0]
    block = grid.size // levels
    share = weight.reshape(levels, block).sum(axis=1)
    return {
        (here + level * block, there + level * block): rate * float(share[level])
        for (here, there), rate in moves.items()
        for level in range(levels)
    }
