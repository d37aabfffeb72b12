"""Searches from files: what the workflow's jobs do."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import pandas as pd

from depthdial.artefacts import read_json, reading
from depthdial.config.search import Search, Strategy
from depthdial.data.images import load_split
from depthdial.errors import ConfigError
from depthdial.evaluate.tables import masks_of, read_masks
from depthdial.evaluate.tasks import training_sample
from depthdial.files import write_json
from depthdial.networks.description import Description
from depthdial.networks.dial import Scaling
from depthdial.networks.masks import Mask
from depthdial.networks.weights import load_weights
from depthdial.search.base import Generation
from depthdial.search.fronts import Measure, front_of
from depthdial.search.runs import progress, run
from depthdial.search.strategies import RANDOM, Importance, make_search

Path = str | os.PathLike[str]


def load_importance(weights: Path, images: Path, settings: Search, scaling: Scaling) -> Importance:
    """The scores of one network's blocks, from training images drawn at random."""
    net, _ = load_weights(weights)
    inputs, labels = training_sample(images, settings.importance_images)
    n_validation = len(load_split(images, "validation"))
    return Importance(net, scaling, inputs, labels, n_validation, settings.hessian_probes)


def ask_masks(
    weights: Path, images: Path, earlier: Sequence[Sequence[Path]], settings: Search, scaling: Scaling, output: Path
) -> None:
    """Write the masks of the next generation, given the tables of the shards of all earlier ones.

    The search is replayed from its seed; an empty list says that it is over.
    """
    net, _ = load_weights(weights)
    search = make_search(
        settings.strategy,
        net.description,
        settings.seed,
        lambda: load_importance(weights, images, settings, scaling),
        settings.batch,
    )
    search.replay([_generation(tables) for tables in earlier])
    write_json(output, [mask.bits for mask in search.ask()])


def _generation(tables: Sequence[Path]) -> Generation:
    table = pd.concat([read_masks(path)[0] for path in tables])
    return Generation(dict(zip(masks_of(table), table["val_accuracy"], strict=True)))


def read_asked(path: Path) -> list[Mask]:
    """The masks that ``ask_masks`` wrote."""
    found = read_json(path)
    with reading(path, "a list of masks"):
        return [Mask(bits) for bits in found]


def compare_searches(
    weights: Path, images: Path, masks: Path, settings: Search, scaling: Scaling
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Every strategy against the truth in ``masks``, which must hold all masks of the network.

    The first table has a row per strategy, search seed and generation, as ``progress`` says; the second
    the front of each at the end of the budget, and the true one as strategy ``truth``.
    """
    table, _ = read_masks(masks)
    truth = dict(zip(masks_of(table), table["val_accuracy"], strict=True))
    n = len(table["mask"].iloc[0])
    if len(truth) != 2**n:
        raise ConfigError(
            f"{masks}: holds {len(truth)} of 2^{n} masks; searches are compared where all are known, in networks of at "
            "most search.exhaustive_blocks blocks"
        )
    return compare_on(
        truth,
        load_importance(weights, images, settings, scaling),
        settings.compare,
        settings.compare_seeds,
        settings.compare_budget,
    )


def compare_on(
    truth: Mapping[Mask, float],
    importance: Importance,
    strategies: Sequence[Strategy],
    seeds: int,
    budget: float,
    batch: int | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """As ``compare_searches``, on accuracies in memory; ``budget`` is a share of the cost of all masks.

    ``batch`` is the size of generations, where a strategy has one, in place of the strategy's own.
    """
    network = importance.net.description
    measure, exhaustive = Measure(network), 2**network.n_units - 1
    runs, fronts = [], [_front_rows("truth", 0, network, truth)]
    for strategy in strategies:
        for seed in range(seeds if strategy in RANDOM else 1):
            search = make_search(strategy, network, seed, lambda: importance, batch)
            history = run(search, lambda asked: {mask: truth[mask] for mask in asked}, budget * exhaustive)
            steps = progress(measure, history, search.overhead, truth)
            steps.insert(0, "strategy", strategy)
            steps.insert(1, "search_seed", seed)
            runs.append(steps)
            known = {mask: value for generation in history for mask, value in generation.accuracies.items()}
            fronts.append(_front_rows(strategy, seed, network, known))
    table = pd.concat(runs, ignore_index=True)
    table["share_of_exhaustive"] = table["block_evaluations"] / exhaustive
    table["reference_cost"], table["reference_accuracy"] = measure.reference
    return table, pd.concat(fronts, ignore_index=True)


def _front_rows(strategy: str, seed: int, network: Description, accuracies: Mapping[Mask, float]) -> pd.DataFrame:
    front = front_of(network, accuracies)
    return pd.DataFrame(
        {
            "strategy": strategy,
            "search_seed": seed,
            "mask": [mask.bits for mask in front],
            "macs": [network.macs(mask) for mask in front],
            "val_accuracy": [accuracies[mask] for mask in front],
        }
    )
