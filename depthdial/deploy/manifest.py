"""What a bundle holds, and how its configurations are run by IREE's tools. Needs neither torch nor IREE."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from depthdial.artefacts import read_json, reading
from depthdial.config.data import Reading
from depthdial.config.targets import Tiles
from depthdial.deploy.calls import call_arguments
from depthdial.deploy.core import Processor
from depthdial.deploy.graph.convolution import Cut
from depthdial.errors import ArtefactError
from depthdial.files import sha256_file, write_json

NAME = "manifest.json"
DESCRIPTION = "network.json"
GRAPH = "graph.json"
AGAIN = "link or copy the bundle again"
SIGNATURE = "manifest.json.sig"
"""Beside the manifest, if somebody signed it."""
MOST_PROBLEMS = 20
SPIN_US = 5
"""How long a worker looks for work before it sleeps: parts of equal work end about together."""


def _printable(text: str) -> str:
    """A terminal shows it as it is: no escape sequences, no line breaks."""
    if not text.isprintable():
        raise ValueError("holds characters that cannot be printed")
    return text


# A manifest may have been rewritten by anyone: whatever it says is bounded before it is used or shown.
Text = Annotated[str, StringConstraints(max_length=200), AfterValidator(_printable)]
FilePath = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.][A-Za-z0-9_./-]{0,199}$")]
MaskText = Annotated[str, StringConstraints(pattern=r"^[01]{1,4096}$")]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Fraction = Annotated[float, Field(ge=0, le=1)]
Size = Annotated[int, Field(ge=1, le=1 << 16)]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


class BundledConfiguration(_Record):
    """One configuration, a function of that name in its module; modules and archives may be shared.

    Files are relative to the bundle; expected outputs pair with the gate's inputs.
    """

    name: Annotated[str, StringConstraints(pattern=r"^c\d\d$")]
    mask: MaskText
    macs: Annotated[int, Field(ge=1, le=10**15)]
    on_front: bool
    validation_accuracy: Fraction
    """Of the weights in the bundle; a device's schedule is chosen by it. Test accuracy is no part of a bundle."""
    module: FilePath
    batchnorm: FilePath
    expected: tuple[FilePath, ...]


class Gate(_Record):
    """Fixed inputs and how far a target may be from PyTorch.

    Elementwise: ``|difference| <= absolute + relative * |expected|``.
    """

    inputs: Annotated[tuple[FilePath, ...], Field(max_length=1000)]
    absolute: Fraction
    relative: Fraction


class Input(_Record):
    """What the network reads: float32 (1, C, H, W), pixels in [0, 1] normalised by channel."""

    shape: tuple[Literal[1], Size, Size, Size]
    mean: tuple[float, ...]
    deviation: tuple[Annotated[float, Field(gt=0)], ...]
    classes: Annotated[tuple[Text, ...], Field(min_length=1, max_length=1 << 20)]
    reading: Reading = Reading()
    """How a picture becomes an input."""

    @model_validator(mode="after")
    def _per_channel(self) -> Input:
        if not len(self.mean) == len(self.deviation) == self.shape[1]:
            raise ValueError(f"mean and deviation must have a value for each of {self.shape[1]} channels")
        return self


class Tuned(_Record):
    """Cuts that were measured to be faster than the model's, or as fast, where the network runs."""

    device: str
    gain: float
    """Share of the convolutions' time that they save against the model's cuts."""
    cuts: dict[str, Cut]
    """By the name of a convolution's shape."""


class CompiledFor(_Record):
    """The target as it was when the modules were compiled, and what compiled them."""

    name: Text
    backend: Text
    triple: Text
    cpu: Text
    """As LLVM names it, never ``host``: the CPU that the compiler found there."""
    features: Annotated[tuple[Text, ...], Field(max_length=1000)]
    flags: Annotated[tuple[Text, ...], Field(max_length=1000)]
    variant: Text = "tiled"
    """The way of compiling, one of the target's variants."""
    tiles: Tiles = Tiles()
    """What the variant says of how loops are cut."""
    processor: Processor | None = None
    """What loops were cut for."""
    tuned: Tuned | None = None
    """What was measured on a device and comes before that; null: nothing was."""
    compiler: Text
    """Version of iree-base-compiler; the runtime must be of the same."""

    @property
    def way(self) -> str:
        """How loops were cut, for readers."""
        if self.tuned is not None:
            return f"as measured on {self.tuned.device}, {self.tuned.gain:.1%} less than by the model"
        return "by the model of the processor" if self.tiles == Tiles() else f"as variant {self.variant} says"


