"""What changes when images change, known before any is read: light, since the workflow asks whenever it starts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from depthdial.config.data import Dataset
from depthdial.data.places import may_be_used
from depthdial.data.tree import Folder, look_at, survey
from depthdial.errors import DataError
from depthdial.files import sha256_file

CIFAR = {
    "cifar10": (
        *("cifar-10-python.tar.gz", "cifar-10-batches-py", "batches.meta", "test_batch"),
        *(f"data_batch_{number}" for number in range(1, 6)),
    ),
    "cifar100": ("cifar-100-python.tar.gz", "cifar-100-python", "meta", "train", "test"),
}
"""The archive that torchvision fetches, and the folder and the files in it."""


def fingerprints(datasets: Iterable[Dataset], plan: bool) -> dict[str, str]:
    """The fingerprint of each data set by its name.

    Raises DataError that names all data sets whose images are not there; a ``plan`` can be made without them.
    """
    found, problems = {}, []
    for dataset in datasets:
        try:
            found[dataset.name] = fingerprint(dataset)
        except DataError as error:
            problems.append(f"datasets, {dataset.name}: {error}")
            found[dataset.name] = str(error)
    if problems and not plan:
        raise DataError("\n".join(problems))
    return found


def fingerprint(dataset: Dataset) -> str:
    """What changes when the images of a data set change: names, sizes and times of the files, and the file of classes.

    Raises DataError if they are not there, nor fetched. What scikit-learn and torchvision bring never changes.
    """
    if dataset.source in CIFAR:
        _look_for_cifar(dataset)
    if dataset.source != "folder":
        return dataset.source
    assert dataset.path is not None, "the schema demands the path of a folder"
    digest = hashlib.sha256(_images(Path(dataset.path).expanduser(), dataset.test_fraction is None))
    if dataset.classes is not None:
        classes = Path(dataset.classes).expanduser()
        look_at(classes, "file of classes")
        try:
            digest.update(sha256_file(classes).encode())
        except OSError as error:  # a folder, or a file of somebody else
            raise DataError(f"{classes}: cannot be read as a file of classes ({error.strerror})") from None
    return digest.hexdigest()[:16]


def _look_for_cifar(dataset: Dataset) -> None:
    assert dataset.path is not None, "the schema demands a path for torchvision's files"
    root = Path(dataset.path).expanduser()
    archive, folder, *names = CIFAR[dataset.source]
    if root.exists() and not root.is_dir():
        raise DataError(f"{root}: no folder; name the one that holds {folder}, or into which it is fetched")
    missing = [name for name in names if not (root / folder / name).is_file()]
    if missing and not dataset.download:
        raise DataError(f"{root / folder}: no {', '.join(missing)}; unpack {archive} in {root}, or set download: true")


def _images(path: Path, by_parts: bool) -> bytes:
    node = look_at(path, "folder or archive")
    if not node.folder:
        return str(node.stamp).encode()
    found = survey(Folder(path))
    lines = [f"{name}\0{node.stamp}" for name, node in found.files.items() if may_be_used(name, by_parts)]
    lines += [f"{name}\0{problem}" for name, problem in found.problems.items()]
    return "\n".join(lines).encode("utf-8", "surrogateescape")
