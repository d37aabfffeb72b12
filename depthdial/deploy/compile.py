"""Compile one configuration for one target with iree-compile. Needs no torch."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import subprocess
import time
from importlib.metadata import version
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from depthdial.arch import Architecture
from depthdial.config.targets import Target
from depthdial.deploy.manifest import CompiledFor
from depthdial.deploy.program import program
from depthdial.errors import DeployError
from depthdial.files import atomic_path, sha256_file, write_json, write_text
from depthdial.masks import Mask

log = logging.getLogger(__name__)

COMMON_FLAGS = ("--iree-input-type=none", "--iree-opt-level=O3")
IGNORED = re.compile(r"'[^']+' is not a recognized (processor|feature)[^\n]*")


class Compiled(BaseModel):
    """The side file of a compiled configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    configuration: str
    mask: str
    architecture: dict[str, int]
    target: CompiledFor
    program_sha256: str
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


def target_flags(target: Target) -> list[str]:
    """What iree-compile is told of a target."""
    flags = [
        f"--iree-hal-target-backends={target.backend}",
        f"--iree-llvmcpu-target-triple={target.triple}",
        f"--iree-llvmcpu-target-cpu={target.cpu}",
    ]
    if target.features:
        flags.append(f"--iree-llvmcpu-target-cpu-features={','.join(target.features)}")
    return [*flags, *COMMON_FLAGS, *target.flags]


def compile_program(text: str, flags: list[str], output: Path, log_path: Path, about: str) -> None:
    """Run iree-compile on ``text``. Raises DeployError that names ``about`` and the log, where all it said stands."""
    from iree.compiler.tools.binaries import find_tool

    command = [find_tool("iree-compile"), "-", *flags, "-o", str(output)]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    said = done.stderr + done.stdout
    write_text(log_path, f"$ {' '.join(command)}\n{said}exit status {done.returncode}\n")
    ignored = IGNORED.search(said)
    if done.returncode != 0 or ignored:
        lines = [line for line in said.splitlines() if "error:" in line or "ERROR:" in line]
        why = ignored.group() if ignored else (lines or ["no reason given"])[0]
        raise DeployError(
            f"{about}: iree-compile failed (status {done.returncode}): {why}; the whole log is {log_path}"
        )


def compile_configuration(
    arch: Architecture,
    mask: Mask,
    target: Target,
    *,
    names: tuple[str, str, str],
    output: str | os.PathLike[str],
    side_file: str | os.PathLike[str],
    log_path: str | os.PathLike[str],
) -> None:
    """Compile one configuration; ``names`` are those of network, configuration and target.

    Writes the module and a side file that says what it is. Raises DeployError that names all three and
    the compiler's log.
    """
    network, configuration, target_name = names
    release = compiler_version()
    text, flags = program(arch, mask), target_flags(target)
    about = f"{network}, configuration {configuration} ({mask}), target {target_name}"
    started = time.monotonic()
    with atomic_path(output) as temporary:
        compile_program(text, flags, temporary, Path(log_path), about)
        digest = sha256_file(temporary)
    seconds = time.monotonic() - started
    compiled = Compiled(
        configuration=configuration,
        mask=str(mask),
        architecture=arch.to_dict(),
        target=CompiledFor(
            name=target_name,
            backend=target.backend,
            triple=target.triple,
            cpu=target.cpu,
            features=target.features,
            flags=tuple(flags),
            compiler=release,
        ),
        program_sha256=hashlib.sha256(text.encode()).hexdigest(),
        module_sha256=digest,
        compile_seconds=round(seconds, 3),
    )
    write_json(side_file, compiled.model_dump(mode="json"))
    log.info("%s: compiled in %.1f s", about, seconds)
