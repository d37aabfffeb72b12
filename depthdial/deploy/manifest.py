"""What a bundle holds, and how its configurations are run by IREE's tools. Needs neither torch nor IREE."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from depthdial.config.targets import Tiles
from depthdial.errors import ArtefactError
from depthdial.files import read_json, sha256_file, write_json

NAME = "manifest.json"
WEIGHTS_SCOPE = "weights"
NORMALISATION_SCOPE = "batchnorm"


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Accuracy(_Record):
    """Right answers as a fraction of ``n`` images, with its 95 % Wilson interval."""

    n: int
    value: float
    low: float
    high: float


class BundledConfiguration(_Record):
    """One configuration, a function of that name in its module; modules and archives may be shared.

    Files are relative to the bundle; expected outputs pair with the gate's inputs.
    """

    name: str
    mask: str
    macs: int
    on_front: bool
    validation_accuracy: float
    test: Accuracy | None = None
    module: str
    batchnorm: str
    expected: tuple[str, ...]


class Gate(_Record):
    """Fixed inputs and how far a target may be from PyTorch.

    Elementwise: ``|difference| <= absolute + relative * |expected|``.
    """

    inputs: tuple[str, ...]
    absolute: float
    relative: float


class Input(_Record):
    """What the network reads: float32 (1, C, H, W), pixels in [0, 1] normalised by channel."""

    shape: tuple[int, int, int, int]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    classes: tuple[str, ...]


class CompiledFor(_Record):
    """The target as it was when the modules were compiled, and what compiled them."""

    name: str
    backend: str
    triple: str
    cpu: str
    """As LLVM names it, never ``host``: the CPU that the compiler found there."""
    features: tuple[str, ...]
    flags: tuple[str, ...]
    variant: str = "tiled"
    """The way of compiling, one of the target's variants."""
    tiles: Tiles | None = None
    """Tile sizes of its convolutions; null were the compiler's own."""
    compiler: str
    """Version of iree-base-compiler; the runtime must be of the same."""


class Manifest(_Record):
    """``manifest.json`` of a bundle."""

    schema_version: Literal[1] = 1
    dataset: str
    network: str
    seed: int
    architecture: dict[str, int]
    scaling: Literal["none", "survival", "inverse"]
    recalibrated: bool
    target: CompiledFor
    input: Input
    weights: str
    gate: Gate
    gated: bool = False
    """Whether every configuration passed the gate before the bundle appeared. If not, nothing there ran the target:
    then ``runtime.Bundle`` checks a configuration when it loads it, and a benchmark before it times it."""
    configurations: tuple[BundledConfiguration, ...]
    schedule: str | None = None
    """The schedule that was solved for these configurations, if they were packed for a product."""
    files: dict[str, str]
    """SHA-256 of every other file of the bundle, by its path."""

    def named(self, name: str) -> BundledConfiguration:
        """The configuration of that name. Raises ArtefactError if there is none."""
        for configuration in self.configurations:
            if configuration.name == name:
                return configuration
        names = ", ".join(c.name for c in self.configurations)
        raise ArtefactError(f"the bundle has no configuration {name}; there are {names}")


def write_manifest(bundle: str | os.PathLike[str], manifest: Manifest) -> None:
    """Write ``manifest.json`` into the folder of a bundle, with a digest of its own content."""
    values = manifest.model_dump(mode="json")
    write_json(Path(bundle) / NAME, {**values, "sha256": _digest(values)})


