"""Images on their way into the prepared file: in a file without a name, not in memory."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

BLOCK = 16 << 20
"""Bytes of images that are in memory at once."""


class Store(Protocol):
    """Images (N, C, H, W) as bytes, an array or something on disk that is indexed like one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, C, H, W)."""
        ...

    def __getitem__(self, index: NDArray[np.int64], /) -> Any:
        """The images of these numbers, in this order."""
        ...


class Spool:
    """Images of one size, grey or RGB, in the order in which they were added."""

    def __init__(self, folder: Path | None = None) -> None:
        # Nothing has to be cleaned up after it, not even after a kill.
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        self._places: list[int] = [0]

    def add(self, pixels: NDArray[np.uint8]) -> int:
        """Keep an image (C, H, W); returns its number."""
        self._file.write(pixels.data)
        self._places.append(self._places[-1] + pixels.nbytes)
        return len(self._places) - 2

    def images(self, numbers: NDArray[np.int64], channels: int, size: int) -> SpooledImages:
        """Some of the images; grey ones are told in all channels."""
        self._file.flush()
        return SpooledImages(self, numbers, (len(numbers), channels, size, size))

    def read(self, number: int) -> bytes:
        """The bytes of one image."""
        start, end = self._places[number : number + 2]
        return os.pread(self._file.fileno(), end - start, start)


@dataclass(frozen=True)
class SpooledImages:
    """Images of a spool as an array that is read where it is indexed."""

    spool: Spool
    numbers: NDArray[np.int64]
    shape: tuple[int, int, int, int]

    def __getitem__(self, index: NDArray[np.int64]) -> NDArray[np.uint8]:
        chosen = self.numbers[index]
        images = np.empty((len(chosen), *self.shape[1:]), np.uint8)
        for place, number in enumerate(chosen.tolist()):
            pixels = np.frombuffer(self.spool.read(number), np.uint8)
            images[place] = pixels.reshape(-1, *self.shape[2:])
        return images


@dataclass(frozen=True)
class Part:
    """Some images of a store, in an order of their own, and their labels (N,) as int64."""

    store: Store
    index: NDArray[np.int64]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def images(self) -> NDArray[np.uint8]:
        """All of them (N, C, H, W), in memory."""
        return np.asarray(self.store[self.index])

    def blocks(self) -> Iterator[NDArray[np.uint8]]:
        """All of them in turn, as many at once as fit into a block."""
        count = max(1, BLOCK // max(1, int(np.prod(self.store.shape[1:]))))
        for start in range(0, len(self), count):
            yield np.ascontiguousarray(self.store[self.index[start : start + count]])

    def take(self, index: NDArray[np.int64]) -> Part:
        """Some of them."""
        return Part(self.store, self.index[index], self.labels[index])
