"""Prepared images: three splits in one safetensors file, read without torch."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from depthdial.errors import ArtefactError
from depthdial.files import atomic_path, pack_metadata, unpack_metadata

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
        """Images (N, C, H, W) as float32 with zero mean and unit deviation over the training split."""
        mean = np.asarray(self.mean, np.float32)[:, None, None]
        deviation = np.asarray(self.deviation, np.float32)[:, None, None]
        return (images.astype(np.float32) / np.float32(255) - mean) / deviation


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
    try:
        with safe_open(path, framework="numpy") as archive:
            metadata = archive.metadata()
    except (OSError, SafetensorError) as error:
        raise ArtefactError(f"{path}: cannot be read as prepared images ({error})") from None
    values = unpack_metadata(path, metadata, FORMAT)["info"]
    return ImagesInfo(
        values["name"],
        tuple(values["classes"]),
        tuple(values["mean"]),
        tuple(values["deviation"]),
        tuple(values["shape"]),
    )


def load_split(path: str | os.PathLike[str], split: SplitName) -> Split:
    """One split of a prepared file."""
    load_info(path)
    with safe_open(path, framework="numpy") as archive:
        return Split(archive.get_tensor(f"{split}_images"), archive.get_tensor(f"{split}_labels"))
