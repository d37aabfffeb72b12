"""Files appear whole or not at all: atomic writes, digests, JSON."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from depthdial.errors import ArtefactError


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path in the folder of ``path``; rename it to ``path`` if the body succeeds.

    The temporary name keeps the suffix, so that libraries that look at it behave. If the body
    raises, nothing is left behind.
    """
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{final.stem}-", suffix=final.suffix, dir=final.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.chmod(0o644)
        temporary.replace(final)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary folder beside ``path``; put it in place of ``path`` if the body succeeds."""
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{final.name}-", dir=final.parent))
    try:
        yield temporary
        temporary.chmod(0o755)
        if final.exists():
            shutil.rmtree(final)
        temporary.replace(final)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write ``text`` as UTF-8, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write ``value`` as indented JSON; NaN and infinities are refused."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read a JSON file. Raises ArtefactError that names the file if it cannot be read."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ArtefactError(f"{path}: no such file") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ArtefactError(f"{path}: not valid JSON ({error}); delete it and run again") from None


def pack_metadata(kind: str, values: dict[str, Any]) -> dict[str, str]:
    """Metadata of a safetensors file of our own: its kind and JSON values, as one entry.

    The library writes several entries in an order that changes from run to run; one makes equal content equal files.
    """
    return {"depthdial": json.dumps({"format": kind, **values}, sort_keys=True)}


def unpack_metadata(path: str | os.PathLike[str], metadata: dict[str, str] | None, kind: str) -> dict[str, Any]:
    """The values that ``pack_metadata`` packed. Raises ArtefactError if the file is of another kind."""
    values: dict[str, Any] = json.loads((metadata or {}).get("depthdial", "{}"))
    if values.get("format") != kind:
        found = values.get("format", "nothing")
        raise ArtefactError(f"{path}: expected format {kind}, found {found}; delete it and run again")
    return values


def sha256_file(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
