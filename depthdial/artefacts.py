"""One way to read what depthdial wrote: whatever is wrong with a file, the error names it and says what to do.

The libraries that parse these formats raise whatever their depths raise when bytes are damaged; each is called here,
between two lines, and nothing but ``ArtefactError`` comes out. Heavy ones are imported when they are needed.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from depthdial.errors import ArtefactError, DepthDialError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

StrPath = str | os.PathLike[str]
Record = TypeVar("Record", bound=BaseModel)
AGAIN = "delete it and run again"
LARGEST_JSON = 64 << 20
"""Bytes. What depthdial writes as JSON is below a megabyte."""
_KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
_MOST_PROBLEMS = 8


def require_file(path: StrPath, again: str = AGAIN) -> None:
    """Raise ArtefactError unless ``path`` is a regular file: reading a pipe would wait for ever."""
    try:
        mode = Path(path).stat().st_mode
    except FileNotFoundError:
        raise ArtefactError(f"{path}: no such file; {again}") from None
    except OSError as error:
        raise ArtefactError(f"{path}: cannot be read ({error.strerror})") from None
    if not stat.S_ISREG(mode):
        raise ArtefactError(f"{path}: {_KINDS.get(stat.S_IFMT(mode), 'a device')}, expected a file; {again}")


@contextmanager
def reading(path: StrPath, what: str, again: str = AGAIN) -> Iterator[None]:
    """Turn whatever the body raises into ArtefactError: ``path`` cannot be read as ``what``; do ``again``."""
    require_file(path, again)
    try:
        yield
    except DepthDialError:
        raise
    except Exception as error:
        raise ArtefactError(f"{path}: cannot be read as {what} ({reason(error)}); {again}") from None


def reason(error: BaseException) -> str:
    """Why, in one line of at most 200 printable characters: messages may quote the damaged bytes."""
    if isinstance(error, ValidationError):
        return problems(error)
    if isinstance(error, RecursionError):
        return "nested too deeply"
    text = " ".join(str(error).split()) or type(error).__name__
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
    return text if len(text) <= 200 else f"{text[:200]}..."


def problems(error: ValidationError) -> str:
    """What a model refuses, field by field; at most eight of them."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    told = [f"{'.'.join(map(str, one['loc'])) or 'the whole'}: {one['msg']}" for one in found[:_MOST_PROBLEMS]]
    more = [f"and {len(found) - len(told)} more"] if len(found) > len(told) else []
    return reason(ValueError("; ".join([*told, *more])))


def read_json(path: StrPath, again: str = AGAIN) -> Any:
    """The value of a JSON file."""
    with reading(path, "JSON", again):
        if (size := Path(path).stat().st_size) > LARGEST_JSON:
            raise ArtefactError(f"{path}: {size >> 20} MiB, at most {LARGEST_JSON >> 20} are read; {again}")
        return json.loads(Path(path).read_text(encoding="utf-8"))


def read_record(path: StrPath, model: type[Record], what: str, again: str = AGAIN) -> Record:
    """A JSON file as a checked model; ``what`` it is said to be, with its article."""
    values = read_json(path, again)
    with reading(path, what, again):
        return model.model_validate(values)


def read_table(path: StrPath, columns: Sequence[str] | None = None, again: str = AGAIN) -> pd.DataFrame:
    """A Parquet table; with ``columns`` those alone."""
    import pandas as pd

    with reading(path, "a Parquet table", again):
        return pd.read_parquet(path, columns=None if columns is None else list(columns))


def read_csv(path: StrPath, text: Sequence[str] = (), again: str = AGAIN) -> pd.DataFrame:
    """A CSV table; the columns named in ``text`` are not taken for numbers."""
    import pandas as pd

    with reading(path, "a CSV table", again):
        return pd.read_csv(path, dtype=dict.fromkeys(text, str))


def read_array(path: StrPath, again: str = AGAIN) -> NDArray[np.float32]:
    """The float32 array of a .npy file; pickled objects are refused."""
    import numpy as np

    with reading(path, "an array of float32", again):
        found: NDArray[np.float32] = np.load(path, allow_pickle=False)
        if found.dtype != np.float32:
            raise ValueError(f"its type is {found.dtype}")
        return found


def pack_metadata(kind: str, values: dict[str, Any]) -> dict[str, str]:
    """Metadata of a safetensors file of our own: its kind and JSON values, as one entry.

    The library writes several entries in an order that changes from run to run; one makes equal content equal files.
    """
    return {"depthdial": json.dumps({"format": kind, **values}, sort_keys=True)}


@contextmanager
def open_tensors(path: StrPath, kind: str, framework: str = "numpy", again: str = AGAIN) -> Iterator[Tensors]:
    """A safetensors file of our own, mapped: its metadata and, one by one, its tensors.

    ``kind`` is the format that ``pack_metadata`` wrote.
    """
    from safetensors import safe_open

    with reading(path, "safetensors", again), safe_open(path, framework=framework) as archive:
        values = json.loads((archive.metadata() or {}).get("depthdial", "{}"))
        found = values.pop("format", "nothing")
        if found != kind:
            raise ArtefactError(f"{path}: expected format {kind}, found {reason(ValueError(found))}; {again}")
        yield Tensors(values, archive)


class Tensors:
    """An open safetensors file: ``about``, the JSON values in its metadata, and tensors by name."""

    def __init__(self, about: dict[str, Any], archive: Any) -> None:
        self.about = about
        self._archive = archive

    def names(self) -> list[str]:
        """The names of its tensors."""
        return list(self._archive.keys())

    def __getitem__(self, name: str) -> Any:
        """A tensor, of numpy or torch as the file was opened for."""
        return self._archive.get_tensor(name)

    def part(self, name: str) -> Any:
        """A tensor of which slices are read: ``part(name)[low:high]``."""
        return self._archive.get_slice(name)