class Manifest(_Record):
    """``manifest.json`` of a bundle."""

    schema_version: Literal[2] = 2
    dataset: Text
    network: Text
    seed: int
    description: FilePath
    """What the network is, without torch."""
    graph: FilePath
    """What it computes: the program of any mask is written from it."""
    scaling: Literal["none", "survival", "inverse"]
    recalibrated: bool
    target: CompiledFor
    input: Input
    weights: FilePath
    gate: Gate
    gated: bool = False
    """Whether every configuration passed the gate before the bundle appeared. If not, nothing there ran the target:
    then ``runtime.Bundle`` checks a configuration when it loads it, and a benchmark before it times it."""
    configurations: Annotated[tuple[BundledConfiguration, ...], Field(min_length=1, max_length=100)]
    schedule: FilePath | None = None
    """The schedule that was solved for these configurations, if they were packed for a product."""
    files: dict[FilePath, Digest]
    """SHA-256 of every other file of the bundle, by its path."""

    @model_validator(mode="after")
    def _consistent(self) -> Manifest:
        if len({len(configuration.mask) for configuration in self.configurations}) > 1:
            raise ValueError("its masks are of different lengths")
        if len({configuration.name for configuration in self.configurations}) < len(self.configurations):
            raise ValueError("two configurations have the same name")
        if not self.gate.inputs:
            raise ValueError("it has no fixed inputs for the gate")
        if any(len(configuration.expected) != len(self.gate.inputs) for configuration in self.configurations):
            raise ValueError("a configuration has not one expected output for each fixed input")
        return self

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
    hashes find accidents; whoever can write the manifest can make it say anything, against which it can be signed.
    """
    path = Path(bundle) / NAME
    values = read_json(path, AGAIN)
    expected = values.pop("sha256", None) if isinstance(values, dict) else None
    with reading(path, "the manifest of a bundle", AGAIN):
        manifest = Manifest.model_validate(values)
    if expected != _digest(values):
        raise ArtefactError(f"{path}: its content does not match its own sha256; {AGAIN}")
    if verify:
        verify_files(bundle, manifest)
    return manifest


def verify_files(bundle: str | os.PathLike[str], manifest: Manifest) -> None:
    """Compare every file of a bundle with its SHA-256. Raises ArtefactError that names all that differ.

    Files that the manifest does not name are refused too, but for hidden ones: Snakemake and others leave time stamps.
    """
    root = Path(bundle)
    problems = [problem for name in manifest.files if (problem := _problem(root, manifest, name))]
    listed = {Path(NAME), Path(SIGNATURE), *map(Path, manifest.files)}
    for path in sorted(root.rglob("*")):
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            problems.append(f"{path}: a link or a special file; a bundle has files and folders of its own alone")
        elif path.is_file() and path.relative_to(root) not in listed and not path.name.startswith("."):
            problems.append(f"{path}: not in the manifest")
    named = {
        manifest.weights,
        manifest.description,
        manifest.graph,
        *manifest.gate.inputs,
        *([manifest.schedule] if manifest.schedule else []),
    }
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
    if (root / name).is_symlink() or not (root / name).is_file():
        return f"{root / name}: missing"
    if (found := sha256_file(root / name)) != expected:
        return f"{root / name}: sha256 is {found[:12]}..., the manifest says {expected[:12]}..."
    return None


def _refuse(root: Path, problems: list[str]) -> None:
    if problems:
        more = [f"and {len(problems) - MOST_PROBLEMS} more"] if len(problems) > MOST_PROBLEMS else []
        listed = "\n  ".join([*problems[:MOST_PROBLEMS], *more])
        raise ArtefactError(f"{root}: the bundle does not match its {NAME}; link or copy it again\n  {listed}")


def device_arguments(threads: int, cores: Sequence[int] = ()) -> list[str]:
    """How IREE's tools run on ``threads`` threads, each on its own of ``cores`` if there are as many.

    One thread is the caller's own: no worker, no wake-up; which core is for the caller to say (``taskset``). For more
    there is a worker on each core, or, where the system may move them, one worker more than threads. Before they sleep
    they look for work for a while, as parts end about together. What is faster: docs/decisions.md, "Two threads".
    """
    if threads == 1:
        return ["--device=local-sync"]
    pinned = f"--task_topology_cpu_ids={','.join(map(str, cores[:threads]))}"
    workers = pinned if len(cores) >= threads else f"--task_topology_group_count={threads + 1}"
    return ["--device=local-task", workers, f"--task_worker_spin_us={SPIN_US}"]


def module_arguments(manifest: Manifest, configuration: str, gate_input: int = 0) -> list[str]:
    """Arguments by which iree-benchmark-module and iree-run-module call one configuration on a fixed input.

    Paths are relative to the folder of the bundle, which must be the working directory. Together with
    ``device_arguments`` they are complete.
    """
    chosen = manifest.named(configuration)
    fixed_input = manifest.gate.inputs[gate_input]
    return call_arguments(chosen.module, manifest.weights, chosen.batchnorm, configuration, fixed_input)


def gate_arguments(manifest: Manifest, configuration: str, gate_input: int = 0) -> list[str]:
    """Arguments by which iree-run-module compares one configuration with PyTorch and fails if they differ."""
    gate = manifest.gate
    return [
        *module_arguments(manifest, configuration, gate_input),
        f"--expected_output=@{manifest.named(configuration).expected[gate_input]}",
        f"--expected_f32_threshold={gate.absolute!r}",
        f"--expected_rtol={gate.relative!r}",
    ]
