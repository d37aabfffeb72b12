"""The interface of every search: ask for masks, tell their accuracies.

Rules that hold for all strategies. Accuracy is measured once per mask, on the same images for all masks, so
that a repeated measurement would say the same: duplicates are never asked for again, and what noise the
images bring is common to all masks. Masks that tie in accuracy rank by cost, then by their strings. All
randomness comes from the seed, so a search that is told the same asks the same.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from depthdial.errors import ArtefactError
from depthdial.evaluate.shards import block_evaluations
from depthdial.networks.description import Description
from depthdial.networks.masks import Mask
from depthdial.runs.progress import report_step


@dataclass(frozen=True)
class Generation:
    """Masks that were asked for together, with their accuracies."""

    accuracies: Mapping[Mask, float]

    @property
    def block_evaluations(self) -> int:
        """Their cost when they are evaluated together."""
        return block_evaluations(self.accuracies)


class Searcher(ABC):
    """A strategy. Subclasses write ``_generations``, which yields masks and then finds their accuracies."""

    overhead: float = 0.0
    """Cost, in block evaluations over the validation images, of what was measured before the first mask."""

    def __init__(self, network: Description, seed: int = 0) -> None:
        self.network = network
        self.rng = np.random.default_rng(seed)
        self.accuracy: dict[Mask, float] = {}
        self._asked: list[Mask] = []
        self._proposals = self._generations()

    @abstractmethod
    def _generations(self) -> Iterator[Sequence[Mask]]:
        """Yield masks; when it goes on, ``self.accuracy`` knows them."""

    def ask(self) -> list[Mask]:
        """The masks to measure next, sorted, none of them known; empty when the search is over."""
        while not self._asked:
            try:
                proposed = next(self._proposals)
            except StopIteration:
                break
            self._asked = sorted(set(proposed) - set(self.accuracy))
        return self._asked

    def tell(self, accuracies: Mapping[Mask, float]) -> None:
        """The accuracies of all masks that were asked for. Raises ValueError if they are others."""
        if set(accuracies) != set(self._asked):
            missing = len(set(self._asked) - set(accuracies))
            raise ValueError(
                f"the search asked for {len(self._asked)} masks: {missing} of them are missing, "
                f"{len(set(accuracies) - set(self._asked))} are others"
            )
        self.accuracy.update(accuracies)
        self._asked = []

    def replay(self, history: Sequence[Generation]) -> None:
        """Bring a new search to where one stood that was told ``history``.

        Raises ArtefactError if this search would have asked for other masks.
        """
        for number, generation in enumerate(history):
            if self.ask() != sorted(generation.accuracies):
                raise ArtefactError(
                    f"generation {number} of the search holds other masks than this strategy and seed ask for; "
                    "its settings have changed: delete the generations and run again"
                )
            self.tell(generation.accuracies)
            report_step("generation", number + 1, len(history))

    def better(self, masks: Sequence[Mask]) -> list[Mask]:
        """Known masks, best first: by accuracy, then by cost, then by their strings."""
        return sorted(masks, key=lambda mask: (-self.accuracy[mask], self.network.macs(mask), mask))
