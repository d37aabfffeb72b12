"""The manifest of a bundle: what it refuses and the arguments that it gives."""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from depthdial.deploy.manifest import (
    BundledConfiguration,
    CompiledFor,
    Gate,
    Input,
    Manifest,
    device_arguments,
    gate_arguments,
    module_arguments,
    read_manifest,
    write_manifest,
)
from depthdial.errors import ArtefactError
from depthdial.files import sha256_file, write_text

FILES = (
    "weights.irpa",
    "modules/c00.vmfb",
    "batchnorm/c00.irpa",
    "gate/input0.npy",
    "gate/c00.0.npy",
    "network.json",
    "graph.json",
)


def manifest_of(files: dict[str, str]) -> Manifest:
    configuration = BundledConfiguration(
        name="c00",
        mask="111",
        macs=1000,
        on_front=True,
        validation_accuracy=0.9,
        module="modules/c00.vmfb",
        batchnorm="batchnorm/c00.irpa",
        expected=("gate/c00.0.npy",),
    )
    return Manifest(
        dataset="digits",
        network="resnet8",
        seed=0,
        description="network.json",
        graph="graph.json",
        scaling="none",
        recalibrated=True,
        target=CompiledFor(
            name="host",
            backend="llvm-cpu",
            triple="x86_64-linux-gnu",
            cpu="host",
            features=(),
            flags=(),
            compiler="3.13.0",
        ),
        input=Input(shape=(1, 1, 8, 8), mean=(0.3,), deviation=(0.4,), classes=tuple("0123456789")),
        weights="weights.irpa",
        gate=Gate(inputs=("gate/input0.npy",), absolute=1e-4, relative=1e-4),
        configurations=(configuration,),
        files=files,
    )


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    for name in FILES:
        write_text(tmp_path / name, f"content of {name}")
    write_manifest(tmp_path, manifest_of({name: sha256_file(tmp_path / name) for name in FILES}))
    return tmp_path


def test_what_is_written_is_read(bundle: Path) -> None:
    assert read_manifest(bundle) == manifest_of({name: sha256_file(bundle / name) for name in FILES})


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_byte_is_refused_with_the_name_of_the_file(bundle: Path, name: str) -> None:
    content = bytearray((bundle / name).read_bytes())
    content[3] ^= 1
    (bundle / name).write_bytes(content)
    with pytest.raises(ArtefactError, match=f"{name}: sha256 is"):
        read_manifest(bundle)


def test_a_flipped_bit_anywhere_in_the_manifest_is_refused(bundle: Path) -> None:
    path = bundle / "manifest.json"
    content = path.read_bytes()
    meaning = json.loads(content)
    for place in range(0, len(content), 7):
        for bit in (0, 1, 4):
            changed = bytearray(content)
            changed[place] ^= 1 << bit
            path.write_bytes(changed)
            try:
                same = json.loads(changed) == meaning
            except ValueError:
                same = False
            if not same:  # white space may change
                with pytest.raises(ArtefactError, match=r"manifest\.json"):
                    read_manifest(bundle)


def test_a_missing_file_is_refused(bundle: Path) -> None:
    (bundle / "weights.irpa").unlink()
    with pytest.raises(ArtefactError, match=r"weights.irpa: missing"):
        read_manifest(bundle)


def test_a_file_without_digest_is_refused(bundle: Path) -> None:
    files = {name: sha256_file(bundle / name) for name in FILES if name != "weights.irpa"}
    write_manifest(bundle, manifest_of(files))
    with pytest.raises(ArtefactError, match=r"weights.irpa: used but has no sha256"):
        read_manifest(bundle)


def test_a_file_that_is_not_in_the_manifest_is_refused(bundle: Path) -> None:
    write_text(bundle / ".snakemake_timestamp", "")
    read_manifest(bundle)
    write_text(bundle / "modules" / "c07.vmfb", "foreign")
    with pytest.raises(ArtefactError, match=r"modules/c07\.vmfb: not in the manifest"):
        read_manifest(bundle)


def test_a_path_out_of_the_bundle_is_refused(bundle: Path) -> None:
    files = {name: sha256_file(bundle / name) for name in FILES}
    write_manifest(bundle, manifest_of(files | {"../secret": "0" * 64}))
    with pytest.raises(ArtefactError, match="leads out of the bundle"):
        read_manifest(bundle)


def test_links_and_special_files_are_refused(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "file").write_text("x")
    for name, place in {"dangling": "nowhere", "folder": str(elsewhere), "file": str(elsewhere / "file")}.items():
        (bundle / "modules" / name).symlink_to(place)
    os.mkfifo(bundle / "pipe")
    with pytest.raises(ArtefactError) as said:
        read_manifest(bundle)
    for name in ("modules/dangling", "modules/folder", "modules/file", "pipe"):
        assert f"{bundle / name}: a link or a special file" in str(said.value)


