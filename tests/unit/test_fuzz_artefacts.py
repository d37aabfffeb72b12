"""Damaged tables, records, images and manifests: read, or refused by name, never anything else."""

from __future__ import annotations

import copy
import hashlib
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from depthdial.data.images import Split, load_info, load_split, save_images
from depthdial.deploy.cli import describe
from depthdial.deploy.manifest import read_manifest, write_manifest
from depthdial.devices.records import read_records, write_records
from depthdial.errors import ArtefactError
from depthdial.evaluate.tables import read_masks, write_masks
from depthdial.files import sha256_file, write_text
from depthdial.networks.build import dial
from depthdial.networks.families.he_shapes import Architecture
from depthdial.networks.weights import load_weights, save_weights
from tests.rigs.fuzz import damaged, fuzz
from tests.rigs.windows import make_window
from tests.unit.test_manifest import FILES as FILES_OF_BUNDLE
from tests.unit.test_manifest import manifest_of


def write_table(path: Path) -> None:
    bits = [np.packbits([True, False, True, True]).tobytes()] * 2
    columns = {"mask": ["10", "11"], "kept": [1, 2], "macs": [5, 9], "n_val": [4, 4], "val_correct": [3, 3]}
    about = {"seconds": 1.0, "block_evaluations": 3.0}
    write_masks(path, pd.DataFrame({**columns, "val_accuracy": [0.75, 0.75], "correct": bits}), about)


def write_pictures(path: Path) -> None:
    split = Split(np.arange(2 * 8 * 8, dtype=np.uint8).reshape(2, 1, 8, 8), np.array([0, 1]))
    save_images(path, "small", ["a", "b"], {"train": split, "validation": split, "test": split})


def read_pictures(path: Path) -> Any:
    return load_info(path), np.asarray(load_split(path, "validation").images).sum()


def write_network(path: Path) -> None:
    network = dial(Architecture(8, 2, 1, 8, 2).describe())
    save_weights(path, network, {"network": "small"})


FILES: dict[str, tuple[Callable[[Path], Any], Callable[[Path], Any]]] = {
    "masks.parquet": (write_table, read_masks),
    "records.jsonl": (lambda path: write_records(path, [make_window(), make_window()]), read_records),
    "images.safetensors": (write_pictures, read_pictures),
    "weights.safetensors": (write_network, load_weights),
}


SLOW = {"weights.safetensors"}  # every example builds and traces a network


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] if n in SLOW else []) for n in FILES])
@given(data=st.data())
@fuzz
def test_a_damaged_file_is_read_or_refused_by_name(name: str, data: st.DataObject) -> None:
    write, read = FILES[name]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        write(path)
        path.write_bytes(data.draw(damaged([path.read_bytes()])))
        try:
            read(path)
        except ArtefactError as error:
            text = str(error)
        else:
            text = str(path)
    assert text.startswith(str(path))
    assert len(text.splitlines()) < 30


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths to all values of a JSON document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, one in items for place in places(one, (*at, key)))]


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["../x", "\x1b[2J", "0" * 64, "111", 10**400, -1]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


@given(data=st.data())
@fuzz
def test_a_rewritten_manifest_is_read_and_shown_or_refused(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in FILES_OF_BUNDLE:
            write_text(root / name, "content")
        write_manifest(root, manifest_of({name: sha256_file(root / name) for name in FILES_OF_BUNDLE}))
        values = json.loads((root / "manifest.json").read_text())
        del values["sha256"]
        for _ in range(data.draw(st.integers(1, 3))):
            *above, last = data.draw(st.sampled_from(places(values)[1:]))
            place = values
            for key in above:
                place = place[key]
            place[last] = copy.deepcopy(data.draw(VALUES))
        values["sha256"] = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
        (root / "manifest.json").write_text(json.dumps(values))
        try:
            shown = "\n".join(describe(root, read_manifest(root)))
        except ArtefactError as error:
            shown = str(error)
    assert "\x1b" not in shown
    assert len(shown) < 100_000
