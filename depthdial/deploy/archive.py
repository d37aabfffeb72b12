"""Parameter archives (.irpa): tensors that IREE maps into memory, written and inspected without torch."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from depthdial.artefacts import reading
from depthdial.files import atomic_path

AGAIN = "export, link or copy it again"
_HEADER = struct.Struct("<4sHHQQQQ6Q")
"""Magic, version, header size, next header, flags, entries; offset and length of entry table, names, storage."""
_ENTRY = struct.Struct("<QIQ2Q2QQ2Q")
"""Size, type, flags; offset and length of name and metadata; alignment; offset and length of the data."""
_DATA, _ALIGNMENT = 2, 16


def write_archive(path: str | os.PathLike[str], tensors: Mapping[str, NDArray[np.float32]]) -> None:
    """Write float32 tensors, each on a boundary of 64 bytes, so that the runtime uses them where they are mapped."""
    from iree.runtime import ParameterIndex, parameter_index_add_numpy_ndarray

    index = ParameterIndex()
    for name, value in tensors.items():
        parameter_index_add_numpy_ndarray(index, name, np.ascontiguousarray(value, np.float32))
    with atomic_path(path) as temporary:
        index.create_archive_file(str(temporary))


def archive_index(path: str | os.PathLike[str]) -> Any:
    """The archive mapped into memory, as IREE's ParameterIndex. Raises ArtefactError that names the file."""
    with reading(path, "a parameter archive", AGAIN):
        _check(Path(path))
        from iree.runtime import ParameterIndex

        index = ParameterIndex()
        index.load(str(path))
        return index


def read_archive(path: str | os.PathLike[str]) -> dict[str, NDArray[np.float32]]:
    """The tensors of an archive by name, as flat float32 copies: the file keeps lengths, not shapes."""
    from iree.runtime import parameter_index_entry_as_numpy_flat_ndarray

    return {
        name: parameter_index_entry_as_numpy_flat_ndarray(entry).view(np.float32).copy()
        for name, entry in archive_index(path).items()
    }


def _check(path: Path) -> None:
    """Raise ValueError unless every part of an archive lies inside the file.

    IREE 3.13 adds offsets and lengths up without looking for overflow and maps what comes out: a damaged table ends the
    process. The layout is that of iree/schemas/parameter_archive.h, version 0.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        magic, version, _, header, following, _, count, *ranges = _HEADER.unpack(stream.read(_HEADER.size))
        if (magic, version, header, following) != (b"IRPA", 0, _HEADER.size, 0):
            raise ValueError("its header is not that of one archive of version 0")
        table, names, storage = zip(ranges[::2], ranges[1::2], strict=True)
        for about, (offset, length) in {"entries": table, "names": names, "data": storage}.items():
            if length and offset + length > size:
                raise ValueError(f"its {about} end at {offset + length}, the file at {size}")
        stream.seek(names[0])
        known = stream.read(names[1])
        stream.seek(table[0])
        for name, metadata, data in _entries(stream.read(table[1]), count):
            if any(sum(part) > names[1] for part in (name, metadata)) or sum(data) > storage[1]:
                raise ValueError("an entry lies outside of its segment")
            if data[1] % 4 or data[0] % 4:
                raise ValueError("an entry is not of whole float32 values")
            known[name[0] : sum(name)].decode()


def _entries(table: bytes, count: int) -> Iterator[tuple[tuple[int, int], tuple[int, int], tuple[int, int]]]:
    """Offset and length of name, metadata and data of each entry. Raises ValueError if the table is too short."""
    place = 0
    if count * _ENTRY.size > len(table):
        raise ValueError(f"its table is too short for {count} entries")
    for _ in range(count):
        size, kind, _, *parts = _ENTRY.unpack_from(table, place)
        if kind != _DATA or size != _ENTRY.size:
            raise ValueError("an entry is no stored tensor")
        yield (parts[0], parts[1]), (parts[2], parts[3]), (parts[5], parts[6])
        place += -(-size // _ALIGNMENT) * _ALIGNMENT
