"""Searches without a model: all masks, rankings of blocks, greedy elimination and construction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from depthdial.errors import ConfigError
from depthdial.networks.description import Description
from depthdial.networks.masks import Mask, all_masks
from depthdial.search.base import Searcher


class Exhaustive(Searcher):
    """Every mask, in one generation. Raises ConfigError beyond ``limit`` blocks."""

    def __init__(self, network: Description, limit: int) -> None:
        if network.n_units > limit:
            raise ConfigError(
                f"search: a network of {network.n_units} blocks has 2^{network.n_units} masks, exhaustive_blocks "
                f"allows 2^{limit}; raise exhaustive_blocks or choose another strategy than exhaustive"
            )
        super().__init__(network)

    def _generations(self) -> Iterator[Sequence[Mask]]:
        yield list(all_masks(self.network.n_units))


def nested_masks(n: int, order: Sequence[int]) -> list[Mask]:
    """The n + 1 masks that skip the first 0, 1, ..., n blocks of ``order``."""
    return [Mask.from_kept(n, set(range(n)) - set(order[:skipped])) for skipped in range(n + 1)]


class Ranking(Searcher):
    """Skip the blocks in the order of given scores, the least important first; ties go to the earlier block."""

    def __init__(self, network: Description, scores: Sequence[float], overhead: float = 0.0) -> None:
        super().__init__(network)
        self.order = np.argsort(np.asarray(scores), kind="stable").tolist()
        self.overhead = overhead

    def _generations(self) -> Iterator[Sequence[Mask]]:
        yield nested_masks(self.network.n_units, self.order)


class RandomRanking(Searcher):
    """Skip the blocks in random order; when all is measured, in another random order."""

    def _generations(self) -> Iterator[Sequence[Mask]]:
        n = self.network.n_units
        while len(self.accuracy) < 2**n:
            yield nested_masks(n, self.rng.permutation(n).tolist())


class Sensitivity(Searcher):
    """The ranking of Korol et al. (2025): blocks by the accuracy lost when each is skipped alone."""

    def _generations(self) -> Iterator[Sequence[Mask]]:
        n = self.network.n_units
        full = Mask.full(n)
        singles = [full.flip(block) for block in range(n)]
        yield [full, *singles]
        losses = [self.accuracy[full] - self.accuracy[single] for single in singles]
        yield nested_masks(n, np.argsort(losses, kind="stable").tolist())


class Elimination(Searcher):
    """Greedy backward elimination: skip the block that costs least accuracy, measure again, and so on."""

    def _generations(self) -> Iterator[Sequence[Mask]]:
        mask = Mask.full(self.network.n_units)
        yield [mask]
        while mask.kept:
            candidates = [mask.flip(block) for block in mask.kept]
            yield candidates
            mask = self.better(candidates)[0]


class Construction(Searcher):
    """Greedy construction from the empty network: keep the block that gains most accuracy, and so on.

    With few blocks kept, a mask costs few block evaluations, and the front lies where blocks are few.
    ``beam`` masks of each size are extended.
    """

    def __init__(self, network: Description, seed: int = 0, beam: int = 1) -> None:
        super().__init__(network, seed)
        self.beam = beam

    def _generations(self) -> Iterator[Sequence[Mask]]:
        best = [Mask("0" * self.network.n_units)]
        yield [*best, Mask.full(self.network.n_units)]
        for _ in range(self.network.n_units):
            candidates = sorted({mask.flip(block) for mask in best for block in mask.skipped})
            yield candidates
            best = self.better(candidates)[: self.beam]
