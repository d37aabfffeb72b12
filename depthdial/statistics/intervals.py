"""95 % intervals of a count, over training seeds, and over images for two networks on the same images.

An interval that cannot be had (one seed, or seeds that agree to the last image) is NaN on both sides.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, sem, ttest_ind
from scipy.stats import t as student

CONFIDENCE = 0.95
NAN = float("nan")
NORMAL = 1.959963984540054
"""The 97.5 % quantile of the normal distribution."""


@dataclass(frozen=True)
class Interval:
    """A value with the ends of its interval and the number of repetitions."""

    value: float
    low: float
    high: float
    n: int

    def columns(self, name: str) -> dict[str, float]:
        """As columns of a table: ``name``, ``name_low``, ``name_high``."""
        return {name: self.value, f"{name}_low": self.low, f"{name}_high": self.high}


NOTHING = Interval(NAN, NAN, NAN, 0)


def wilson_interval(correct: int, n: int) -> tuple[float, float]:
    """The 95 % Wilson score interval of an accuracy of ``correct`` out of ``n``."""
    interval = binomtest(correct, n).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


def mean(values: Iterable[float]) -> Interval:
    """Mean over seeds; Student's t with n - 1 degrees of freedom."""
    found = _finite(values)
    if not len(found):
        return NOTHING
    if len(found) < 2 or not np.ptp(found):
        return Interval(float(found.mean()), NAN, NAN, len(found))
    margin = float(student.ppf((1 + CONFIDENCE) / 2, len(found) - 1) * sem(found))
    return Interval(float(found.mean()), float(found.mean()) - margin, float(found.mean()) + margin, len(found))


def share(values: Iterable[float]) -> Interval:
    """As ``mean`` of what lies between 0 and 1, which its interval then does too."""
    found = mean(values)
    low, high = np.clip([found.low, found.high], 0.0, 1.0)
    return Interval(found.value, float(low), float(high), found.n)


def paired(first: Iterable[float], second: Iterable[float]) -> Interval:
    """Mean of first - second where both are of the same trained networks, in the same order; Student's t."""
    differences = [a - b for a, b in zip(first, second, strict=True)]
    return mean(differences)


def difference(first: Iterable[float], second: Iterable[float]) -> Interval:
    """Difference of the means of networks trained apart; Welch's t."""
    a, b = _finite(first), _finite(second)
    if not (len(a) and len(b)):
        return NOTHING
    value, n = float(a.mean() - b.mean()), min(len(a), len(b))
    if n < 2 or not (np.ptp(a) or np.ptp(b)):
        return Interval(value, NAN, NAN, n)
    with warnings.catch_warnings():
        # SciPy warns of seeds that agree to the last digit, which count as they are here.
        warnings.simplefilter("ignore", RuntimeWarning)
        ends = ttest_ind(a, b, equal_var=False).confidence_interval(CONFIDENCE)
    return Interval(value, float(ends.low), float(ends.high), n)


def ratio(first: Iterable[float], second: Iterable[float]) -> Interval:
    """Ratio of the geometric means of networks trained apart; Welch's t on logarithms."""
    found = difference(np.log(_finite(first)), np.log(_finite(second)))
    return Interval(math.exp(found.value), math.exp(found.low), math.exp(found.high), found.n)


def measured_ratio(first: Interval, second: Interval) -> Interval:
    """Ratio of two positive medians that were measured apart, from the interval of each.

    Margins of the logarithms add in squares (MOVER: Zou and Donner 2008, Statistics in Medicine 27, 1693-1702).
    """
    value = first.value / second.value
    below = math.hypot(math.log(first.value / first.low), math.log(second.high / second.value))
    above = math.hypot(math.log(first.high / first.value), math.log(second.value / second.low))
    return Interval(value, value * math.exp(-below), value * math.exp(above), min(first.n, second.n))


def same_images(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> Interval:
    """Difference of two accuracies on the same images; Agresti and Min (2005): half a pair added to each disagreement.

    ``first`` and ``second`` say which images each network classifies rightly.
    """
    n = len(first)
    gained, lost = int((first & ~second).sum()) + 0.5, int((~first & second).sum()) + 0.5
    shift = (gained - lost) / (n + 2)
    margin = NORMAL * math.sqrt(gained + lost - (gained - lost) ** 2 / (n + 2)) / (n + 2)
    return Interval(float(first.mean() - second.mean()), shift - margin, shift + margin, n)


def _finite(values: Iterable[float]) -> NDArray[np.float64]:
    found = np.asarray(list(values), np.float64)
    return found[np.isfinite(found)]
