"""Which files a folder or an archive holds, as a person would see them: links followed, hidden names left out."""

from __future__ import annotations

import os
import stat
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from depthdial.errors import DataError

HIDDEN = {"__MACOSX", "@eaDir"}
"""Folders that file managers and network storage leave behind, beside the names that begin with a dot."""
MOST_ENTRIES = 5_000_000
SPECIAL = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}
Key = str | int
"""What finds a file's content: a path, or the number of a member of an archive."""


@dataclass(frozen=True)
class Node:
    """A file or a folder. ``problem`` is set where it is neither, or cannot be looked at."""

    name: str
    folder: bool = False
    key: Key = 0
    identity: Hashable = None
    """The same for every way that leads to a folder."""
    stamp: tuple[int, int] = (0, 0)
    """Bytes and time of the last change."""
    problem: str = ""


class Tree(Protocol):
    """A folder or an archive."""

    root: Node

    def children(self, folder: Node) -> Iterable[Node]:
        """What a folder of the tree holds."""
        ...


@dataclass
class Survey:
    """What a tree holds; names are relative, with ``/`` between their parts."""

    files: dict[str, Node] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)
    hidden: list[str] = field(default_factory=list)
    loops: list[str] = field(default_factory=list)
    """Links that lead back to a folder that they are in."""


def survey(tree: Tree) -> Survey:
    """All that is not hidden, in the order of names. A link that leads back is not followed."""
    found = Survey()
    waiting: list[tuple[str, Node, tuple[Hashable, ...]]] = [("", tree.root, (tree.root.identity,))]
    entries = 0
    while waiting:
        prefix, folder, above = waiting.pop()
        for node in tree.children(folder):
            name = prefix + node.name
            entries += 1
            if entries > MOST_ENTRIES:
                raise DataError(f"more than {MOST_ENTRIES:,} files and folders, or links that multiply them")
            if is_hidden(node.name):
                found.hidden.append(name)
            elif node.problem:
                found.problems[name] = node.problem
            elif not node.folder:
                found.files[name] = node
            elif node.identity in above:
                found.loops.append(name)
            else:
                found.folders.append(name)
                waiting.append((f"{name}/", node, (*above, node.identity)))
    found.files, found.problems = dict(sorted(found.files.items())), dict(sorted(found.problems.items()))
    for names in (found.folders, found.hidden, found.loops):
        names.sort()
    return found


def is_hidden(part: str) -> bool:
    """Whether a part of a name is none that its owner sees."""
    return part.startswith(".") or part in HIDDEN


class Folder:
    """A folder of the file system."""

    def __init__(self, path: Path) -> None:
        self.root = _node(path.name, str(path), path.stat())

    def children(self, folder: Node) -> Iterable[Node]:
        """What a folder holds; what cannot be looked at is there as a problem."""
        try:
            with os.scandir(folder.key) as entries:
                return [_look(entry) for entry in entries]
        except OSError as error:
            return [Node("*", problem=f"cannot be listed ({error.strerror})")]


def _look(entry: os.DirEntry[str]) -> Node:
    try:
        return _node(entry.name, entry.path, entry.stat())
    except OSError as error:
        dangling = isinstance(error, FileNotFoundError) and entry.is_symlink()
        return Node(entry.name, problem="a link to nothing" if dangling else f"cannot be read ({error.strerror})")


def _node(name: str, path: str, about: os.stat_result) -> Node:
    kind = stat.S_IFMT(about.st_mode)
    if kind in (stat.S_IFREG, stat.S_IFDIR):
        identity = (about.st_dev, about.st_ino)
        return Node(name, kind == stat.S_IFDIR, path, identity, (about.st_size, about.st_mtime_ns))
    return Node(name, problem=f"{SPECIAL.get(kind, 'neither a file nor a folder')}, which is not read")


def look_at(path: Path, what: str) -> Node:
    """The folder or file at ``path``. Raises DataError if it is not there, or is neither."""
    try:
        node = _node(path.name, str(path), path.stat())
    except FileNotFoundError:
        raise DataError(f"{path}: no such {what}") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from None
    if node.problem:
        raise DataError(f"{path}: {node.problem}; expected a {what}")
    return node
