"""Evaluation from files: what the workflow's jobs do."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from depthdial.config.evaluate import Evaluate
from depthdial.data.augment import augmented
from depthdial.data.images import SplitName, load_info, load_split
from depthdial.data.tensors import Images
from depthdial.evaluate.engine import Engine
from depthdial.evaluate.norms import has_statistics
from depthdial.evaluate.results import Evaluation
from depthdial.evaluate.shards import block_evaluations, shard
from depthdial.evaluate.tables import mask_table, write_masks
from depthdial.files import atomic_path
from depthdial.networks.configurations import ConfigurationSet
from depthdial.networks.dial import Scaling
from depthdial.networks.masks import Mask, all_masks
from depthdial.networks.weights import load_weights, save_statistics
from depthdial.statistics.intervals import wilson_interval

logger = logging.getLogger(__name__)
Path = str | os.PathLike[str]
About = dict[str, Any]


def load_tensors(images: Path, split: SplitName) -> tuple[Images, Tensor]:
    """Images (N, C, H, W), normalised where they are taken out, and labels (N,) of one split."""
    content = load_split(images, split)
    return Images(content, load_info(images)), torch.from_numpy(content.labels)


def training_sample(images: Path, count: int) -> tuple[Tensor, Tensor]:
    """``count`` training images, normalised and without augmentation, and their labels; always the same ones.

    They are drawn at random, since images that come from folders are sorted by class.
    """
    content = load_split(images, "train")
    drawn = np.sort(np.random.default_rng(0).permutation(len(content))[:count])
    inputs = torch.from_numpy(load_info(images).normalise(content.images[drawn]))
    return inputs, torch.from_numpy(content.labels[drawn])


def calibration_tensor(images: Path, count: int, recipe: Mapping[str, Any]) -> Tensor:
    """The training images that BatchNorm statistics are taken from, shifted and mirrored as the recipe showed them.

    What the network learnt it learnt with statistics of such images: those of images as they are cost a dial that was
    trained in sandwiches a point (docs/decisions.md, "Statistics of the images that training saw").
    """
    sample, _ = training_sample(images, count)
    generator = torch.Generator().manual_seed(0)
    return augmented(sample, recipe.get("crop_padding", 0), recipe.get("horizontal_flip", False), generator)


def load_engine(weights: Path, images: Path, settings: Evaluate, scaling: Scaling, recalibrate: bool | float) -> Engine:
    """The engine for one trained network; ``recalibrate`` is the share of BatchNorm statistics taken anew.

    A network without BatchNorm has none to take.
    """
    net, about = load_weights(weights)
    recalibrate = recalibrate if has_statistics(net) else False
    return Engine(
        net,
        scaling,
        calibration_tensor(images, settings.calibration_images, about.get("recipe", {})) if recalibrate else None,
        settings.batch_size,
        settings.precision,
        settings.device,
        settings.memory_mb << 20,
        float(recalibrate) or 1.0,
    )


def evaluate_shard(
    weights: Path,
    images: Path,
    output: Path,
    settings: Evaluate,
    searched: bool,
    index: int,
    recalibrate: bool | float = True,
) -> None:
    """Write the mask table of one shard: of all masks of a searched network, else of the full network alone."""
    engine = load_engine(weights, images, settings, settings.scaling, recalibrate)
    n = engine.net.description.n_units
    masks = shard(all_masks(n), index, settings.shards) if searched else [Mask.full(n)]
    write_masks(output, *evaluate_validation(engine, images, masks))


def evaluate_asked(
    weights: Path,
    images: Path,
    masks: Sequence[Mask],
    output: Path,
    settings: Evaluate,
    index: int,
    recalibrate: bool | float = True,
) -> None:
    """Write the mask table of one shard of ``masks``, which a search asked for."""
    engine = load_engine(weights, images, settings, settings.scaling, recalibrate)
    write_masks(output, *evaluate_validation(engine, images, shard(masks, index, settings.shards)))


def evaluate_validation(engine: Engine, images: Path, masks: Sequence[Mask]) -> tuple[pd.DataFrame, About]:
    """The mask table of ``masks`` on the validation split, and what made it."""
    inputs, labels = load_tensors(images, "validation")
    start = time.perf_counter()
    evaluation = engine.evaluate(masks, inputs, labels)
    about = {
        "scaling": engine.scaling,
        "recalibrated": engine.recalibrated,
        "calibration_images": 0 if engine.calibration is None else len(engine.calibration),
        "precision": engine.precision,
        "device": engine.device,
        "seconds": time.perf_counter() - start,
        "block_evaluations": block_evaluations(masks),
    }
    logger.info("%d masks, %d block evaluations, %.1f s", len(masks), about["block_evaluations"], about["seconds"])
    return mask_table(engine.net.description, evaluation), about


def calibrate_configurations(
    weights: Path, images: Path, chosen: ConfigurationSet, settings: Evaluate, batchnorm: Path
) -> None:
    """Write the BatchNorm statistics that the chosen configurations need; only training images are read."""
    engine = load_engine(weights, images, settings, chosen.scaling, chosen.recalibrated)
    masks = {configuration.name: Mask(configuration.mask) for configuration in chosen.configurations}
    statistics = engine.statistics(list(masks.values()))
    save_statistics(batchnorm, {name: statistics[mask] for name, mask in masks.items()})


def score_configurations(
    weights: Path, images: Path, chosen: ConfigurationSet, settings: Evaluate, table: Path
) -> None:
    """Write the test accuracy of the chosen configurations: nothing that is deployed or measured depends on it."""
    engine = load_engine(weights, images, settings, chosen.scaling, chosen.recalibrated)
    masks = [Mask(configuration.mask) for configuration in chosen.configurations]
    inputs, labels = load_tensors(images, "test")
    names = [configuration.name for configuration in chosen.configurations]
    found = test_table(names, masks, engine.evaluate(masks, inputs, labels))
    found.insert(0, "network", chosen.network)
    with atomic_path(table) as temporary:
        found.to_parquet(temporary, index=False)


def test_table(names: Sequence[str], masks: Sequence[Mask], evaluation: Evaluation) -> pd.DataFrame:
    """One row per configuration, with 95 % Wilson intervals."""
    rows: list[dict[str, Any]] = []
    counts: NDArray[np.int64] = evaluation.counts
    for name, mask in zip(names, masks, strict=True):
        place = evaluation.masks.index(mask)
        correct, n = int(counts[place]), evaluation.n_images
        low, high = wilson_interval(correct, n)
        rows.append(
            {
                "name": name,
                "mask": mask.bits,
                "n_test": n,
                "test_correct": correct,
                "test_accuracy": correct / n,
                "low": low,
                "high": high,
                "correct": evaluation.packed[place].tobytes(),
            }
        )
    return pd.DataFrame(rows)
