"""Parameter archives (.irpa): tensors that IREE maps into memory, written and inspected without torch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from depthdial.errors import ArtefactError
from depthdial.files import atomic_path


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
    from iree.runtime import ParameterIndex

    index = ParameterIndex()
    try:
        index.load(str(path))
    except (OSError, ValueError, RuntimeError) as error:
        raise ArtefactError(f"{path}: cannot be read as a parameter archive ({error})") from None
    return index


def read_archive(path: str | os.PathLike[str]) -> dict[str, NDArray[np.float32]]:
    """The tensors of an archive by name, as flat float32 copies: the file keeps lengths, not shapes."""
    from iree.runtime import parameter_index_entry_as_numpy_flat_ndarray

    return {
        name: parameter_index_entry_as_numpy_flat_ndarray(entry).view(np.float32).copy()
        for name, entry in archive_index(path).items()
    }
