"""Read a data set and split it: the training images into training and validation, per class and seeded."""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import NDArray

from depthdial.config.data import Dataset
from depthdial.data.images import Split, SplitName
from depthdial.data.sources import Source, read_source
from depthdial.errors import DataError

logger = logging.getLogger(__name__)
DIGITS_TEST_FRACTION = 0.2


def prepare(settings: Dataset) -> tuple[list[str], dict[SplitName, Split]]:
    """The class names and the three splits. Raises DataError with all that is wrong with the images."""
    source = read_source(settings)
    generator = np.random.default_rng(settings.split_seed)
    train, test = source.train, source.test
    if settings.images_per_class:
        train = _take(train, _per_class(train.labels, settings.images_per_class, generator))
        if test is not None:
            test = _take(test, _per_class(test.labels, settings.images_per_class, generator))
    everything = len(train)
    if test is None:
        share = settings.test_fraction or DIGITS_TEST_FRACTION
        train, test = stratified(train, share, generator)
    # Fractions of `digits` are of all its images, so the second cut is a larger share of what is left.
    share = settings.validation_fraction * everything / len(train)
    train, validation = stratified(train, share, generator)
    splits: dict[SplitName, Split] = {"train": train, "validation": validation, "test": test}
    _check(source, splits)
    logger.info("%s: %s", settings.name, ", ".join(f"{name} {len(part)}" for name, part in splits.items()))
    return source.classes, splits


def stratified(split: Split, share: float, generator: np.random.Generator) -> tuple[Split, Split]:
    """Cut ``share`` of the images of every class off; returns what stays and what was cut off."""
    cut: list[NDArray[np.int64]] = []
    for label in np.unique(split.labels):
        members = generator.permutation(np.flatnonzero(split.labels == label))
        cut.append(members[: max(1, round(share * len(members)))])
    away = np.sort(np.concatenate(cut))
    stay = np.setdiff1d(np.arange(len(split)), away)
    return _take(split, stay), _take(split, away)


def _per_class(labels: NDArray[np.int64], limit: int, generator: np.random.Generator) -> NDArray[np.int64]:
    chosen = [generator.permutation(np.flatnonzero(labels == label))[:limit] for label in np.unique(labels)]
    return np.sort(np.concatenate(chosen))


def _take(split: Split, index: NDArray[np.int64]) -> Split:
    return Split(split.images[index], split.labels[index])


def _check(source: Source, splits: dict[SplitName, Split]) -> None:
    problems = [
        f"class {name!r} has no image in the {split} split"
        for split, content in splits.items()
        for label, name in enumerate(source.classes)
        if not (content.labels == label).any()
    ]
    if problems:
        raise DataError(f"{source.where}: " + "; ".join(problems) + ". Every class needs images in all splits.")
