"""Searches run to the end of a budget, and their progress as fronts over block evaluations."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from depthdial.evaluate.shards import block_evaluations
from depthdial.networks.masks import Mask
from depthdial.search.base import Generation, Searcher
from depthdial.search.fronts import Measure

Evaluate = Callable[[Sequence[Mask]], Mapping[Mask, float]]
TOGETHER = "together"
"""The strategy that stands for all of them together, where the truth is not known."""


@dataclass(frozen=True)
class SearchRun:
    """What one strategy asked for and found; ``overhead`` in block evaluations."""

    strategy: str
    seed: int
    overhead: float
    history: Sequence[Generation]

    @property
    def known(self) -> dict[Mask, float]:
        """All accuracies that it was told."""
        return {mask: value for generation in self.history for mask, value in generation.accuracies.items()}


def run(search: Searcher, evaluate: Evaluate, budget: float) -> list[Generation]:
    """Ask, evaluate and tell until the search is over or ``budget`` block evaluations are spent.

    Of the generation that would pass the budget, the masks that fit are evaluated, in the order of their
    strings; the search is not told of them.
    """
    history: list[Generation] = []
    left = budget - search.overhead
    while masks := search.ask():
        fitting = fit(masks, left)
        if fitting:
            history.append(Generation(dict(evaluate(fitting))))
        if len(fitting) < len(masks):
            break
        search.tell(history[-1].accuracies)
        left -= history[-1].block_evaluations
    return history


def fit(masks: Sequence[Mask], budget: float) -> list[Mask]:
    """The longest run of the first masks that together cost at most ``budget`` block evaluations."""
    if block_evaluations(masks) <= budget:
        return list(masks)
    sizes = range(len(masks))
    return list(masks[: bisect_right(sizes, budget, key=lambda size: block_evaluations(masks[:size])) - 1])


def progress(
    measure: Measure, history: Sequence[Generation], overhead: float, truth: Mapping[Mask, float] | None
) -> pd.DataFrame:
    """A row per generation: masks and block evaluations spent so far, and what their front is worth.

    Columns: generation, masks, block_evaluations, hypervolume, and with ``truth`` (all accuracies)
    hypervolume_share and igd_plus.
    """
    rows: list[dict[str, Any]] = []
    known: dict[Mask, float] = {}
    spent = overhead
    true_points = None if truth is None else measure.points(truth)
    true_hypervolume = None if truth is None else measure.hypervolume(truth)
    for number, generation in enumerate(history):
        known |= generation.accuracies
        spent += generation.block_evaluations
        row = {
            "generation": number,
            "masks": len(known),
            "block_evaluations": spent,
            "hypervolume": measure.hypervolume(known),
        }
        if true_points is not None and true_hypervolume is not None:
            row["hypervolume_share"] = row["hypervolume"] / true_hypervolume
            row["igd_plus"] = measure.igd_plus(known, true_points)
        rows.append(row)
    return pd.DataFrame(rows)


def needed(table: pd.DataFrame, share: float) -> float:
    """Block evaluations after which the front has ``share`` of the true hypervolume; infinite if never."""
    reached = table.loc[table["hypervolume_share"] >= share, "block_evaluations"]
    return float(reached.min()) if len(reached) else float("inf")
