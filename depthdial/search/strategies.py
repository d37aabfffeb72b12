"""Strategies by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from depthdial.config.search import LARGEST_EXHAUSTIVE, Strategy
from depthdial.networks.description import Description
from depthdial.networks.dial import Dial, Scaling
from depthdial.search.base import Searcher
from depthdial.search.evolution import Evolution
from depthdial.search.importance import cross_entropy, fisher_information, hessian_traces, l2_norms, unit_weights
from depthdial.search.simple import Construction, Elimination, Exhaustive, RandomRanking, Ranking, Sensitivity
from depthdial.search.surrogate import Surrogate

RANDOM: frozenset[Strategy] = frozenset({"random", "nsga2", "surrogate"})
"""Strategies whose course depends on the search seed."""


@dataclass(frozen=True)
class Importance:
    """Scores of blocks from weights and gradients of ``net`` on ``images``, and what they cost.

    The cost is in block evaluations over ``n_validation`` images: a forward pass through n blocks counts n
    per image, its backward pass 2 n, a product with the Hessian 6 n.
    """

    net: Dial
    scaling: Scaling
    images: torch.Tensor
    labels: torch.Tensor
    n_validation: int
    probes: int

    def ranking(self, name: Strategy) -> Ranking:
        """The search that skips blocks in the order of the named score."""
        groups = unit_weights(self.net)
        n, share = len(groups), len(self.labels) / self.n_validation
        if name == "l2":
            return Ranking(self.net.description, l2_norms(groups))
        if name == "fisher":
            return Ranking(self.net.description, fisher_information(groups, self._losses()), 3 * n * share)
        generator = torch.Generator().manual_seed(0)
        traces = hessian_traces(groups, self._loss(self.images, self.labels), self.probes, generator)
        return Ranking(self.net.description, traces, (3 + 6 * self.probes) * n * share)

    def _loss(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return cross_entropy(self.net, self.scaling, images, labels)

    def _losses(self) -> Iterator[torch.Tensor]:
        for image, label in zip(self.images.split(1), self.labels.split(1), strict=True):
            yield self._loss(image, label)


def make_search(
    name: Strategy, network: Description, seed: int, importance: Callable[[], Importance], batch: int | None = None
) -> Searcher:
    """A new search. ``batch`` overrides the size of generations where the strategy has one."""
    if name == "exhaustive":
        return Exhaustive(network, LARGEST_EXHAUSTIVE)
    if name in ("l2", "fisher", "hessian"):
        return importance().ranking(name)
    if name == "sensitivity":
        return Sensitivity(network)
    if name == "random":
        return RandomRanking(network, seed)
    if name == "elimination":
        return Elimination(network)
    if name == "construction":
        return Construction(network, beam=batch or 4)
    if name == "nsga2":
        return Evolution(network, seed, batch or Evolution.POPULATION)
    return Surrogate(network, seed, batch or Surrogate.BATCH)
