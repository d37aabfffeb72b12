"""Archives read where they are, never unpacked: they give what their folder would give, or are refused."""

from __future__ import annotations

import bz2
import gzip
import lzma
import stat
import tarfile
import zipfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Protocol, Self, cast

from depthdial.data.pictures import read_bounded
from depthdial.data.tree import Folder, Key, Node, Tree, look_at
from depthdial.errors import DataError

KINDS = ".tar, .tar.gz, .tar.xz or .zip archive"
EXPANSION, ALLOWANCE = 1000, 1 << 30
"""An archive may expand so many times, and by so many bytes: images hardly do, what is made to fill a disk does."""
BOMB = "expands to a thousand times its size and more: no archive of images does; unpack it and give the folder"
BLOCK = 1 << 20
LONGEST_HEADER = 1 << 20
MOST_HOPS = 40
Content = tuple[Key, Callable[[], bytes]]
"""A file's key and what reads it, to be called before the next one is asked for. Raises DataError without a name."""


class Container(Protocol):
    """A folder or an archive with images in it."""

    def early(self, worth: Callable[[str], bool]) -> Iterator[Content]:
        """Contents that come by before all names are known, of the names that are worth it."""
        ...

    def tree(self) -> Tree:
        """What is in it; after ``early``."""
        ...

    def contents(self, keys: Iterable[Key]) -> Iterator[Content]:
        """The contents asked for, in the order that suits the container."""
        ...

    notes: list[str]
    """What a user should know of it."""


def open_container(path: Path) -> Container:
    """The folder or archive at ``path``. Raises DataError if it is neither."""
    if look_at(path, "folder or archive").folder:
        return FolderContainer(path)
    with _reading(path), path.open("rb") as file:
        start = file.read(6)
    return ZipContainer(path) if start.startswith(b"PK") else TarContainer(path, start)


class ArchiveError(DataError):
    """An archive as a whole cannot be read."""


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Whatever a library says of an archive, told with the archive's name: it has no one kind of error for damage."""
    try:
        yield
    except DataError as error:
        raise ArchiveError(f"{path}: {error}") from None
    except Exception as error:
        raise ArchiveError(f"{path}: not a complete {KINDS} ({str(error) or type(error).__name__})") from None


class FolderContainer:
    """A folder."""

    def __init__(self, path: Path) -> None:
        self.notes: list[str] = []
        self._path = path

    def early(self, worth: Callable[[str], bool]) -> Iterator[Content]:
        """Nothing: all names can be known first."""
        yield from ()

    def tree(self) -> Tree:
        """The folder itself."""
        return Folder(self._path)

    def contents(self, keys: Iterable[Key]) -> Iterator[Content]:
        """Each file as it is asked for."""
        for key in keys:
            yield key, partial(_read_file, Path(str(key)))


def _read_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return read_bounded(file.read, path.stat().st_size)
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})") from None


