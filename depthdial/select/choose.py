"""Choice of the configurations of a dial from its table of masks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from depthdial.config.select import Select
from depthdial.networks.configurations import Configuration, ConfigurationSet, slot_names
from depthdial.select.front import Array, best_subset, pareto_front, shortfall
from depthdial.statistics.intervals import wilson_interval


def choose(table: pd.DataFrame, settings: Select, cost: str = "macs") -> tuple[Configuration, ...]:
    """The full network as ``c00`` and then, by falling cost, the best masks of ``table``.

    ``table`` has a row per mask: mask, kept, macs, n_val, val_correct, val_accuracy, and ``cost`` if that
    is another column. The Pareto front of accuracy against ``cost``, down to ``settings.largest_drop``
    below the full network, is thinned to the subset with the largest hypervolume. Where the front is
    shorter than the number of slots, the masks nearest below it take the rest, marked as not on the front.
    """
    table = table.sort_values("mask", ascending=False, kind="stable").reset_index(drop=True)
    full = int(table["kept"].argmax())
    costs = table[cost].to_numpy(np.float64)
    accuracies = table["val_accuracy"].to_numpy(np.float64)
    floor = accuracies[full] - settings.largest_drop
    front = pareto_front(costs, accuracies)
    on_front = set(front.tolist())
    slots = min(settings.configurations, len(table))
    candidates = front[(accuracies[front] > floor) & (front != full)]
    reference = (float(costs[full]), float(floor))
    picked = candidates[best_subset(costs[candidates], accuracies[candidates], slots - 1, reference)].tolist()
    picked += _nearest(costs, accuracies, floor, {full, *picked}, slots - 1 - len(picked))
    picked.sort(key=lambda index: (-costs[index], index))
    return tuple(
        _configuration(name, table.loc[index], index in on_front)
        for name, index in zip(slot_names(slots), [full, *picked], strict=True)
    )


def judged_again(chosen: ConfigurationSet, table: pd.DataFrame) -> ConfigurationSet:
    """The same configurations with the validation accuracies of other weights, from their table of masks."""
    rows = {str(row["mask"]): row for _, row in table.iterrows()}
    again = (_configuration(one.name, rows[one.mask], one.on_front) for one in chosen.configurations)
    return chosen.model_copy(update={"configurations": tuple(again)})


def _nearest(costs: Array, accuracies: Array, floor: float, taken: set[int], count: int) -> list[int]:
    """``count`` further masks, least below the front first, at costs not yet taken as long as there are any.

    Masks that lose more accuracy than allowed come last, whatever they cost.
    """
    below = shortfall(costs, accuracies)
    order: list[int] = np.lexsort((np.arange(len(costs)), costs, below)).tolist()
    seen = {costs[index] for index in taken}
    new: list[int] = []
    again: list[int] = []
    for index in (index for index in order if index not in taken):
        (again if costs[index] in seen else new).append(index)
        seen.add(costs[index])
    allowed = [index for index in (*new, *again) if accuracies[index] > floor]
    return [*allowed, *(index for index in (*new, *again) if accuracies[index] <= floor)][:count]


def _configuration(name: str, row: pd.Series[Any], on_front: bool) -> Configuration:
    low, high = wilson_interval(int(row["val_correct"]), int(row["n_val"]))
    return Configuration(
        name=name,
        mask=str(row["mask"]),
        macs=int(row["macs"]),
        on_front=on_front,
        validation_accuracy=float(row["val_accuracy"]),
        validation_low=low,
        validation_high=high,
    )
