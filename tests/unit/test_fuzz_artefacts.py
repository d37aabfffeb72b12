"""Damaged tables, records, images and manifests: read, or refused by name, never anything else."""

from __future__ import annotations

import copy
import hashlib
import json
import re
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
from depthdial.deploy.manifest import read_manifest
from depthdial.devices.records import read_records, write_records
from depthdial.errors import ArtefactError, DepthDialError
from depthdial.evaluate.tables import read_masks, write_masks
from depthdial.files import sha256_file
from depthdial.networks.build import dial
from depthdial.networks.description import FORMAT
from depthdial.networks.families.he_shapes import Architecture
from depthdial.networks.weights import load_weights, save_weights
from depthdial.schedule.cli import chosen, read_packed, said
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


def rewrite(values: Any, data: st.DataObject) -> None:
    """Put something else in some places of a JSON document."""
    for _ in range(data.draw(st.integers(1, 3))):
        *above, last = data.draw(st.sampled_from(places(values)[1:]))
        place = values
        for key in above:
            place = place[key]
        place[last] = copy.deepcopy(data.draw(VALUES))


REWRITTEN = ("manifest.json", "network.json", "schedule.json")


class Rewritten:
    """A bundle that `depthdial inspect` and `depthdial choose` can tell of; what was rewritten has all hashes right."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in FILES_OF_BUNDLE:
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).write_text("content")
        network = {"format": FORMAT, **Architecture(8, 2, 1, 8, 2).describe().to_dict()}
        schedule = json.loads(Path("tests/data/schedule.json").read_text())
        made = manifest_of({name: sha256_file(root / name) for name in FILES_OF_BUNDLE})
        names = sorted(one["name"] for one in schedule["configurations"])
        all_of_them = tuple(made.configurations[0].model_copy(update={"name": name}) for name in names)
        made = made.model_copy(update={"schedule": "schedule.json", "configurations": all_of_them})
        contents = (made.model_dump(mode="json"), network, schedule)
        self.sound: dict[str, Any] = dict(zip(REWRITTEN, contents, strict=True))

    def put(self, name: str, values: Any) -> None:
        """Write a file with these values, the others as they are, and the manifest that goes with them."""
        files = {**self.sound, name: values}
        manifest = copy.deepcopy(files.pop("manifest.json"))
        for other, content in files.items():
            (self.root / other).write_text(json.dumps(content))
            if isinstance(manifest.get("files"), dict):
                manifest["files"][other] = sha256_file(self.root / other)
        manifest["sha256"] = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
        (self.root / "manifest.json").write_text(json.dumps(manifest))


def told(root: Path) -> str:
    """All that the commands that look at a bundle say of it."""
    lines = describe(root, read_manifest(root))
    manifest, table = read_packed(root)
    for value in (0.0, 0.25, 0.5, 1.1):
        lines += said(chosen(manifest, table, {axis.name: value for axis in table.axes}))
    return "\n".join(lines)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Rewritten:
    return Rewritten(tmp_path_factory.mktemp("bundle"))


@pytest.mark.parametrize("name", REWRITTEN)
@given(data=st.data())
@fuzz
def test_a_rewritten_bundle_is_read_and_shown_or_refused(name: str, bundle: Rewritten, data: st.DataObject) -> None:
    values = copy.deepcopy(bundle.sound[name])
    rewrite(values, data)
    bundle.put(name, values)
    try:
        shown = told(bundle.root)
    except DepthDialError as error:
        shown = str(error)
    assert shown.replace("\n", "").isprintable()
    assert len(shown) < 100_000


SLOWDOWN = {"name": "slowdown", "unit": "permille", "side": "ceiling", "levels": [0, 1, 2, 3, 4, 5, 6, 7]}
SHOWN: list[tuple[str, tuple[Any, ...], Any, str]] = [
    ("manifest.json", (), None, r"With reserve 1\.15: c02 \(94\.5 % on validation\)\."),
    ("network.json", ("format",), "\x1b[2J", r"expected format network-1, found \?\[2J"),
    ("network.json", ("segments",), ["a"], "cannot be read as the description of a network"),
    ("network.json", ("segments",), [0, 0, 0], r"3 units and 3 segments of \d+ MACs"),
    ("network.json", ("units", 0, "macs"), 10**400, "cannot be read as the description of a network"),
    ("schedule.json", ("energy_source",), "\x1b[2J", "characters that cannot be printed"),
    ("schedule.json", ("configurations", 0, "energy_mj"), "much", "energy_mj: Input should be a valid number"),
    ("schedule.json", ("configurations", 0, "name"), "c99", "the bundle has no configuration c99"),
    ("schedule.json", ("axes", 1, "levels"), [0, 1, 2, 3, 4, 5, 6, 7], r"In time \(p99\): none\."),
    ("schedule.json", ("axes", 0), SLOWDOWN, "keeps 3 of 3 blocks"),
]


@pytest.mark.parametrize(("name", "place", "value", "shown"), SHOWN)
def test_what_somebody_wrote_into_a_bundle_is_shown_or_refused(
    name: str, place: tuple[Any, ...], value: Any, shown: str, bundle: Rewritten
) -> None:
    values = copy.deepcopy(bundle.sound[name])
    if place:
        *above, last = place
        inner = values
        for key in above:
            inner = inner[key]
        inner[last] = value
    bundle.put(name, values)
    try:
        text = told(bundle.root)
    except DepthDialError as error:
        text = str(error)
    assert re.search(shown, text)
    assert "\x1b" not in text
