"""The numerics gate: a compiled configuration must compute what PyTorch computes, on the target, before it is used."""

from __future__ import annotations

import logging
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from depthdial.artefacts import read_array
from depthdial.config.targets import Target
from depthdial.deploy.calls import RUN
from depthdial.deploy.manifest import Gate, Manifest, device_arguments, module_arguments
from depthdial.deploy.tools import installed_tools, runtime_tools
from depthdial.errors import DeployError

log = logging.getLogger(__name__)
LIMIT_S = 300


@dataclass(frozen=True)
class Difference:
    """How far outputs are from PyTorch's: the largest difference, and the largest as a share of what is tolerated."""

    largest: float
    share_of_tolerance: float

    @property
    def tolerated(self) -> bool:
        """Whether every element is within the tolerance."""
        return self.share_of_tolerance <= 1


def compare(found: NDArray[Any], expected: NDArray[Any], gate: Gate) -> Difference:
    """Compare logits of one input with PyTorch's. NaN and a wrong shape are never tolerated."""
    if found.shape != expected.shape:
        return Difference(np.inf, np.inf)
    difference = np.abs(found.astype(np.float64) - expected)
    allowed = gate.absolute + gate.relative * np.abs(expected.astype(np.float64))
    share = difference / allowed
    if not np.isfinite(share).all():
        return Difference(np.inf, np.inf)
    return Difference(float(difference.max()), float(share.max()))


def require(found: NDArray[Any], expected: NDArray[Any], gate: Gate, about: str) -> Difference:
    """How far apart logits are. Raises DeployError that begins with ``about`` if that is not tolerated."""
    difference = compare(found, expected, gate)
    if not difference.tolerated:
        raise DeployError(
            f"{about}: differs from PyTorch by {difference.largest:.3g}, {difference.share_of_tolerance:.3g} times "
            f"what is tolerated ({gate.absolute:g} + {gate.relative:g} of the value)"
        )
    return difference


def check_bundle(bundle: str | os.PathLike[str], manifest: Manifest, tool: Sequence[str] | None) -> None:
    """Check every configuration of a bundle; without ``tool`` nothing here runs the target, and none is.

    Raises DeployError that names all configurations that fail, each with its difference.
    """
    if tool is None:
        log.warning("%s, target %s: nothing here runs it; not checked", manifest.network, manifest.target.name)
        return
    problems = []
    for configuration in manifest.configurations:
        try:
            worst = check_configuration(bundle, manifest, configuration.name, tool)
            log.info("%s: within %.2g of PyTorch", configuration.name, worst.largest)
        except DeployError as error:
            problems.append(str(error))
    if problems:
        raise DeployError("\n".join(problems))


def check_configuration(
    bundle: str | os.PathLike[str], manifest: Manifest, name: str, tool: Sequence[str]
) -> Difference:
    """Run one configuration on every fixed input and compare.

    ``tool`` is the command of iree-run-module on the target (behind an emulator, perhaps). Raises DeployError
    that names the configuration and says by how much it is off, or what the tool said.
    """
    worst = Difference(0.0, 0.0)
    about = f"{manifest.network}, configuration {name}, target {manifest.target.name}"
    with tempfile.TemporaryDirectory() as folder:
        for index, expected in enumerate(manifest.named(name).expected):
            output = Path(folder) / f"{index}.npy"
            arguments = [*device_arguments(1), *module_arguments(manifest, name, index), f"--output=@{output}"]
            run([*tool, *arguments], bundle, about)
            if not output.is_file():
                raise DeployError(f"{about}: {tool[0]} wrote no output")
            right = read_array(Path(bundle) / expected)
            difference = require(read_array(output), right, manifest.gate, f"{about}, input {index}")
            worst = max(worst, difference, key=lambda one: one.share_of_tolerance)
    return worst


def run(command: Sequence[str], folder: str | os.PathLike[str], about: str) -> str:
    """What a program that is run in ``folder`` prints. Raises DeployError about ``about`` if it does not end well."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        raise DeployError(f"{about}: not finished after {LIMIT_S} s: {command[0]}") from None
    except OSError as error:
        raise DeployError(f"{about}: {command[0]} cannot be started: {error}") from None
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines() or ["nothing said"]
        raise DeployError(f"{about}: does not run (status {done.returncode}): {said[0]}")
    return done.stdout


def run_tool(target: Target, cache: Path) -> list[str] | None:
    """The command of iree-run-module for a target on this machine, behind its emulator if it needs one.

    None if there is no way: then the device itself is where the gate stands, and the manifest says so. The tools
    of another architecture are fetched once into ``cache``.
    """
    if platform.machine() == target.architecture:
        return [str(installed_tools()[RUN])]
    if target.emulator and shutil.which(target.emulator[0]):
        return [*target.emulator, str(runtime_tools(target.architecture, cache)[RUN])]
    return None
