"""Whatever is wrong with a file of our own, one error names it and says what to do."""

from __future__ import annotations

import json
import os
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from safetensors.numpy import save_file

from depthdial.artefacts import (
    LARGEST_JSON,
    open_tensors,
    pack_metadata,
    read_array,
    read_csv,
    read_json,
    read_record,
    read_table,
)
from depthdial.deploy.archive import read_archive, write_archive
from depthdial.errors import ArtefactError
from tests.rigs.fuzz import damaged, fuzz


class Small(BaseModel):
    name: str
    count: int


def tensors(path: Path) -> dict[str, Any]:
    with open_tensors(path, "small-1") as archive:
        return {name: archive[name] for name in archive.names()}


READERS: dict[str, tuple[Callable[[Path], Any], Callable[[Path], Any]]] = {
    "json": (lambda path: path.write_text(json.dumps({"name": "a", "count": 3})), read_json),
    "record": (
        lambda path: path.write_text(json.dumps({"name": "a", "count": 3})),
        lambda path: read_record(path, Small, "a small record"),
    ),
    "parquet": (lambda path: pd.DataFrame({"mask": ["01", "10"], "n": [1, 2]}).to_parquet(path), read_table),
    "csv": (lambda path: path.write_text("mask,n\n01,1\n10,2\n"), lambda path: read_csv(path, text=["mask"])),
    "npy": (lambda path: np.save(path.open("wb"), np.ones((2, 3), np.float32)), read_array),
    "safetensors": (
        lambda path: save_file({"a": np.ones(3, np.float32)}, path, pack_metadata("small-1", {"x": 1})),
        tensors,
    ),
    "irpa": (
        lambda path: write_archive(path, {"a": np.ones((3, 3), np.float32), "b": np.ones(5, np.float32)}),
        read_archive,
    ),
}


@pytest.mark.parametrize("kind", READERS)
def test_what_is_written_is_read(kind: str, tmp_path: Path) -> None:
    write, read = READERS[kind]
    write(tmp_path / f"file.{kind}")
    assert len(read(tmp_path / f"file.{kind}")) if kind != "record" else read(tmp_path / f"file.{kind}").count == 3


@pytest.mark.parametrize("kind", READERS)
def test_what_is_no_file_is_refused(kind: str, tmp_path: Path) -> None:
    read = READERS[kind][1]
    with pytest.raises(ArtefactError, match="gone: no such file"):
        read(tmp_path / "gone")
    with pytest.raises(ArtefactError, match="a folder, expected a file"):
        read(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ArtefactError, match="a pipe, expected a file"):
        read(tmp_path / "pipe")
    with pytest.raises(ArtefactError, match="a device, expected a file"):
        read(Path("/dev/zero"))


@pytest.mark.parametrize("kind", READERS)
@given(data=st.data())
@fuzz
def test_damage_is_read_or_refused_by_name(kind: str, data: st.DataObject) -> None:
    write, read = READERS[kind]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"file.{kind}"
        write(path)
        path.write_bytes(data.draw(damaged([path.read_bytes()])))
        try:
            read(path)
        except ArtefactError as error:
            text = str(error)
        else:
            text = str(path)
    assert text.startswith(str(path))
    assert text.isprintable()
    assert len(text) < 600


def test_deep_nesting_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "deep.json"
    path.write_text("[" * 200_000)
    with pytest.raises(ArtefactError, match="cannot be read as JSON"):
        read_json(path)


def test_a_record_says_what_is_wrong_field_by_field(tmp_path: Path) -> None:
    path = tmp_path / "small.json"
    path.write_text(json.dumps({"name": 3, "count": "many"}))
    with pytest.raises(ArtefactError, match=r"a small record \(name: .* string; count: .* integer"):
        read_record(path, Small, "a small record")


def test_another_format_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"a": np.ones(3, np.float32)}, path, pack_metadata("other-1", {}))
    with pytest.raises(ArtefactError, match="expected format small-1, found other-1"):
        tensors(path)


def test_arrays_are_of_float32_and_never_pickled(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones(3))
    with pytest.raises(ArtefactError, match="its type is float64"):
        read_array(tmp_path / "a.npy")
    np.save(tmp_path / "b.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(ArtefactError, match="cannot be read as an array"):
        read_array(tmp_path / "b.npy")


def test_what_cannot_be_read_or_is_endless_is_refused(tmp_path: Path) -> None:
    (tmp_path / "large.json").touch()
    os.truncate(tmp_path / "large.json", LARGEST_JSON + (1 << 20))
    most = LARGEST_JSON >> 20
    with pytest.raises(ArtefactError, match=rf"large\.json: {most + 1} MiB, at most {most} are read; "):
        read_json(tmp_path / "large.json")
    with pytest.raises(ArtefactError, match=r"inside: cannot be read \(Not a directory\)"):
        read_json(tmp_path / "large.json" / "inside")


# Places in the header of an archive, or in the first entry of its table, which the header names at byte 40.
ARCHIVES: dict[str, tuple[bool, int, str, int, str]] = {
    "version": (False, 4, "<H", 1, "its header is not that of one archive of version 0"),
    "table": (False, 48, "<Q", 1 << 40, r"its entries end at \d{13}, the file at \d+"),
    "names": (False, 64, "<Q", 1 << 40, r"its names end at \d{13}, the file at"),
    "storage": (False, 80, "<Q", 1 << 40, r"its data end at \d{13}, the file at"),
    "entries": (False, 32, "<Q", 9, "its table is too short for 9 entries"),
    "kind": (True, 8, "<I", 1, "an entry is no stored tensor"),
    "outside": (True, 68, "<Q", 1 << 30, "an entry lies outside of its segment"),
    "whole": (True, 68, "<Q", 3, "an entry is not of whole float32 values"),
}


@pytest.mark.parametrize("what", ARCHIVES)
def test_a_damaged_archive_says_what_is_wrong(what: str, tmp_path: Path) -> None:
    of_entry, place, kind, value, said = ARCHIVES[what]
    path = tmp_path / "a.irpa"
    write_archive(path, {"a": np.ones((3, 3), np.float32), "b": np.ones(5, np.float32)})
    content = bytearray(path.read_bytes())
    start = struct.unpack_from("<Q", content, 40)[0] if of_entry else 0
    struct.pack_into(kind, content, start + place, value)
    path.write_bytes(content)
    with pytest.raises(ArtefactError, match=rf"a\.irpa: cannot be read as a parameter archive \({said}"):
        read_archive(path)
