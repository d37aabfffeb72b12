"""Images from a folder or an archive with ``train/<class>/`` and ``test/<class>/``.

Archives are read member by member and never unpacked, so nothing in them can land outside a folder.
"""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
from PIL import Image, UnidentifiedImageError

from depthdial.data.images import Split
from depthdial.errors import DataError

Part = Literal["train", "test"]
SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".pgm", ".tif", ".tiff"}
MOST_PROBLEMS = 10


def read_folder(path: Path, image_size: int | None) -> tuple[list[str], dict[Part, Split]]:
    """Class names (sorted) and both parts. Raises DataError that lists the first problems found."""
    if not path.exists():
        raise DataError(f"{path}: no such folder or archive; expected train/<class>/ and test/<class>/ in it")
    images: dict[tuple[Part, str], list[tuple[str, Image.Image]]] = {}
    problems: list[str] = []
    for name, content in _files(path):
        place = _place(name)
        if place is None:
            continue
        try:
            image = Image.open(io.BytesIO(content))
            image.load()
        except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
            problems.append(f"{name}: not a readable image ({error})")
            continue
        images.setdefault(place, []).append((name, image))
    classes = sorted({label for _, label in images})
    problems += _missing(images, classes)
    size = image_size or _common_size(images, problems)
    if problems:
        shown = "\n  ".join(problems[:MOST_PROBLEMS])
        more = f"\n  and {len(problems) - MOST_PROBLEMS} more" if len(problems) > MOST_PROBLEMS else ""
        raise DataError(f"{path}: {len(problems)} problem(s)\n  {shown}{more}")
    grey = all(image.mode in ("1", "L") for members in images.values() for _, image in members)
    parts: tuple[Part, ...] = ("train", "test")
    return classes, {part: _stack(part, classes, images, size, "L" if grey else "RGB") for part in parts}


def _files(path: Path) -> Iterator[tuple[str, bytes]]:
    """Names and contents of all regular image files, in a fixed order for folders."""
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.is_file() and file.suffix.lower() in SUFFIXES:
                yield file.relative_to(path).as_posix(), file.read_bytes()
        return
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    if PurePosixPath(name).suffix.lower() in SUFFIXES:
                        yield name, archive.read(name)
            return
        with tarfile.open(path, "r|*") as archive:
            for member in archive:
                if member.isfile() and PurePosixPath(member.name).suffix.lower() in SUFFIXES:
                    stream = archive.extractfile(member)
                    assert stream is not None, "a regular member can be read"
                    yield member.name, stream.read()
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError) as error:
        raise DataError(f"{path}: not a complete .tar, .tar.gz, .tar.xz or .zip archive ({error})") from None


def _place(name: str) -> tuple[Part, str] | None:
    """Part and class of a file, from the last three parts of its name; None if it belongs to neither part."""
    parts = PurePosixPath(name).parts
    if len(parts) < 3 or parts[-3] not in ("train", "test"):
        return None
    return ("train" if parts[-3] == "train" else "test"), parts[-2]


def _missing(images: dict[tuple[Part, str], list[tuple[str, Image.Image]]], classes: list[str]) -> list[str]:
    if len(classes) < 2:
        return [f"expected at least two classes as train/<class>/ and test/<class>/, found {classes}"]
    parts: tuple[Part, ...] = ("train", "test")
    return [f"{part}/{label}/: no image" for part in parts for label in classes if not images.get((part, label))]


def _common_size(images: dict[tuple[Part, str], list[tuple[str, Image.Image]]], problems: list[str]) -> int:
    """The one size of all images; a problem is noted where there is none."""
    sizes: dict[tuple[int, int], str] = {}
    for members in images.values():
        for name, image in members:
            sizes.setdefault(image.size, name)
    if len(sizes) > 1:
        seen = ", ".join(f"{w}x{h} ({name})" for (w, h), name in list(sizes.items())[:4])
        problems.append(f"images of {len(sizes)} sizes: {seen}; set image_size to resize them")
    elif sizes:
        width, height = next(iter(sizes))
        if width != height or width % 4:
            problems.append(f"images of {width}x{height}: a square size, a multiple of 4, is needed; set image_size")
        return width
    return 0


def _stack(
    part: Part,
    classes: list[str],
    images: dict[tuple[Part, str], list[tuple[str, Image.Image]]],
    size: int,
    mode: str,
) -> Split:
    """The images of one part, sorted by class and name, as (N, C, size, size)."""
    pixels, labels = [], []
    for label, name in enumerate(classes):
        for _, image in sorted(images[(part, name)], key=lambda pair: pair[0]):
            converted = image.convert(mode)
            if converted.size != (size, size):
                converted = converted.resize((size, size), Image.Resampling.BICUBIC)
            pixels.append(np.asarray(converted, np.uint8).reshape(size, size, -1).transpose(2, 0, 1))
            labels.append(label)
    return Split(np.stack(pixels), np.asarray(labels, np.int64))