def test_a_linked_file_of_the_manifest_is_refused(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    target = tmp_path_factory.mktemp("elsewhere") / "weights"
    (bundle / "weights.irpa").rename(target)
    (bundle / "weights.irpa").symlink_to(target)
    with pytest.raises(ArtefactError, match=r"weights\.irpa: missing"):
        read_manifest(bundle)


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_a_manifest_that_is_no_file_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "manifest.json"
    path.mkdir() if kind == "folder" else os.mkfifo(path)
    with pytest.raises(ArtefactError, match=f"a {kind}, expected a file; link or copy the bundle again"):
        read_manifest(tmp_path)


CONFIGURATION = manifest_of({}).configurations[0].model_dump(mode="json")
HOSTILE: dict[str, tuple[tuple[str | int, ...], Any, str]] = {
    "escape": (("network",), "\x1b[2Jnet", "network: .* holds characters that cannot be printed"),
    "class": (("input", "classes", 3), "three\nfour", "classes.3: .* holds characters that cannot be printed"),
    "long": (("dataset",), "d" * 10_000, "dataset: .* at most 200 characters"),
    "accuracy": (("configurations", 0, "validation_accuracy"), 7.0, "less than or equal to 1"),
    "nan": (("configurations", 0, "validation_accuracy"), float("nan"), "finite number"),
    "tolerance": (("gate", "absolute"), float("inf"), "finite number"),
    "mask": (("configurations", 0, "mask"), "💥", "mask: .* match pattern"),
    "macs": (("configurations", 0, "macs"), -1, "greater than or equal to 1"),
    "size": (("input", "shape", 2), 10**9, "shape.2: .* less than or equal to 65536"),
    "channels": (("input", "mean"), [0.1, 0.2], "mean and deviation must have a value for each of 1 channels"),
    "deviation": (("input", "deviation", 0), 0.0, "greater than 0"),
    "name": (("configurations", 0, "name"), "--flag", "name: .* match pattern"),
    "path": (("weights",), "weights\x00.irpa", "weights: .* match pattern"),
    "digest": (("files", "weights.irpa"), "0", "weights.irpa: .* match pattern"),
    "outputs": (
        ("configurations", 0, "expected"), [], "a configuration has not one expected output for each fixed input"
    ),
    "none": (("configurations",), [], "at least 1 item"),
    "inputs": (("gate", "inputs"), [], "it has no fixed inputs for the gate"),
    "twice": (("configurations",), [CONFIGURATION] * 2, "two configurations have the same name"),
    "lengths": (
        ("configurations",), [CONFIGURATION, CONFIGURATION | {"name": "c01", "mask": "10"}],
        "its masks are of different lengths",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
def test_a_rewritten_manifest_is_bounded(bundle: Path, what: str) -> None:
    keys, value, problem = HOSTILE[what]
    path = bundle / "manifest.json"
    values = json.loads(path.read_text())
    del values["sha256"]
    place = values
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    values["sha256"] = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
    path.write_text(json.dumps(values))
    with pytest.raises(ArtefactError, match=r"manifest\.json: cannot be read as the manifest of a bundle") as said:
        read_manifest(bundle)
    assert re.search(problem, str(said.value))
    assert str(said.value).isprintable()
    assert len(str(said.value)) < 600


def test_a_manifest_that_was_edited_by_hand_is_refused(bundle: Path) -> None:
    path = bundle / "manifest.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))
    with pytest.raises(ArtefactError, match="its content does not match its own sha256; link or copy the bundle again"):
        read_manifest(bundle)


def test_another_json_is_refused(tmp_path: Path) -> None:
    write_text(tmp_path / "manifest.json", "{}")
    with pytest.raises(ArtefactError, match="cannot be read as the manifest of a bundle"):
        read_manifest(tmp_path)


def test_arguments() -> None:
    manifest = manifest_of({})
    assert module_arguments(manifest, "c00") == [
        "--module=modules/c00.vmfb",
        "--parameters=weights=weights.irpa",
        "--parameters=batchnorm=batchnorm/c00.irpa",
        "--function=c00",
        "--input=@gate/input0.npy",
    ]
    assert gate_arguments(manifest, "c00")[-3:] == [
        "--expected_output=@gate/c00.0.npy",
        "--expected_f32_threshold=0.0001",
        "--expected_rtol=0.0001",
    ]
    assert device_arguments(1) == ["--device=local-sync"]
    task, spin = "--device=local-task", "--task_worker_spin_us=5"
    assert device_arguments(2) == [task, "--task_topology_group_count=3", spin]
    assert device_arguments(2, (4, 6, 7)) == [task, "--task_topology_cpu_ids=4,6", spin]
    assert device_arguments(2, (4,)) == device_arguments(2)
    with pytest.raises(ArtefactError, match="no configuration c07; there are c00"):
        module_arguments(manifest, "c07")
