"""Images for torch: bytes until they are looked at, then as a network reads them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from depthdial.data.images import ImagesInfo, Split

RESIDENT = 2 << 30
"""Bytes of images that move to another device as a whole; more stay in the host's memory and move batch by batch."""


class Images:
    """The images of a split, (N, C, H, W), kept as bytes.

    Indexing with anything that selects images returns them normalised, as float32 on ``device``: the same bits as
    ``ImagesInfo.normalise``. So a split takes the memory of its bytes, or none where they are mapped from a file, and
    floats are there for one batch alone.
    """

    def __init__(self, split: Split, info: ImagesInfo, device: torch.device | str = "cpu") -> None:
        self.bytes = torch.from_numpy(split.images)
        if self.bytes.nbytes <= RESIDENT:
            self.bytes = self.bytes.to(device)
        self.device = torch.device(device)
        self.shape = self.bytes.shape
        # Division by a tensor: by a number, torch multiplies with its inverse on some devices, which rounds otherwise.
        self._white, self._mean, self._deviation = (
            torch.tensor(values, dtype=torch.float32, device=device)[:, None, None]
            for values in ([255.0], info.mean, info.deviation)
        )

    def __len__(self) -> int:
        return len(self.bytes)

    def __getitem__(self, index: slice | Tensor | NDArray[np.int64]) -> Tensor:
        if isinstance(index, Tensor):
            index = index.to(self.bytes.device)
        chosen = self.bytes[index].to(self.device)
        return (chosen.float() / self._white - self._mean) / self._deviation
