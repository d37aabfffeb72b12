"""Read a data set and split it: into training, validation and, where the source has none, test images, seeded."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from depthdial.config.data import Dataset
from depthdial.data.images import SplitName
from depthdial.data.sources import read_source
from depthdial.data.spool import Part
from depthdial.errors import DataError

logger = logging.getLogger(__name__)
DIGITS_TEST_FRACTION = 0.2


def prepare(settings: Dataset, folder: Path | None = None) -> tuple[list[str], dict[SplitName, Part]]:
    """The class names and the three splits. Raises DataError with all that is wrong with the images.

    ``folder`` is where images wait on disk until they are written.
    """
    source = read_source(settings, folder)
    generator = np.random.default_rng(settings.split_seed)
    train, test = source.train, source.test
    if settings.images_per_class:
        train = train.take(_per_class(train.labels, settings.images_per_class, generator))
        if test is not None:
            test = test.take(_per_class(test.labels, settings.images_per_class, generator))
    everything = len(train)
    if test is None:
        share = settings.test_fraction or DIGITS_TEST_FRACTION
        train, test = cut(train, share, generator, leave=2)
    # Fractions of a source without a test split are of all its images: the second is a larger share of what is left.
    share = settings.validation_fraction * everything / len(train)
    train, validation = cut(train, share, generator)
    splits: dict[SplitName, Part] = {"train": train, "validation": validation, "test": test}
    if empty := [name for name, part in splits.items() if not len(part)]:
        raise DataError(f"{source.where}: no image is left for {', '.join(empty)}; {everything} are too few")
    logger.info("%s: %s", settings.name, ", ".join(f"{name} {len(part)}" for name, part in splits.items()))
    return source.classes, splits


def cut(part: Part, share: float, generator: np.random.Generator, leave: int = 1) -> tuple[Part, Part]:
    """Cut ``share`` of the images off: of every class, leaving it ``leave`` images or more. Returns what stays first.

    Where a class has too few images for that, ``share`` of all images is cut off whatever their classes, and said.
    """
    classes, counts = np.unique(part.labels, return_counts=True)
    if counts.min(initial=len(part)) > leave:
        away = _per_class(part.labels, share, generator, leave)
    else:
        few = int((counts <= leave).sum())
        logger.warning(
            "%d of %d classes have too few images to split each: %.3g of all images are drawn, whatever their class",
            few, len(classes), share,
        )  # fmt: skip
        away = np.sort(generator.permutation(len(part))[: round(share * len(part))])
    return part.take(np.setdiff1d(np.arange(len(part)), away)), part.take(away)


def _per_class(
    labels: NDArray[np.int64], amount: float, generator: np.random.Generator, leave: int = 0
) -> NDArray[np.int64]:
    """Indices of a share (below 1) or a number of images of every class, drawn at random."""
    chosen = []
    for label in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == label))
        count = max(1, round(amount * len(members))) if amount < 1 else int(amount)
        chosen.append(members[: min(count, len(members) - leave)])
    return np.sort(np.concatenate(chosen))
