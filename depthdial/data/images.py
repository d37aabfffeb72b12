"""Prepared images: three splits in one safetensors file, read without torch."""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from depthdial.artefacts import open_tensors, pack_metadata
from depthdial.artefacts import reading as reading_file
from depthdial.config.data import Normalisation, Reading
from depthdial.data.spool import Part
from depthdial.files import atomic_path

logger = logging.getLogger(__name__)
SplitName = Literal["train", "validation", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")
FORMAT = "images-2"


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
    reading: Reading = field(default_factory=Reading)
    """How pictures became images of this shape."""

    def normalise(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Images (..., C, H, W) as float32 with zero mean and unit deviation over the training split."""
        return normalise(images, self.mean, self.deviation)


def normalise(images: NDArray[np.uint8], mean: Sequence[float], deviation: Sequence[float]) -> NDArray[np.float32]:
    """Bytes (..., C, H, W) as a network reads them: of values in [0, 1], less the mean, over the deviation.

    ``data.tensors`` computes the same, bit for bit, on any device of torch.
    """
    by_channel = [np.asarray(values, np.float32)[:, None, None] for values in (mean, deviation)]
    return (images.astype(np.float32) / np.float32(255) - by_channel[0]) / by_channel[1]


def save_images(
    path: str | os.PathLike[str],
    name: str,
    classes: Sequence[str],
    splits: Mapping[SplitName, Split | Part],
    reading: Reading | None = None,
    normalisation: Normalisation | None = None,
) -> None:
    """Write the three splits, block by block: safetensors' own writer would hold all of them in memory, twice.

    Without a ``normalisation`` mean and deviation are those of the training split alone. Images that are the same in
    two splits are counted and warned of.
    """
    parts = {split: _part(content) for split, content in splits.items()}
    shape = parts["train"].store.shape[1:]
    mean, deviation = (normalisation.mean, normalisation.deviation) if normalisation else _moments(parts["train"])
    info: dict[str, Any] = {"name": name, "classes": list(classes), "mean": list(mean), "deviation": list(deviation)}
    info |= {"shape": list(shape), "reading": (reading or Reading()).model_dump(mode="json")}
    tensors: dict[str, tuple[str, tuple[int, ...], int]]
    tensors = {f"{split}_labels": ("I64", (len(part),), 8) for split, part in sorted(parts.items())}
    tensors |= {f"{split}_images": ("U8", (len(part), *shape), 1) for split, part in sorted(parts.items())}
    digests: dict[SplitName, set[bytes]] = {split: set() for split in parts}
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(_header(tensors, pack_metadata(FORMAT, {"info": info})))
        for split in sorted(parts):
            file.write(parts[split].labels.data)
        for split in sorted(parts):
            for block in parts[split].blocks():
                file.write(block.data)
                digests[split].update(hashlib.blake2b(image.data, digest_size=16).digest() for image in block)
    _warn_of_shared(name, digests)


def _header(tensors: Mapping[str, tuple[str, tuple[int, ...], int]], metadata: dict[str, str]) -> bytes:
    """The beginning of a safetensors file with tensors of these types, shapes and bytes per value, in this order."""
    header: dict[str, Any] = {"__metadata__": metadata}
    end = 0
    for name, (kind, shape, width) in tensors.items():
        start, end = end, end + width * math.prod(shape)
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _part(content: Split | Part) -> Part:
    if isinstance(content, Part):
        return content
    return Part(content.images, np.arange(len(content)), content.labels.astype(np.int64))


def _moments(part: Part) -> tuple[list[float], list[float]]:
    """Mean and deviation per channel, of values in [0, 1]: from exact sums, whatever the order of the images."""
    channels = part.store.shape[1]
    sums, squares, count = np.zeros(channels, np.uint64), np.zeros(channels, np.uint64), 0
    for block in part.blocks():
        values = block.transpose(1, 0, 2, 3).reshape(channels, -1)
        sums += values.sum(axis=1, dtype=np.uint64)
        squares += np.square(values, dtype=np.uint16).sum(axis=1, dtype=np.uint64)
        count += values.shape[1]
    pairs = list(zip(sums.tolist(), squares.tolist(), strict=True))
    variances = [(count * square - total * total) / (255 * count) ** 2 for total, square in pairs]
    return [total / (255 * count) for total, _ in pairs], [max(math.sqrt(value), 1e-3) for value in variances]


def _warn_of_shared(name: str, digests: Mapping[SplitName, set[bytes]]) -> None:
    for one, other in itertools.combinations(SPLITS, 2):
        if shared := len(digests.get(one, set()) & digests.get(other, set())):
            logger.warning(
                "%s: %d images are the same in %s and %s; accuracies there are too high by what the network remembers",
                name, shared, one, other,
            )  # fmt: skip


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
            Reading.model_validate(values["reading"]),
        )


def load_split(path: str | os.PathLike[str], split: SplitName) -> Split:
    """One split of a prepared file; its images stay in the file until they are looked at."""
    load_info(path)
    with reading_file(path, "prepared images"):
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
