"""Images from a folder or an archive: what is wrong with any of them is told at once, what is not used is named."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from depthdial.config.data import Dataset, Reading
from depthdial.data.archives import ArchiveError, Content, open_container
from depthdial.data.pictures import NoPictureError, decode
from depthdial.data.places import ALL, PARTS, Places, find_places, may_be_used, unfit
from depthdial.data.spool import Part, Spool
from depthdial.data.tree import Key, Survey, survey
from depthdial.errors import DataError

logger = logging.getLogger(__name__)
SUFFIXES = {
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".gif", ".webp", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm"),
}
"""A file of such a name that cannot be read is a mistake; any other is looked into, and left out if it is no image."""
MOST_PROBLEMS, MOST_NAMED = 25, 3
LARGEST = 512
"""Pixels along a side of images that are taken as they are: as many as ``image_size`` allows."""


@dataclass(frozen=True)
class Picture:
    """An image that was read: its number in the spool (-1: of a size that is of no use), its sides and channels."""

    number: int
    sides: tuple[int, int]
    channels: int


class _Reader:
    """Reads contents once each, and keeps what came of them: a picture, or why there is none."""

    def __init__(self, settings: Dataset, spool: Spool) -> None:
        self.outcomes: dict[Key, Picture | DataError] = {}
        self._settings, self._spool = settings, spool
        self._channels = None if settings.normalisation is None else len(settings.normalisation.mean)

    def read(self, contents: Iterable[Content]) -> None:
        for key, content in contents:
            try:
                self.outcomes[key] = self._picture(content())
            except ArchiveError:
                raise
            except DataError as error:
                self.outcomes[key] = error

    def _picture(self, content: bytes) -> Picture:
        size = self._settings.image_size
        pixels, sides = decode(content, self._settings.reading, size, self._channels)
        fits = size is not None or (sides[0] == sides[1] <= LARGEST)
        return Picture(self._spool.add(pixels) if fits else -1, sides, len(pixels))


def read_folder(path: Path, settings: Dataset, folder: Path | None = None) -> tuple[list[str], dict[str, Part]]:
    """Class names, and the parts ``train`` and ``test``, or all images as ``all`` where they are to be split.

    ``folder`` is where images wait on disk until they are written. Raises DataError that lists the problems found.
    """
    by_parts = settings.test_fraction is None
    container, reader = open_container(path), _Reader(settings, spool := Spool(folder))
    reader.read(container.early(lambda name: may_be_used(name, by_parts)))
    found = survey(container.tree())
    places = find_places(found, by_parts)
    unread = {found.files[name].key for name in places.files} - reader.outcomes.keys()
    reader.read(container.contents(unread))
    pictures, problems, other = _sorted_out(found, places, reader.outcomes)
    classes, names = _classes(settings, sorted({label for _, label in places.folders}))
    problems += names + _missing(places, {*places.files} - {*other}, by_parts)
    size = settings.image_size or _common_size(pictures, problems)
    _note(path, [*container.notes, *_left_out(found, places, other), *_not_square(settings, pictures)])
    if problems:
        raise listed(path, problems)
    channels = max(picture.channels for picture in pictures.values())
    order = {label: index for index, label in enumerate(classes)}
    parts = {}
    for part in PARTS if by_parts else (ALL,):
        members = sorted(
            (order[label], name) for name, (p, label) in places.files.items() if p == part and name in pictures
        )
        numbers = np.array([pictures[name].number for _, name in members], np.int64)
        labels = np.array([label for label, _ in members], np.int64)
        parts[part] = Part(spool.images(numbers, channels, size), np.arange(len(members)), labels)
    return list(classes.values()), parts


def _sorted_out(
    found: Survey, places: Places, outcomes: dict[Key, Picture | DataError]
) -> tuple[dict[str, Picture], list[str], list[str]]:
    """Pictures by name, what is wrong, and files among the images that are none and do not look so."""
    pictures: dict[str, Picture] = {}
    problems, other = list(places.problems), []
    for name in places.files:
        outcome = outcomes[found.files[name].key]
        if isinstance(outcome, Picture):
            pictures[name] = outcome
        elif isinstance(outcome, NoPictureError) and PurePosixPath(name).suffix.lower() not in SUFFIXES:
            other.append(name)
        else:
            problems.append(f"{name}: not a readable image ({outcome})")
    return pictures, problems + [f"{name}: {problem}" for name, problem in found.problems.items()], other


def _missing(places: Places, images: set[str], by_parts: bool) -> list[str]:
    """Classes without an image, readable or not, in a part that has classes."""
    filled = {places.files[name] for name in images}
    classes = sorted({label for _, label in places.folders})
    parts = [part for part in PARTS if any(p == part for p, _ in places.folders)] if by_parts else [ALL]
    empty = [(part, label) for part in parts for label in classes if (part, label) not in filled]
    return [f"{part}/{label}/: no image" if by_parts else f"{label}/: no image" for part, label in empty]


def _common_size(pictures: dict[str, Picture], problems: list[str]) -> int:
    """The one size of all images; a problem is noted where there is none."""
    sizes: dict[tuple[int, int], str] = {}
    for name, picture in pictures.items():
        sizes.setdefault(picture.sides, name)
    if len(sizes) > 1:
        seen = ", ".join(f"{w}x{h} ({name})" for (w, h), name in list(sizes.items())[:4])
        problems.append(f"images of {len(sizes)} sizes: {seen}; set image_size to resize them")
    elif sizes:
        width, height = next(iter(sizes))
        if width != height or width % 4 or width > LARGEST:
            problems.append(
                f"images of {width}x{height}: a square size, a multiple of 4 up to {LARGEST}, is needed; set image_size"
            )
        return width
    return 0


def _classes(settings: Dataset, folders: list[str]) -> tuple[dict[str, str], list[str]]:
    """What to call each class by its folder, in the order of the network's outputs, and folders that have none."""
    if settings.classes is None:
        return {name: name for name in folders}, []
    classes = read_classes(Path(settings.classes).expanduser(), folders)
    return classes, [f"class {name}: no line in {settings.classes}" for name in folders if name not in classes]


