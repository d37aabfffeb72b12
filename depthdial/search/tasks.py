"""Searches from files: what the workflow's jobs do."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path as FilePath
from typing import Any

import pandas as pd

from depthdial.artefacts import read_json, read_table, reading
from depthdial.config.evaluate import Evaluate
from depthdial.config.search import STRATEGIES, Search, Strategy
from depthdial.data.images import load_split
from depthdial.errors import ConfigError
from depthdial.evaluate.shards import block_evaluations
from depthdial.evaluate.tables import masks_of, read_masks
from depthdial.evaluate.tasks import evaluate_validation, load_engine, training_sample
from depthdial.files import atomic_path, sha256_file, write_json
from depthdial.networks.description import Description
from depthdial.networks.dial import Scaling
from depthdial.networks.masks import Mask
from depthdial.networks.weights import load_weights
from depthdial.runs.progress import part_of, report_step
from depthdial.search.base import Generation
from depthdial.search.fronts import Measure, front_of
from depthdial.search.runs import TOGETHER, SearchRun, progress, run
from depthdial.search.runs import Evaluate as Ask
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
    exhaustive = 2**network.n_units - 1
    runs = []
    for strategy, seed in _compared(strategies, seeds):
        search = make_search(strategy, network, seed, lambda: importance, batch)
        history = run(search, lambda asked: {mask: truth[mask] for mask in asked}, budget * exhaustive)
        runs.append(SearchRun(strategy, seed, search.overhead, history))
    table, fronts = _tables(network, runs, "truth", truth)
    return table.assign(share_of_exhaustive=table["block_evaluations"] / exhaustive), fronts


def run_searches(
    weights: Path,
    images: Path,
    output: Path,
    search: Search,
    evaluation: Evaluate,
    index: int,
    recalibrate: bool | float = True,
    *,
    code: str,
) -> None:
    """Run one shard of the strategies on a network too deep to evaluate all masks, each to the end of the budget.

    Masks are evaluated as they are asked for, on the validation split; those known already are charged, not computed
    again. They stand in a checkpoint beside ``output`` until it is whole. Columns: strategy, search_seed, overhead,
    generation, mask, val_accuracy.
    """
    engine = load_engine(weights, images, evaluation, evaluation.scaling, recalibrate)
    checkpoint = FilePath(output).with_suffix(".checkpoint.json")
    key = [sha256_file(weights), sha256_file(images), evaluation.model_dump(mode="json"), recalibrate, code]

    def measure(masks: Sequence[Mask]) -> dict[Mask, float]:
        table, _ = evaluate_validation(engine, images, masks)
        return dict(zip(masks_of(table), table["val_accuracy"], strict=True))

    evaluate = _remembered(checkpoint, key, measure)
    rows: list[dict[str, Any]] = []
    compared = _compared(search.compare, search.compare_seeds)[index :: evaluation.shards]
    budget = search.compare_deep_budget
    for place, (strategy, seed) in enumerate(compared):
        searcher = make_search(
            strategy,
            engine.net.description,
            seed,
            lambda: load_importance(weights, images, search, evaluation.scaling),
        )
        about = {"strategy": strategy, "search_seed": seed, "overhead": searcher.overhead}
        evaluated = _with_progress(evaluate, place * budget + int(searcher.overhead), len(compared) * budget)
        for number, generation in enumerate(run(searcher, evaluated, budget)):
            found = generation.accuracies.items()
            rows += [about | {"generation": number, "mask": mask.bits, "val_accuracy": value} for mask, value in found]
    report_step("block evaluation", len(compared) * budget, len(compared) * budget)
    columns = ["strategy", "search_seed", "overhead", "generation", "mask", "val_accuracy"]
    with atomic_path(output) as temporary:
        pd.DataFrame(rows, columns=columns).to_parquet(temporary, index=False)
    checkpoint.unlink(missing_ok=True)


def collect_searches(weights: Path, shards: Sequence[Path]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """As ``compare_searches``, of what ``run_searches`` wrote: all of them together stand for the truth."""
    network = load_weights(weights)[0].description
    found = pd.concat([read_table(path) for path in shards], ignore_index=True)
    runs = []
    for _, part in found.groupby(["strategy", "search_seed"]):
        first = part.iloc[0]
        history = [
            Generation(dict(zip(masks_of(asked), asked["val_accuracy"], strict=True)))
            for _, asked in part.groupby("generation")
        ]
        runs.append(SearchRun(str(first["strategy"]), int(first["search_seed"]), float(first["overhead"]), history))
    order: list[str] = list(STRATEGIES)
    runs.sort(key=lambda one: (order.index(one.strategy), one.seed))
    best: dict[Mask, float] = {}
    for one in runs:
        best |= one.known
    return _tables(network, runs, TOGETHER, best)


def _compared(strategies: Sequence[Strategy], seeds: int) -> list[tuple[Strategy, int]]:
    """Every strategy with its search seeds."""
    return [(strategy, seed) for strategy in strategies for seed in range(seeds if strategy in RANDOM else 1)]


def _remembered(checkpoint: FilePath, key: Any, evaluate: Ask) -> Ask:
    """``evaluate``, which asks for no mask twice, not even of a job that was cut off: ``checkpoint`` remembers.

    What was evaluated under another ``key`` is forgotten.
    """
    before = read_json(checkpoint) if checkpoint.is_file() else {}
    known = {Mask(bits): value for bits, value in before["masks"].items()} if before.get("key") == key else {}

    def remembering(masks: Sequence[Mask]) -> dict[Mask, float]:
        if new := [mask for mask in masks if mask not in known]:
            known.update(evaluate(new))
            write_json(checkpoint, {"key": key, "masks": {mask.bits: value for mask, value in known.items()}})
        return {mask: known[mask] for mask in masks}

    return remembering


def _with_progress(evaluate: Ask, spent: int, total: int) -> Ask:
    """``evaluate``, which reports what it spends as steps, from ``spent`` on, towards ``total``."""

    def telling(masks: Sequence[Mask]) -> Mapping[Mask, float]:
        nonlocal spent
        size = block_evaluations(masks)
        with part_of("block evaluation", spent, size, total):
            found = evaluate(masks)
        spent += size
        report_step("block evaluation", spent, total)
        return found

    return telling


def _tables(
    network: Description, runs: Sequence[SearchRun], name: str, best: Mapping[Mask, float]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The progress and the fronts of searches, held against the accuracies ``best``, which are called ``name``."""
    measure = Measure(network)
    steps, fronts = [], [_front_rows(name, 0, network, best)]
    for one in runs:
        table = progress(measure, one.history, one.overhead, best)
        table.insert(0, "strategy", one.strategy)
        table.insert(1, "search_seed", one.seed)
        steps.append(table)
        fronts.append(_front_rows(one.strategy, one.seed, network, one.known))
    found = pd.concat(steps, ignore_index=True)
    found["reference_cost"], found["reference_accuracy"] = measure.reference
    return found, pd.concat(fronts, ignore_index=True)


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
