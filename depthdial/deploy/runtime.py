"""Run the configurations of a bundle in this process, on one mapped copy of the weights."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from depthdial.artefacts import read_array
from depthdial.data.images import normalise
from depthdial.deploy.archive import archive_index
from depthdial.deploy.calls import NORMALISATION_SCOPE, WEIGHTS_SCOPE
from depthdial.deploy.gate import require
from depthdial.deploy.manifest import (
    Manifest,
    device_arguments,
    read_manifest,
    verify_again,
)
from depthdial.deploy.tools import MACHINES
from depthdial.errors import DeployError


class Bundle:
    """A verified bundle on one device of IREE; configurations are loaded when they are first called.

    An inference runs in the caller's thread or, with ``threads`` above 1, is shared by workers, each on a core of its
    own: the first of those that this process may use. A process has one set of these: the number that is asked for
    first holds for all its bundles. Raises ArtefactError for a bundle that does not match its manifest, DeployError
    for one that was compiled for another architecture, or by another release of IREE than the one that is installed.
    """

    def __init__(self, folder: str | os.PathLike[str], threads: int = 1) -> None:
        import iree.runtime as iree

        self.folder = Path(folder)
        self.manifest: Manifest = read_manifest(folder)
        installed = version("iree-base-runtime")
        if installed != self.manifest.target.compiler:
            raise DeployError(
                f"{folder}: compiled by IREE {self.manifest.target.compiler}, the installed runtime is {installed}; "
                "install the same version or compile again"
            )
        machine, triple = platform.machine(), self.manifest.target.triple
        if MACHINES.get(machine.lower()) != triple.partition("-")[0]:
            raise DeployError(f"{folder}: compiled for {triple}, this machine is {machine}; compile for a target of it")
        self._iree = iree
        device, *workers = device_arguments(threads, sorted(os.sched_getaffinity(0)))
        iree.flags.parse_flags(*workers)
        self._config = iree.Config(device.removeprefix("--device="))
        self._workers = bool(workers)
        self._weights = archive_index(self.folder / self.manifest.weights).create_provider(WEIGHTS_SCOPE)
        self._modules: dict[str, Any] = {}
        self._functions: dict[str, Any] = {}

    def load(self, name: str) -> None:
        """Load a configuration, so that its first call takes no longer than the others.

        Raises ArtefactError if its files have changed since the bundle was opened, and DeployError if nothing ran it
        before and it does not compute what PyTorch computes.
        """
        if name not in self._functions:
            chosen = self.manifest.named(name)
            if chosen.module not in self._modules:
                verify_again(self.folder, self.manifest, chosen.module, chosen.batchnorm)
                self._modules[chosen.module] = self.open(self.folder / chosen.module, chosen.batchnorm)
            function = self._modules[chosen.module][name]
            if not self.manifest.gated:
                self._check(function, name)
            self._functions[name] = function

    def _check(self, function: Any, name: str) -> None:
        """The numerics gate, for a bundle that was made where nothing runs its target."""
        gate = self.manifest.gate
        for source, expected in zip(gate.inputs, self.manifest.named(name).expected, strict=True):
            found = function(read_array(self.folder / source)).to_host()
            about = f"{self.folder}: configuration {name}, {source}"
            require(found, read_array(self.folder / expected), gate, about)

    def open(self, module: Path, batchnorm: str) -> Any:
        """A module with the bundle's weights and one of its archives of BatchNorm; functions by name."""
        iree, instance = self._iree, self._config.vm_instance
        own = archive_index(self.folder / batchnorm).create_provider(NORMALISATION_SCOPE)
        return iree.load_vm_modules(
            iree.create_io_parameters_module(instance, self._weights, own),
            iree.create_hal_module(instance, self._config.device),
            iree.VmModule.mmap(instance, str(module)),
            config=self._config,
        )[-1]

    def logits(self, image: NDArray[np.float32], name: str) -> NDArray[np.float32]:
        """Logits (classes,) of one normalised image (C, H, W) by the named configuration."""
        self.load(name)
        # What to_host returns is a view of the device's memory, which lives as long as the result does.
        with _behind_workers() if self._workers else nullcontext():
            result = self._functions[name](image[None])
        logits: NDArray[np.float32] = result.to_host()[0].copy()
        return logits

    def classify(self, pixels: NDArray[np.uint8], name: str) -> int:
        """Index of the most likely class of one image (C, H, W) of bytes."""
        about = self.manifest.input
        return int(np.argmax(self.logits(normalise(pixels, about.mean, about.deviation), name)))


@contextmanager
def _behind_workers() -> Iterator[None]:
    """The calling thread waits for a core instead of taking that of the worker that wakes it.

    IREE 3.13.0 spins until that worker has left its callback, and kept it from doing so for milliseconds
    (docs/decisions.md, "Two threads"). Other policies than the usual one were chosen, and stay.
    """
    if os.sched_getscheduler(0) != os.SCHED_OTHER:
        yield
        return
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
