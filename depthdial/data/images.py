"""Prepared images: three splits in one safetensors file, read without torch."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from depthdial.artefacts import open_tensors, pack_metadata, reading
from depthdial.files import atomic_path

SplitName = Literal["train", "validation", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")
FORMAT = "images-1"


@dataclass(frozen=True)
class Split:
    """Images (N, C, H, W) as uint8 and their labels (N,) as int64."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class ImagesInfo:
    """What a prepared file says of itself: class names; mean and deviation per channel, of values in [0, 1]."""

    name: str
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    shape: tuple[int, int, int]

    def normalise(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Images (..., C, H, W) as float32 with zero mean and unit deviation over the training split."""
        return normalise(images, self.mean, self.deviation)


def normalise(images: NDArray[np.uint8], mean: Sequence[float], deviation: Sequence[float]) -> NDArray[np.float32]:
    """Bytes (..., C, H, W) as a network reads them: of values in [0, 1], less the mean, over the deviation.

    ``data.tensors`` computes the same, bit for bit, on any device of torch.
    """
    by_channel = [np.asarray(values, np.float32)[:, None, None] for values in (mean, deviation)]
    return (images.astype(np.float32) / np.float32(255) - by_channel[0]) / by_channel[1]


def save_images(path: str | os.PathLike[str], name: str, classes: list[str], splits: dict[SplitName, Split]) -> None:
    """Write the three splits; mean and deviation are taken from the training split alone."""
    train = splits["train"].images.astype(np.float64) / 255
    info = {
        "name": name,
        "classes": classes,
        "mean": train.mean(axis=(0, 2, 3)).tolist(),
        "deviation": np.maximum(train.std(axis=(0, 2, 3)), 1e-3).tolist(),
        "shape": list(train.shape[1:]),
    }
    tensors: dict[str, NDArray[Any]] = {}
    for split, content in splits.items():
        tensors[f"{split}_images"] = np.ascontiguousarray(content.images)
        tensors[f"{split}_labels"] = content.labels.astype(np.int64)
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, pack_metadata(FORMAT, {"info": info}))


def load_info(path: str | os.PathLike[str]) -> ImagesInfo:
    """Names and normalisation of a prepared file."""
    with open_tensors(path, FORMAT) as archive:
        values = archive.about["info"]
        return ImagesInfo(
            values["name"],
            tuple(values["classes"]),
            tuple(values["mean"]),
            tuple(values["deviation"]),
            tuple(values["shape"]),
        )


def load_split(path: str | os.PathLike[str], split: SplitName) -> Split:
    """One split of a prepared file; its images stay in the file until they are looked at."""
    load_info(path)
    with reading(path, "prepared images"):
        return Split(_mapped(path, f"{split}_images"), np.array(_mapped(path, f"{split}_labels")))


def _mapped(path: str | os.PathLike[str], name: str) -> NDArray[Any]:
    """A tensor of a safetensors file as a private map of the file: what is not read takes no memory.

    The library itself hands out copies. It has checked the header before: ``load_info`` opens the file with it.
    """
    with Path(path).open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        about = json.loads(file.read(length))[name]
    kind = {"U8": np.uint8, "I64": np.int64}[about["dtype"]]
    start = 8 + length + about["data_offsets"][0]
    return np.asarray(np.memmap(path, kind, "c", start, tuple(about["shape"])))