class ArchiveTree:
    """The names in an archive, with its links resolved as a file system would. A later member replaces an earlier."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {"": Node("", True, identity="")}
        self._children: dict[str, set[str]] = {"": set()}
        self._links: dict[str, str] = {}
        self.root = self._nodes[""]
        self.twice: list[str] = []

    def add(self, name: str, *, folder: bool = False, key: Key = 0, problem: str = "") -> None:
        """A member that is no link."""
        path = self._path(name)
        if path is None:
            path, folder, problem = self._odd(name), False, "a name that leads out of the archive"
        self._place(path, Node(path.rpartition("/")[2], folder, key, path, problem=problem))

    def link(self, name: str, target: str) -> None:
        """A symbolic link; ``target`` counts from where it lies."""
        self.add(name)
        if (path := self._path(name)) is not None:
            self._links[path] = target

    def hard_link(self, name: str, target: str) -> None:
        """Another name of a member that came before."""
        path = self._path(target)
        node = None if path is None else self._nodes.get(path)
        if node is None or node.folder:
            self.add(name, problem=f"a link to {target}, which is not in the archive")
        elif path in self._links:
            self.link(name, self._links[path])
        else:
            self.add(name, key=node.key, problem=node.problem)

    def children(self, folder: Node) -> Iterable[Node]:
        """What a folder holds, links as what they lead to."""
        path = cast(str, folder.identity)
        for name in self._children.get(path, ()):
            inside = f"{path}/{name}" if path else name
            if inside not in self._links:
                yield self._nodes[inside]
                continue
            real = self._real(inside)
            node = None if real is None else self._nodes.get(real)
            if node is None:
                yield Node(name, problem=f"a link to {self._links[inside]}, which is not in the archive")
            else:
                yield Node(name, node.folder, node.key, node.identity, problem=node.problem)

    @staticmethod
    def _path(name: str) -> str | None:
        parts = [part for part in name.split("/") if part not in ("", ".")]
        return None if ".." in parts or not parts else "/".join(parts)

    @staticmethod
    def _odd(name: str) -> str:
        return name.replace("/", "\\") or "(no name)"

    def _place(self, path: str, node: Node) -> None:
        known = self._nodes.get(path)
        if known is not None and not known.folder and not node.folder:
            self.twice.append(path)
        if known is not None and known.folder and node.folder:
            return
        self._links.pop(path, None)
        self._nodes[path] = node
        while path:
            parent, _, name = path.rpartition("/")
            siblings = self._children.setdefault(parent, set())
            if name in siblings:
                return
            siblings.add(name)
            if parent not in self._nodes:
                self._nodes[parent] = Node(parent.rpartition("/")[2], True, identity=parent)
            path = parent

    def _real(self, path: str) -> str | None:
        """Where a path with links in it leads; None if it leads out of the archive, or round in a circle."""
        waiting, done, hops = deque(path.split("/")), list[str](), 0
        while waiting:
            part = waiting.popleft()
            if part in ("", "."):
                continue
            if part == "..":
                if not done:
                    return None
                done.pop()
                continue
            link = self._links.get("/".join([*done, part]))
            if link is None:
                done.append(part)
                continue
            hops += 1
            if link.startswith("/") or hops > MOST_HOPS:
                return None
            waiting.extendleft(reversed(link.split("/")))
        return "/".join(done)


class ZipContainer:
    """A zip archive: all names are known at once."""

    def __init__(self, path: Path) -> None:
        self.notes: list[str] = []
        self._path, self._tree = path, ArchiveTree()
        with _reading(path):
            self._archive = zipfile.ZipFile(path)
            self._infos = self._archive.infolist()
            self._left = EXPANSION * path.stat().st_size + ALLOWANCE
            self._list()

    def _list(self) -> None:
        names = [info.filename for info in self._infos]
        if not any("/" in name for name in names) and any("\\" in name for name in names):
            names = [name.replace("\\", "/") for name in names]
            self.notes.append("its names have backslashes, which are taken as /")
        for number, (name, info) in enumerate(zip(names, self._infos, strict=True)):
            if stat.S_ISLNK(info.external_attr >> 16):
                try:
                    self._tree.link(name, self._read(info).decode("utf-8", "surrogateescape"))
                except DataError as error:
                    self._tree.add(name, problem=str(error))
            else:
                self._tree.add(name, folder=name.endswith("/"), key=number)
        self.notes += _said_twice(self._tree.twice)

    def early(self, worth: Callable[[str], bool]) -> Iterator[Content]:
        """Nothing: all names are known first."""
        yield from ()

    def tree(self) -> Tree:
        """The names of its directory."""
        return self._tree

    def contents(self, keys: Iterable[Key]) -> Iterator[Content]:
        """In the order in which they lie."""
        for key in sorted(keys, key=lambda key: self._infos[int(key)].header_offset):
            yield key, partial(self._read, self._infos[int(key)])

    def _read(self, info: zipfile.ZipInfo) -> bytes:
        if info.flag_bits & 1:
            raise DataError("encrypted: pack it without a password")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
            raise DataError(f"compressed by method {info.compress_type}, which is not read: pack it with Deflate")
        try:
            with self._archive.open(info) as stream:
                content = read_bounded(stream.read, info.file_size)
        except DataError:
            raise
        except Exception as error:
            raise DataError(f"damaged ({str(error) or type(error).__name__})") from None
        self._left -= len(content)
        if self._left < 0:
            raise ArchiveError(f"{self._path}: {BOMB}")
        return content


class TarContainer:
    """A tar archive, compressed or not: names are known when all of it has been read."""

    def __init__(self, path: Path, start: bytes) -> None:
        self.notes: list[str] = []
        self._path, self._tree, self._known = path, ArchiveTree(), False
        self._open = _decompressor(start)

    def early(self, worth: Callable[[str], bool]) -> Iterator[Content]:
        """All files with a name that is worth it."""
        for number, (archive, member) in enumerate(self._members()):
            if member.isfile():
                self._tree.add(member.name, key=number)
                if worth(member.name):
                    yield number, partial(self._read, archive, member)
            elif member.isdir():
                self._tree.add(member.name, folder=True)
            elif member.issym():
                self._tree.link(member.name, member.linkname)
            elif member.islnk():
                self._tree.hard_link(member.name, member.linkname)
            elif member.isdev():
                self._tree.add(member.name, problem="a named pipe or a device, which is not read")
            else:
                self._tree.add(member.name, problem=f"a member of kind {member.type!r}, which is not read")
        self.notes += _said_twice(self._tree.twice)
        self._known = True

    def tree(self) -> Tree:
        """The names that came by."""
        if not self._known:
            deque(self.early(lambda name: False), 0)
        return self._tree

    def contents(self, keys: Iterable[Key]) -> Iterator[Content]:
        """In the order in which they lie; the archive is read once more."""
        wanted = set(keys)
        if wanted:
            for number, (archive, member) in enumerate(self._members()):
                if number in wanted:
                    yield number, partial(self._read, archive, member)

    def _read(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
        stream: Any = archive.extractfile(member)

        def read(count: int) -> bytes:
            with _reading(self._path):
                return bytes(stream.read(count))

        return read_bounded(read, member.size)

    def _members(self) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
        left = EXPANSION * self._path.stat().st_size + ALLOWANCE
        with (
            _reading(self._path),
            self._path.open("rb") as file,
            self._open(file) as stream,
            ThreadPoolExecutor(1) as pool,
        ):
            bounded = cast(BinaryIO, _Bounded(stream, left, pool))
            with tarfile.open(fileobj=bounded, mode="r|", bufsize=BLOCK, tarinfo=_Header) as archive:
                while (member := archive.next()) is not None:
                    yield archive, member
                    archive.members.clear()  # type: ignore[attr-defined]  # or it would keep them all
                rest: Any = archive.fileobj
                while block := rest.read(BLOCK):
                    if block.count(0) != len(block):
                        raise DataError(
                            "more follows after the archive's end: it is damaged, or several were put one after "
                            "another; unpack it and give the folder"
                        )


def _decompressor(start: bytes) -> Callable[[BinaryIO], AbstractContextManager[Any]]:
    """What reads a file that starts so; these check sums and ends, as tarfile's own readers do not."""
    if start.startswith(b"\x1f\x8b"):
        return gzip.open
    if start.startswith(b"\xfd7zXZ\0"):
        return lzma.open
    return bz2.open if start.startswith(b"BZh") else lambda file: file


class _Header(tarfile.TarInfo):
    """A header that must be right: tarfile takes a damaged one, and a missing one, for the archive's end."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        try:
            member = super().frombuf(buf, encoding, errors)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(str(error)) from None
        if member.size < 0 or (member.type in _LONG and member.size > LONGEST_HEADER):
            raise tarfile.ReadError(f"header of {member.size:,} bytes")
        return member


_LONG = (
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
)


class _Bounded:
    """A stream that is read one block ahead, by another thread, and ends in an error after ``left`` bytes."""

    def __init__(self, stream: Any, left: int, pool: ThreadPoolExecutor) -> None:
        self._stream, self._left, self._pool = stream, left, pool
        self._next = pool.submit(stream.read, BLOCK)

    def read(self, size: int) -> bytes:
        """The next block: tarfile asks for nothing else."""
        assert size == BLOCK, size
        content: bytes = self._next.result()
        self._left -= len(content)
        if self._left < 0:
            raise DataError(BOMB)
        self._next = self._pool.submit(self._stream.read, BLOCK)
        return content


def _said_twice(names: list[str]) -> list[str]:
    return [f"{len(names)} names are there more than once ({names[0]}): the last of each counts"] if names else []
