"""Test accuracies over a network's seeds; of one seed the images are the repetitions, so it is about that network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from depthdial.compare.runs import bits
from depthdial.statistics.intervals import NAN, NOTHING, Interval, difference, same_images, share

Row = dict[Any, Any]
"""A row of ``test.parquet`` or ``budgets.parquet``: n_test, test_accuracy, low, high, correct, ..."""
Tested = Sequence[Row | None]
"""One for each seed; None where the network was not tested."""


def accuracies_of(tested: Tested) -> list[float]:
    """Test accuracies; NaN where the network was not tested."""
    return [NAN if row is None else row["test_accuracy"] for row in tested]


def over(tested: Tested) -> Interval:
    """Mean accuracy over seeds (Student's t); of one seed Wilson's interval."""
    if len(tested) == 1 and tested[0] is not None:
        return Interval(tested[0]["test_accuracy"], tested[0]["low"], tested[0]["high"], 1)
    return share(accuracies_of(tested))


def between(
    ours: Tested, theirs: Tested, over_seeds: Callable[[list[float], list[float]], Interval] = difference
) -> Interval:
    """Difference of mean accuracies over seeds; of one seed each, on the same images."""
    if len(ours) == len(theirs) == 1:
        return NOTHING if ours[0] is None else on_same_images(ours[0], theirs[0])
    return over_seeds(accuracies_of(ours), accuracies_of(theirs))


def on_same_images(tested: Row, other: Row | None) -> Interval:
    """Difference in test accuracy to another network on the same images; nothing where there is no other."""
    if other is None:
        return NOTHING
    return same_images(*(bits(one["correct"], one["n_test"]) for one in (tested, other)))
