"""The searches against true fronts, and against each other on a network of 54 blocks, for `make bench-masks`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.masks_networks import IMAGES, Case
from benchmarks.timing import timed
from depthdial.arch import Architecture
from depthdial.config.search import STRATEGIES, Search
from depthdial.evaluate.engine import Engine
from depthdial.evaluate.tables import masks_of
from depthdial.evaluate.tasks import calibration_tensor, load_tensors
from depthdial.masks import Mask
from depthdial.search.fronts import Measure, front_of
from depthdial.search.runs import needed, run
from depthdial.search.strategies import RANDOM, Importance, make_search
from depthdial.search.tasks import compare_on, load_importance

SHARES = (0.95, 0.99, 0.999)
SEARCH_SEEDS = 5
DEEP_BUDGET = 6000


def search_quality(cases: Sequence[Case], budget: float) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """For every strategy the shares of the exhaustive block evaluations needed, over networks and seeds."""
    parts = []
    for case in cases:
        table = case.truth()
        truth = dict(zip(masks_of(table), table["val_accuracy"], strict=True))
        importance = load_importance(case.weights, IMAGES, Search(), "survival")
        steps, _ = compare_on(truth, importance, STRATEGIES, SEARCH_SEEDS, budget)
        steps.insert(0, "network_seed", case.seed)
        parts.append(steps)
    steps = pd.concat(parts, ignore_index=True)
    exhaustive = 2 ** ((cases[0].depth - 2) // 2) - 1
    rows = []
    for name, group in steps.groupby("strategy", sort=False):
        runs = [part for _, part in group.groupby(["network_seed", "search_seed"])]
        row: dict[str, Any] = {"strategy": name, "runs": len(runs)}
        for share in SHARES:
            costs = [needed(part, share) / exhaustive for part in runs]
            row |= {f"share_{share}": float(np.median(costs)), f"worst_{share}": max(costs)}
        row["hypervolume"] = float(np.median([part["hypervolume_share"].iloc[-1] for part in runs]))
        row["igd_plus"] = float(np.median([part["igd_plus"].iloc[-1] for part in runs]))
        rows.append(row)
    return steps, sorted(rows, key=lambda row: (row["share_0.99"], -row["hypervolume"]))


def deep(case: Case) -> list[dict[str, Any]]:
    """All strategies on a network of 54 blocks at equal budget, measured by the engine."""
    engine = Engine(case.net(), "survival", calibration_tensor(IMAGES, 128))
    inputs, labels = load_tensors(IMAGES, "validation")
    settings = Search()
    importance: Callable[[], Importance] = lambda: load_importance(case.weights, IMAGES, settings, "survival")  # noqa: E731
    measure = Measure(engine.net.arch)
    known: dict[Mask, float] = {}
    rows = []
    for name in STRATEGIES:
        search = make_search(name, engine.net.arch, 0, importance, 48 if name in RANDOM else None)
        measured = 0.0

        def evaluate(masks: Sequence[Mask]) -> dict[Mask, float]:
            nonlocal measured
            found, seconds = timed(lambda: engine.evaluate(masks, inputs, labels))
            measured += seconds
            return dict(zip(found.masks, found.accuracies, strict=True))

        history, seconds = timed(lambda: run(search, evaluate, DEEP_BUDGET))  # noqa: B023
        accuracies = {mask: value for generation in history for mask, value in generation.accuracies.items()}
        known |= accuracies
        generations = max(len(history), 1)
        rows.append(
            {
                "strategy": name,
                "masks": len(accuracies),
                "generations": len(history),
                "block_evaluations": search.overhead + sum(g.block_evaluations for g in history),
                "hypervolume": measure.hypervolume(accuracies),
                "seconds_evaluating": measured / generations,
                "seconds_proposing": (seconds - measured) / generations,
                "best_at": [best_at(engine.net.arch, accuracies, share) for share in (0.15, 0.25, 0.5, 1.0)],
            }
        )
    union = measure.hypervolume(known)
    for row in rows:
        row["share_of_union"] = row["hypervolume"] / union
    return sorted(rows, key=lambda row: -row["hypervolume"])


def best_at(arch: Architecture, accuracies: dict[Mask, float], share: float) -> float:
    """The best accuracy on the front at no more than ``share`` of the full network's MACs."""
    affordable = [mask for mask in front_of(arch, accuracies) if arch.macs(mask) <= share * arch.full_macs]
    return max((accuracies[mask] for mask in affordable), default=float("nan"))
