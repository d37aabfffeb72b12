"""The sources of images: scikit-learn's digits, torchvision's CIFAR, folders and archives."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from depthdial.config.data import Dataset
from depthdial.data.folder import read_folder
from depthdial.data.places import ALL
from depthdial.data.spool import Part
from depthdial.errors import DataError


@dataclass(frozen=True)
class Source:
    """What was read: class names, training images and, where the source has them, test images."""

    where: str
    classes: list[str]
    train: Part
    test: Part | None


def read_source(settings: Dataset, folder: Path | None = None) -> Source:
    """Read all images of a data set; ``folder`` is where large ones wait on disk until they are written."""
    if settings.source == "digits":
        return _read_digits()
    path = _path(settings)
    if settings.source == "folder":
        classes, parts = read_folder(path, settings, folder)
        return Source(str(path), classes, parts["train" if "train" in parts else ALL], parts.get("test"))
    return _read_cifar(settings, path)


def _path(settings: Dataset) -> Path:
    assert settings.path is not None, "the schema demands a path for every source but digits"
    return Path(settings.path).expanduser()


def _read_digits() -> Source:
    """1,797 handwritten digits of 8x8 pixels, grey values 0 to 16 stretched to 0 to 255."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.round(digits.images * (255 / 16)).astype(np.uint8)[:, None]
    return Source(
        "scikit-learn's digits",
        [str(name) for name in digits.target_names],
        _part(images, digits.target),
        None,
    )


def _read_cifar(settings: Dataset, root: Path) -> Source:
    """CIFAR-10 or CIFAR-100 by torchvision, which checks the files' digests before it reads them."""
    from torchvision.datasets import CIFAR10, CIFAR100

    family = CIFAR10 if settings.source == "cifar10" else CIFAR100
    parts = []
    for train in (True, False):
        try:
            part = family(str(root), train=train, download=settings.download)
        except (RuntimeError, OSError) as error:
            ways = ("put {} into this folder, or check the network", "unpack {} there, or set download: true")
            advice = ways[not settings.download].format(family.filename)
            raise DataError(f"{root}: no complete {settings.source} there ({error}); {advice}") from None
        parts.append(_part(part.data.transpose(0, 3, 1, 2), np.asarray(part.targets)))
    return Source(str(root), list(part.classes), parts[0], parts[1])


def _part(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> Part:
    return Part(images, np.arange(len(labels)), labels.astype(np.int64))