def _digest(values: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def read_manifest(bundle: str | os.PathLike[str], verify: bool = True) -> Manifest:
    """The manifest of a bundle, whose files are checked against it unless ``verify`` is false.

    Raises ArtefactError that names the file: not a manifest, missing, changed since it was linked, or not of it. The
    hashes find accidents; they are not signed, and whoever can write the manifest can make it say anything.
    """
    path = Path(bundle) / NAME
    values = read_json(path)
    expected = values.pop("sha256", None) if isinstance(values, dict) else None
    try:
        manifest = Manifest.model_validate(values)
    except ValidationError as error:
        raise ArtefactError(f"{path}: not the manifest of a bundle: {error}") from None
    if expected != _digest(values):
        raise ArtefactError(f"{path}: its content does not match its own sha256; link or copy the bundle again")
    if verify:
        verify_files(bundle, manifest)
    return manifest


def verify_files(bundle: str | os.PathLike[str], manifest: Manifest) -> None:
    """Compare every file of a bundle with its SHA-256. Raises ArtefactError that names all that differ.

    Files that the manifest does not name are refused too, but for hidden ones: Snakemake and others leave time stamps.
    """
    root = Path(bundle)
    problems = [problem for name in manifest.files if (problem := _problem(root, manifest, name))]
    present = {path.relative_to(root) for path in root.rglob("*") if path.is_file()}
    foreign = present - {Path(NAME), *map(Path, manifest.files)}
    problems += [f"{root / path}: not in the manifest" for path in sorted(foreign) if not path.name.startswith(".")]
    named = {manifest.weights, *manifest.gate.inputs, *([manifest.schedule] if manifest.schedule else [])}
    for configuration in manifest.configurations:
        named |= {configuration.module, configuration.batchnorm, *configuration.expected}
    problems += [f"{name}: used but has no sha256 in the manifest" for name in sorted(named - set(manifest.files))]
    _refuse(root, problems)


def verify_again(bundle: str | os.PathLike[str], manifest: Manifest, *names: str) -> None:
    """Compare the named files of a bundle, which are about to be used, with their SHA-256, as ``verify_files`` does."""
    _refuse(Path(bundle), [problem for name in names if (problem := _problem(Path(bundle), manifest, name))])


def _problem(root: Path, manifest: Manifest, name: str) -> str | None:
    """What is wrong with a file of the bundle, if anything is."""
    inside, expected = PurePosixPath(name), manifest.files[name]
    if inside.is_absolute() or ".." in inside.parts:
        return f"{name}: leads out of the bundle"
    if not (root / name).is_file():
        return f"{root / name}: missing"
    if (found := sha256_file(root / name)) != expected:
        return f"{root / name}: sha256 is {found[:12]}..., the manifest says {expected[:12]}..."
    return None


def _refuse(root: Path, problems: list[str]) -> None:
    if problems:
        listed = "\n  ".join(problems)
        raise ArtefactError(f"{root}: the bundle does not match its {NAME}; link or copy it again\n  {listed}")


def device_arguments(threads: int) -> list[str]:
    """How IREE's tools run on ``threads`` cores; which cores is for the caller to say (``taskset``).

    One thread is the caller's own: no worker, no wake-up. For more there is one worker more than cores, which is
    faster than a worker a core (docs/decisions.md, "Two threads").
    """
    if threads == 1:
        return ["--device=local-sync"]
    return ["--device=local-task", f"--task_topology_group_count={threads + 1}"]


def module_arguments(manifest: Manifest, configuration: str, gate_input: int = 0) -> list[str]:
    """Arguments by which iree-benchmark-module and iree-run-module call one configuration on a fixed input.

    Paths are relative to the folder of the bundle, which must be the working directory. Together with
    ``device_arguments`` they are complete.
    """
    chosen = manifest.named(configuration)
    return [
        f"--module={chosen.module}",
        f"--parameters={WEIGHTS_SCOPE}={manifest.weights}",
        f"--parameters={NORMALISATION_SCOPE}={chosen.batchnorm}",
        f"--function={configuration}",
        f"--input=@{manifest.gate.inputs[gate_input]}",
    ]


def gate_arguments(manifest: Manifest, configuration: str, gate_input: int = 0) -> list[str]:
    """Arguments by which iree-run-module compares one configuration with PyTorch and fails if they differ."""
    gate = manifest.gate
    return [
        *module_arguments(manifest, configuration, gate_input),
        f"--expected_output=@{manifest.named(configuration).expected[gate_input]}",
        f"--expected_f32_threshold={gate.absolute!r}",
        f"--expected_rtol={gate.relative!r}",
    ]