def read_classes(path: Path, folders: Iterable[str]) -> dict[str, str]:
    """Names of classes by folder, from a file with a line per output. Raises DataError that names the lines.

    A line is the folder, or the folder, a blank and the name; it is the folder as a whole if one is called so.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as a file of classes ({error})") from None
    known, classes, problems = set(folders), dict[str, str](), []
    for number, line in enumerate(lines, 1):
        text = line.strip()
        folder, _, name = (text, "", "") if text in known else text.replace("\t", " ").partition(" ")
        if not text:
            problems.append(f"line {number}: empty; expected a class per line, in the order of the network's outputs")
        elif folder in classes:
            problems.append(f"line {number}: {folder} for the second time")
        classes[folder] = name.strip() or folder
        if why := unfit(classes[folder]):
            problems.append(f"line {number}: {classes[folder]!a}: {why}; write another")
    if problems or len(classes) < 2:
        raise listed(path, problems or ["fewer than two classes"])
    return classes


def _left_out(found: Survey, places: Places, other: list[str]) -> Iterator[str]:
    for folder, count in places.aside().items():
        yield f"{count} files in {folder}/ are not used: images for validation are drawn from train/"
    for names, what in (
        (found.hidden, "hidden names are left out"),
        (found.loops, "links lead back to a folder that they are in, and are not followed"),
        (places.unused, "files are in no class and are not used"),
        (other, "files among the images are none of a kind that is read, and are not used"),
    ):
        if names:
            more = ", ..." if len(names) > MOST_NAMED else ""
            yield f"{len(names)} {what}: {', '.join(names[:MOST_NAMED])}{more}"


def _not_square(settings: Dataset, pictures: dict[str, Picture]) -> Iterator[str]:
    odd = [name for name, picture in pictures.items() if picture.sides[0] != picture.sides[1]]
    if odd and settings.image_size:
        done = "the middle is taken" if settings.fit == "crop" else "they are squashed"
        yield f"{len(odd)} of {len(pictures)} images are not square ({odd[0]}): {done}, as fit: {settings.fit} says"


def _note(path: Path, notes: Iterable[str]) -> None:
    for note in notes:
        logger.warning("%s: %s", path, printable(note))


def listed(path: Path, problems: list[str]) -> DataError:
    """An error that names the first problems of many."""
    shown = "\n  ".join(printable(problem) for problem in problems[:MOST_PROBLEMS])
    more = f"\n  and {len(problems) - MOST_PROBLEMS} more" if len(problems) > MOST_PROBLEMS else ""
    return DataError(f"{path}: {len(problems)} problem(s)\n  {shown}{more}")


def printable(text: str) -> str:
    """A text with other people's names in it, on one line and without control characters, cut at some length."""
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return safe if len(safe) <= 400 else f"{safe[:400]}..."


def read_pictures(path: Path, reading: Reading, shape: tuple[int, int, int]) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Names and pixels (C, H, W) of all images of a folder or an archive, as a network of that input reads them.

    Raises DataError that lists the files that cannot be read, after the others were yielded, or that there is none.
    """
    container = open_container(path)
    found = survey(container.tree())
    problems = [f"{name}: {problem}" for name, problem in found.problems.items()]
    count = 0
    names: dict[Key, list[str]] = {}
    for name, node in found.files.items():
        names.setdefault(node.key, []).append(name)
    for key, content in container.contents(names):
        try:
            pixels, _ = decode(content(), reading, shape[1], shape[0])
        except ArchiveError:
            raise
        except DataError as error:
            no_image = isinstance(error, NoPictureError)
            wrong = [name for name in names[key] if not no_image or PurePosixPath(name).suffix.lower() in SUFFIXES]
            problems += [f"{name}: not a readable image ({error})" for name in wrong]
            continue
        for name in names[key]:
            count += 1
            yield name, pixels
    if problems:
        raise listed(path, problems)
    if not count:
        raise DataError(f"{path}: no image files")
