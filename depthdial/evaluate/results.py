"""What an evaluation gives: per-image correctness of every mask, bit-packed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from depthdial.networks.masks import Mask


@dataclass(frozen=True)
class Evaluation:
    """Masks in the order of their strings; ``packed`` (masks, ceil(n_images / 8)) by ``numpy.packbits``."""

    masks: tuple[Mask, ...]
    n_images: int
    packed: NDArray[np.uint8]

    @property
    def counts(self) -> NDArray[np.int64]:
        """Images that each mask classifies rightly."""
        return np.bitwise_count(self.packed).sum(axis=1, dtype=np.int64)

    @property
    def accuracies(self) -> NDArray[np.float64]:
        """The same as fractions."""
        return self.counts / self.n_images

    def correct(self) -> NDArray[np.bool_]:
        """Correctness (masks, images), unpacked."""
        return np.unpackbits(self.packed, axis=1, count=self.n_images).astype(bool)
