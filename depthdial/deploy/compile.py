"""Compile one configuration for one target with iree-compile. Needs no torch."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from depthdial.config.targets import Target
from depthdial.deploy.graph.nodes import Graph
from depthdial.deploy.graph.write import program
from depthdial.deploy.manifest import CompiledFor, Tuned
from depthdial.deploy.processor import processor
from depthdial.errors import DeployError
from depthdial.files import atomic_path, write_json, write_text
from depthdial.networks.masks import Mask

log = logging.getLogger(__name__)

COMMON_FLAGS = (
    "--iree-input-type=none",
    "--iree-opt-level=O3",
    "--iree-vm-bytecode-module-strip-source-map=true",
    "--iree-llvmcpu-debug-symbols=false",
)
IGNORED = re.compile(r"'[^']+' is not a recognized (processor|feature)[^\n]*")


class Compiled(BaseModel):
    """The side file of a compiled configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    configuration: str
    mask: str
    graph_sha256: str
    target: CompiledFor
    module_sha256: str
    compile_seconds: float


def compiler_version() -> str:
    """The version of compiler and runtime. Raises DeployError if they are not of the same."""
    compiler, runtime = version("iree-base-compiler"), version("iree-base-runtime")
    if compiler != runtime:
        raise DeployError(
            f"iree-base-compiler is {compiler}, iree-base-runtime {runtime}; install the same version of both"
        )
    return compiler


def target_flags(target: Target, variant: str) -> list[str]:
    """What iree-compile is told of a target, compiled for in one of its ways."""
    flags = [
        f"--iree-hal-target-backends={target.backend}",
        f"--iree-llvmcpu-target-triple={target.triple}",
        f"--iree-llvmcpu-target-cpu={target.cpu}",
    ]
    if target.features:
        flags.append(f"--iree-llvmcpu-target-cpu-features={','.join(target.features)}")
    return [*flags, *COMMON_FLAGS, *target.variants[variant].flags]


def compiled_for(name: str, target: Target, tuned: Tuned | None = None) -> CompiledFor:
    """What manifests say of a target that is compiled for with the installed compiler, tuned on a device or not."""
    core = processor(target)
    return CompiledFor(
        name=name,
        backend=target.backend,
        triple=target.triple,
        cpu=core.cpu,
        features=target.features,
        flags=tuple(target_flags(target, target.variant)),
        variant=target.variant,
        tiles=target.variants[target.variant].tiles,
        processor=core,
        tuned=tuned,
        compiler=compiler_version(),
    )


class Compiler:
    """iree-compile, whose every word goes to a log; ``about`` is what errors are said to be about."""

    def __init__(self, about: str, log_path: Path) -> None:
        self.about, self.log_path = about, log_path
        self.said = ""

    def run(self, text: str, flags: Sequence[str]) -> bytes:
        """What iree-compile makes of ``text``. Raises DeployError that names the log if it makes nothing of it."""
        from iree.compiler.tools.binaries import find_tool

        command = [find_tool("iree-compile"), "-", *flags, "-o", "-"]
        done = subprocess.run(command, input=text.encode(), capture_output=True, check=False)
        said = done.stderr.decode(errors="replace")
        self.said += f"$ {' '.join(command)}\n{said}exit status {done.returncode}\n"
        write_text(self.log_path, self.said)
        ignored = IGNORED.search(said)
        if done.returncode != 0 or ignored:
            lines = [line for line in said.splitlines() if "error:" in line.lower()]
            why = ignored.group() if ignored else (lines or ["no reason given"])[0]
            raise DeployError(
                f"{self.about}: iree-compile failed (status {done.returncode}): {why}; the whole log is {self.log_path}"
            )
        return done.stdout

    def module(self, graph: Graph, masks: Mapping[str, Mask], target: Target, tuned: Tuned | None = None) -> bytes:
        """The module of some configurations, their loops cut as the target's first variant says, or as was measured."""
        cuts = tuned.cuts if tuned else {}
        text = program(graph, masks, processor(target), target.variants[target.variant].tiles, cuts)
        return self.run(text, target_flags(target, target.variant))


def compile_configuration(
    graph: Graph,
    mask: Mask,
    target: Target,
    *,
    names: tuple[str, str, str],
    output: str | os.PathLike[str],
    side_file: str | os.PathLike[str],
    log_path: str | os.PathLike[str],
    tuned: Tuned | None = None,
) -> None:
    """Compile one configuration; ``names`` are those of network, configuration and target.

    Writes the module and a side file that says what it is. ``tuned`` is what was found on a device.
    Raises DeployError that names all three and the compiler's log.
    """
    network, configuration, target_name = names
    built_for = compiled_for(target_name, target, tuned)
    about = f"{network}, configuration {configuration} ({mask}), target {target_name}"
    started = time.monotonic()
    module = Compiler(about, Path(log_path)).module(graph, {configuration: mask}, target, tuned)
    seconds = time.monotonic() - started
    with atomic_path(output) as temporary:
        temporary.write_bytes(module)
    compiled = Compiled(
        configuration=configuration,
        mask=str(mask),
        graph_sha256=graph.sha256,
        target=built_for,
        module_sha256=hashlib.sha256(module).hexdigest(),
        compile_seconds=round(seconds, 3),
    )
    write_json(side_file, compiled.model_dump(mode="json"))
    log.info("%s: compiled in %.1f s", about, seconds)
