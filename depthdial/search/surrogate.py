"""A surrogate with pairwise terms that proposes what to measure.

Accuracy, on the scale of log odds, is modelled as a Gaussian process over masks x in {-1, +1}^n whose
covariance is that of a linear function with independent weights, of all pairwise products with independent
weights, and of a rest that is shared by masks of small Hamming distance d:

    k(x, z) = a^2 (1 + x.z / n) + b^2 ((x.z)^2 - n) / (n (n - 1)) + c^2 exp(-d(x, z) / l)

The scales are those of greatest marginal likelihood on a small grid. Candidates are the neighbours of good
masks, by a flip or by a swap of a kept and a skipped block; those are measured whose expected improvement
of the hypervolume (Emmerich et al. 2006) per block evaluation is greatest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular
from scipy.stats import norm

from depthdial.networks.description import Description
from depthdial.networks.masks import Mask
from depthdial.search.base import Searcher
from depthdial.search.fronts import REFERENCE_COST, costs, front_of

Array = NDArray[np.float64]
GRID = tuple(product((0.3, 1.0), (0.1, 0.5), (0.1, 0.5, 1.0), (2.0, 5.0), (0.03, 0.15)))
"""Scales tried: linear, pairwise, local, length of the local term in blocks, noise; all but the length in
units of the deviation of the data."""


@dataclass(frozen=True)
class Scales:
    """The covariance's parameters: deviations of its three parts, length in blocks, deviation of noise."""

    linear: float
    pairs: float
    local: float
    length: float
    noise: float

    def covariance(self, x: Array, z: Array) -> Array:
        """Covariances (m, k) of rows of ``x`` (m, n) and ``z`` (k, n)."""
        n = x.shape[1]
        inner = x @ z.T
        pairs = (inner**2 - n) / max(n * (n - 1), 1)
        local = np.exp((inner - n) / 2 / self.length)
        return self.linear**2 * (1 + inner / n) + self.pairs**2 * pairs + self.local**2 * local

    @property
    def prior_variance(self) -> float:
        """Variance of every mask before anything is known."""
        return 2 * self.linear**2 + self.pairs**2 + self.local**2


class Model:
    """The process given values ``y`` (m,) at masks ``x`` (m, n), with the best of ``grid`` for its scales."""

    def __init__(self, x: Array, y: Array, grid: Sequence[tuple[float, ...]] = GRID) -> None:
        self.x, self.mean = x, float(y.mean())
        spread = max(float(y.std()), 1e-3)
        self.likelihood = -np.inf
        for choice in grid:
            linear, pairs, local, length, noise = choice
            scales = Scales(linear * spread, pairs * spread, local * spread, length, noise * spread)
            self._try(choice, scales, y - self.mean)

    def _try(self, choice: tuple[float, ...], scales: Scales, y: Array) -> None:
        """Keep ``scales`` if they explain ``y`` better than those before."""
        covariance = scales.covariance(self.x, self.x) + scales.noise**2 * np.eye(len(y))
        factor = cholesky(covariance, lower=True)
        weights = cho_solve((factor, True), y)
        likelihood = -0.5 * float(y @ weights) - float(np.log(np.diag(factor)).sum())
        if likelihood > self.likelihood:
            self.likelihood, self.choice, self.scales = likelihood, choice, scales
            self.factor, self.weights = factor, weights

    def predict(self, x: Array) -> tuple[Array, Array]:
        """Mean and deviation at the rows of ``x``."""
        across = self.scales.covariance(x, self.x)
        explained = (solve_triangular(self.factor, across.T, lower=True) ** 2).sum(axis=0)
        variance = np.maximum(self.scales.prior_variance - explained, 1e-12)
        return self.mean + across @ self.weights, np.sqrt(variance)


def expected_improvement(cost: Array, mean: Array, deviation: Array, front: Array, points: int = 9) -> Array:
    """Hypervolume that each candidate is expected to add to ``front``, rows (cost, accuracy) by ascending cost.

    Costs are shares of the full network; ``mean`` and ``deviation`` are in log odds. The expectation is a
    sum over ``points`` quantiles.
    """
    quantiles = norm.ppf((np.arange(points) + 0.5) / points)
    accuracy = 1 / (1 + np.exp(-(mean[:, None] + deviation[:, None] * quantiles)))
    right = np.append(front[1:, 0], REFERENCE_COST)
    gain = np.zeros(len(cost))
    for (left, level), end in zip(front, right, strict=True):
        width = np.maximum(end - np.maximum(cost, left), 0)
        gain += width * np.maximum(accuracy - level, 0).mean(axis=1)
    return gain


