"""The searches against true fronts, and against each other on a network of 54 blocks, for `make bench-masks`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import torch

from benchmarks.masks_networks import IMAGES, Case
from benchmarks.timing import timed
from depthdial.config.search import STRATEGIES, Search
from depthdial.evaluate.engine import Engine
from depthdial.evaluate.tables import masks_of
from depthdial.evaluate.tasks import calibration_tensor, load_tensors
from depthdial.figures.style import canvas
from depthdial.networks.description import Description
from depthdial.networks.masks import Mask
from depthdial.search.base import Searcher as Strategy
from depthdial.search.fronts import Measure, front_of
from depthdial.search.runs import needed, run
from depthdial.search.strategies import RANDOM, make_search
from depthdial.search.tasks import compare_on, load_importance

SHARES = (0.95, 0.99, 0.999)
SEARCH_SEEDS = 5
WIDE = 64
"""Masks of a generation as large as the workflow's."""
DEEP_BUDGET = 6000
DEEP_SEEDS = 3


def search_quality(cases: Sequence[Case], budget: float) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """For every strategy the shares of the exhaustive block evaluations needed, over networks and seeds."""
    parts = []
    for case in cases:
        table = case.truth()
        truth = dict(zip(masks_of(table), table["val_accuracy"], strict=True))
        importance = load_importance(case.weights, IMAGES, Search(), "survival")
        steps, _ = compare_on(truth, importance, STRATEGIES, SEARCH_SEEDS, budget)
        wide, _ = compare_on(truth, importance, ["surrogate"], SEARCH_SEEDS, budget, WIDE)
        parts += [each.assign(network_seed=case.seed) for each in (steps, wide.assign(strategy=f"surrogate, {WIDE}"))]
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
    """All strategies on a network of 54 blocks at equal budget, measured by the engine; of several seeds the median."""
    engine = Engine(case.net(), "survival", calibration_tensor(IMAGES, 128))
    inputs, labels = load_tensors(IMAGES, "validation")
    importance = load_importance(case.weights, IMAGES, Search(), "survival")
    measure = Measure(engine.net.description)
    runs = {
        name: [
            deep_run(
                engine,
                inputs,
                labels,
                make_search(name, engine.net.description, seed, lambda: importance, batch),
                measure,
            )
            for seed in range(DEEP_SEEDS if name in RANDOM else 1)
        ]
        for name, batch in ((name, 48 if name in RANDOM else None) for name in STRATEGIES)
    }
    known = {mask: value for found in runs.values() for each in found for mask, value in each["accuracies"].items()}
    union = measure.hypervolume(known)
    rows = []
    for name, found in runs.items():
        ordered = sorted(found, key=lambda each: float(each["hypervolume"]))
        middle = ordered[len(ordered) // 2]
        share, worst = middle["hypervolume"] / union, ordered[0]["hypervolume"] / union
        rows.append({"strategy": name, **middle, "share_of_union": share, "worst_of_union": worst})
    return sorted(rows, key=lambda row: -row["share_of_union"])


def deep_run(
    engine: Engine, inputs: torch.Tensor, labels: torch.Tensor, search: Strategy, measure: Measure
) -> dict[str, Any]:
    """One search to the end of the budget: what it found, what it cost, its front."""
    arch, measured = engine.net.description, 0.0

    def evaluate(masks: Sequence[Mask]) -> dict[Mask, float]:
        nonlocal measured
        found, seconds = timed(lambda: engine.evaluate(masks, inputs, labels))
        measured += seconds
        return dict(zip(found.masks, found.accuracies, strict=True))

    history, seconds = timed(lambda: run(search, evaluate, DEEP_BUDGET))
    accuracies = {mask: value for generation in history for mask, value in generation.accuracies.items()}
    generations = max(len(history), 1)
    return {
        "masks": len(accuracies),
        "generations": len(history),
        "block_evaluations": search.overhead + sum(g.block_evaluations for g in history),
        "hypervolume": measure.hypervolume(accuracies),
        "seconds_evaluating": measured / generations,
        "seconds_proposing": (seconds - measured) / generations,
        "best_at": [best_at(arch, accuracies, share) for share in (0.15, 0.25, 0.5, 1.0)],
        "accuracies": accuracies,
        "front": [(arch.macs(mask) / arch.full_macs, accuracies[mask]) for mask in front_of(arch, accuracies)],
    }


def draw_deep(rows: Sequence[dict[str, Any]], path: str) -> None:
    """The fronts of all strategies, as staircases, best strategy first in the legend."""
    palette = mpl.colormaps["tab10"]
    with canvas(120) as (figure, axis):
        for index, row in enumerate(rows):
            costs, accuracies = zip(*sorted(row["front"]), strict=True)
            axis.step([*costs, 1.0], [*accuracies, accuracies[-1]], where="post", color=palette(index), linewidth=1)
            axis.plot(
                costs, accuracies, "osv^D<>pP"[index], color=palette(index), markersize=2.5, label=row["strategy"]
            )
        axis.set(xlabel="MACs / those of the full network", ylabel="validation accuracy", xlim=(0, 1.02))
        axis.legend(fontsize=6, loc="lower right")
        figure.savefig(path, dpi=200)


def best_at(arch: Description, accuracies: dict[Mask, float], share: float) -> float:
    """The best accuracy on the front at no more than ``share`` of the full network's MACs."""
    affordable = [mask for mask in front_of(arch, accuracies) if arch.macs(mask) <= share * arch.full_macs]
    return max((accuracies[mask] for mask in affordable), default=float("nan"))
