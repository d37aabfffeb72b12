"""Which class and split a file belongs to, by where it lies."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from depthdial.data.tree import Survey, is_hidden

PARTS = ("train", "test")
ALL = "all"
"""The part of images that are not divided yet."""
ALIKE = {"train", "training", "test", "testing", "val", "valid", "validation"}
"""Folders that others call so; what is meant by them is for their owner to say."""
MOST_NAMED = 8
LONGEST_CLASS = 200
"""Letters of a class's name: what a bundle's manifest takes."""
Parts = tuple[str, ...]
Place = tuple[str, str]
"""``train`` or ``test``, or ``all`` where a folder holds classes alone; and the class."""


@dataclass
class Places:
    """Where the files of a survey belong."""

    files: dict[str, Place] = field(default_factory=dict)
    folders: dict[Place, str] = field(default_factory=dict)
    """The folders of classes."""
    unused: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def aside(self) -> Counter[str]:
        """How many of the unused files lie in each folder that is called as one of a split that is drawn here."""
        counts: Counter[str] = Counter()
        for name in self.unused:
            *folders, _ = name.split("/")
            at = next((at for at, part in enumerate(folders) if part.casefold() in ALIKE - {*PARTS}), None)
            if at is not None:
                counts["/".join(folders[: at + 1])] += 1
        return counts


def may_be_used(name: str, by_parts: bool) -> bool:
    """Whether a file can belong to a class, as far as its name alone tells."""
    parts = name.split("/")
    if any(is_hidden(part) for part in parts if part not in ("", ".")):
        return False
    return any(part in PARTS for part in parts[:-2]) if by_parts else len(parts) > 1


def find_places(found: Survey, by_parts: bool) -> Places:
    """Sort files into classes: of train/<class>/ and test/<class>/ if ``by_parts``, else of <class>/ alone.

    These folders may lie below any others, and images at any depth below the class.
    """
    folders = [tuple(name.split("/")) for name in found.folders]
    locate = _by_parts(folders) if by_parts else _by_class(folders, found)
    places = Places()
    for parts in folders:
        place = locate((*parts, ""))
        if place is not None and locate(parts) is None:
            places.folders.setdefault(place, "/".join(parts))
    for name in found.files:
        place = locate(tuple(name.split("/")))
        if place is None:
            places.unused.append(name)
        else:
            places.files[name] = place
    if by_parts:
        places.problems += _absent(folders, places)
    elif looks := sorted({parts[-1] for parts in folders if parts[-1] in PARTS and len(parts) <= 2}):
        places.problems.append(f"holds {_listed(looks)}: remove test_fraction, which is for folders of classes alone")
    if len({label for _, label in places.folders}) < 2:
        where = "train/<class>/ and test/<class>/" if by_parts else "<class>/"
        classes = sorted({label for _, label in places.folders})
        places.problems.append(f"expected at least two classes as {where}, found {classes}")
    places.problems += _odd_names({label for _, label in places.folders})
    return places


def _by_parts(folders: list[Parts]) -> Callable[[Parts], Place | None]:
    """The outermost folders train and test count, those first that lie beside each other."""
    beside: Counter[Parts] = Counter(parts[:-1] for parts in folders if parts[-1] in PARTS)
    if not beside:
        return lambda parts: None
    most = max(beside.values())
    depth = min(len(parent) for parent, count in beside.items() if count == most)
    parents = {parent for parent, count in beside.items() if count == most and len(parent) == depth}

    def locate(parts: Parts) -> Place | None:
        if len(parts) < depth + 3 or parts[depth] not in PARTS or parts[:depth] not in parents:
            return None
        return parts[depth], parts[depth + 1]

    return locate


def _by_class(folders: list[Parts], found: Survey) -> Callable[[Parts], Place | None]:
    """The first folder, from outside, that holds more than one other one."""
    base: Parts = ()
    within = {*folders}
    while True:
        inside = [parts for parts in within if len(parts) == len(base) + 1 and parts[:-1] == base]
        deeper = len(inside) == 1 and any(parts[:-1] == inside[0] for parts in within)
        if not deeper:
            break
        base = inside[0]
    depth = len(base)

    def locate(parts: Parts) -> Place | None:
        return (ALL, parts[depth]) if len(parts) > depth + 1 and parts[:depth] == base else None

    return locate


def _absent(folders: list[Parts], places: Places) -> list[str]:
    """What is said where train/ or test/ is not there."""
    absent = [part for part in PARTS if part not in {place[0] for place in places.folders}]
    if not absent:
        return []
    alike = sorted({parts[-1] for parts in folders if parts[-1].casefold() in ALIKE and parts[-1] not in PARTS})
    there = alike or sorted({parts[0] for parts in folders})
    advice = "rename them" if alike else "set test_fraction if these are the classes"
    said = f"there {'are' if len(there) > 1 else 'is'} {_listed(there)}: {advice}" if there else "there is no folder"
    return [f"no {' and no '.join(f'{part}/<class>/' for part in absent)}; {said}"]


def _odd_names(classes: Iterable[str]) -> list[str]:
    """Names of classes that cannot be told apart, or not be shown."""
    problems = [f"class {name!a}: {why}; rename it" for name in sorted(classes) if (why := unfit(name))]
    forms: dict[str, list[str]] = {}
    for name in sorted(classes):
        forms.setdefault(unicodedata.normalize("NFC", name), []).append(name)
    return problems + [
        f"class {name}: written in {len(same)} Unicode forms ({', '.join(map(ascii, same))}); rename to one of them"
        for name, same in forms.items()
        if len(same) > 1
    ]


def unfit(name: str) -> str:
    """Why a class cannot be called so: its name goes into bundles, and from there to terminals as it is."""
    if not name.isprintable():
        return "its name cannot be printed"
    return f"its name has {len(name)} letters, at most {LONGEST_CLASS}" if len(name) > LONGEST_CLASS else ""


def _listed(names: list[str]) -> str:
    shown = ", ".join(f"{name}/" for name in names[:MOST_NAMED])
    return f"{shown} and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else shown