class Surrogate(Searcher):
    """Gaussian process and expected hypervolume improvement per block evaluation.

    The search starts from the full network, the empty one, every single block, ten random masks of all sizes,
    and networks that keep the first blocks of each stage, the same share of all: what nested sandwiches train
    lies around them, and no flip or swap of the others comes near. Each generation asks for ``batch`` masks,
    at most three of one size, among the neighbours of the front and of the ``parents`` best masks of each
    size, of which at most ``candidates`` are looked at.
    ``images`` is how many images an accuracy counts.
    """

    BATCH = 6

    def __init__(
        self,
        network: Description,
        seed: int = 0,
        batch: int = BATCH,
        parents: int = 2,
        candidates: int = 10_000,
        images: int = 256,
    ) -> None:
        super().__init__(network, seed)
        self.batch, self.parents, self.candidates, self.images = batch, parents, candidates, images
        self._grid: Sequence[tuple[float, ...]] = GRID
        self._fitted = 0

    def _generations(self) -> Iterator[Sequence[Mask]]:
        n = self.network.n_units
        empty = Mask("0" * n)
        singles = (empty.flip(block) for block in range(n))
        yield [Mask.full(n), empty, *singles, *self._random(10), *stagewise_masks(self.network.stages)]
        while len(self.accuracy) < 2**n:
            candidates = self._neighbours()
            yield self._promising(candidates) if candidates else self._random(self.batch)

    def _random(self, count: int) -> list[Mask]:
        n = self.network.n_units
        sizes = np.linspace(0, n, count).round().astype(int)
        return [Mask.from_kept(n, self.rng.permutation(n)[:size].tolist()) for size in sizes]

    def _neighbours(self) -> list[Mask]:
        """Unknown masks a flip or a swap away from the front or from the best of their size."""
        by_size: dict[int, list[Mask]] = {}
        for mask in self.accuracy:
            by_size.setdefault(len(mask.kept), []).append(mask)
        parents = set(front_of(self.network, self.accuracy))
        for masks in by_size.values():
            parents.update(self.better(masks)[: self.parents])
        found: set[Mask] = set()
        for parent in parents:
            found.update(parent.flip(block) for block in range(parent.n))
            found.update(parent.flip(out).flip(into) for out in parent.kept for into in parent.skipped)
        new = sorted(found - set(self.accuracy))
        drawn = self.rng.permutation(len(new))[: self.candidates] if len(new) > self.candidates else range(len(new))
        return [new[index] for index in sorted(drawn)]

    def _promising(self, candidates: list[Mask]) -> list[Mask]:
        """The batch of greatest expected improvement per block evaluation."""
        known = sorted(self.accuracy)
        share = np.array([self.accuracy[mask] for mask in known])
        share = (share * self.images + 0.5) / (self.images + 1)
        rows = _rows(candidates)
        mean, deviation = self._model(_rows(known), np.log(share / (1 - share))).predict(rows)
        front = front_of(self.network, self.accuracy)
        points = np.column_stack(
            [costs(self.network, front) / self.network.full_macs, [self.accuracy[mask] for mask in front]]
        )
        gain = expected_improvement(costs(self.network, candidates) / self.network.full_macs, mean, deviation, points)
        kept = (rows > 0).sum(axis=1)
        # Replayed on another processor, linear algebra differs in its last digits; the order must not.
        worth = np.array([float(f"{value:.6e}") for value in gain / np.maximum(kept, 1)])
        chosen: list[Mask] = []
        taken: dict[int, int] = {}
        for index in np.argsort(-worth, kind="stable"):
            size = int(kept[index])
            if len(chosen) < self.batch and taken.get(size, 0) < 3:
                chosen.append(candidates[index])
                taken[size] = taken.get(size, 0) + 1
        return chosen

    def _model(self, x: Array, y: Array) -> Model:
        """The model of all that is known; its scales are sought anew when there is a quarter more of it."""
        anew = len(y) >= 1.25 * self._fitted
        model = Model(x, y, GRID if anew else self._grid)
        if anew:
            self._grid, self._fitted = (model.choice,), len(y)
        return model


def stagewise_masks(stages: Sequence[int]) -> list[Mask]:
    """Masks that keep the first blocks of each stage: of the longest one to all, of the others the same share."""
    longest = max(stages)
    return [Mask.nested(stages, [-(-part * units // longest) for units in stages]) for part in range(1, longest + 1)]


def _rows(masks: Sequence[Mask]) -> Array:
    return np.array([[1.0 if gate else -1.0 for gate in mask.gates] for mask in masks])
