"""Choose among a target's ways of compiling by measurement: the full network, every variant, interleaved."""

from __future__ import annotations

import logging
import os
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from depthdial.artefacts import read_array, read_record
from depthdial.config.deploy import Deploy
from depthdial.config.targets import Target
from depthdial.deploy.calls import BENCHMARK, RUN, call_arguments, parse_report, timing_arguments
from depthdial.deploy.compile import Compiler
from depthdial.deploy.gate import require, run
from depthdial.deploy.manifest import Gate, device_arguments
from depthdial.deploy.program import program
from depthdial.deploy.tools import installed_tools
from depthdial.errors import DeployError
from depthdial.files import write_json
from depthdial.networks.configurations import FULL
from depthdial.networks.families.he_shapes import Architecture
from depthdial.networks.masks import Mask

log = logging.getLogger(__name__)
ROUNDS = 5
REPETITIONS = 60
WARM_UP = 10


class Timing(BaseModel):
    """One variant: every inference's latency, or why it was not measured."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    variant: str
    median_ms: float | None = None
    samples_ms: tuple[float, ...] = ()
    refused: str | None = None


class Tuning(BaseModel):
    """Which variant of a target is used for a network, and the measurements that say so."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    target: str
    threads: int
    chosen: str
    timings: tuple[Timing, ...]


def read_tuning(path: str | os.PathLike[str]) -> Tuning:
    """Read and check. Raises ArtefactError that names the file."""
    return read_record(path, Tuning, "the result of tuning")


def tune(
    arch: Architecture,
    target: Target,
    settings: Deploy,
    *,
    names: tuple[str, str],
    exported: str | os.PathLike[str],
    output: str | os.PathLike[str],
    log_folder: str | os.PathLike[str],
) -> Tuning:
    """Compile the full network in every way, check each against PyTorch, time them in turn, write what was found.

    ``names`` are those of network and target; ``exported`` is the folder that ``export`` wrote. A variant that
    does not compile or does not compute what PyTorch computes is left out, with the reason. Raises DeployError
    if none is left.
    """
    network, target_name = names
    about = f"{network}, target {target_name}"
    samples: dict[str, list[float]] = {}
    refused: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        for variant in target.variants:
            module = Path(folder) / f"{variant}.vmfb"
            compiler = Compiler(f"{about}, variant {variant}", Path(log_folder) / f"{variant}.iree.log")
            try:
                module.write_bytes(compiler.module(program(arch, {FULL: Mask.full(arch.n_blocks)}), target, variant))
                _check(module, Path(exported), settings, compiler.about)
                samples[variant] = []
            except DeployError as error:
                refused[variant] = str(error)
                log.warning("%s", error)
        for _ in range(ROUNDS):
            for variant, taken in samples.items():
                module = Path(folder) / f"{variant}.vmfb"
                arguments = [*device_arguments(settings.tune_threads), *_arguments(module)]
                taken += single_inferences(arguments, Path(exported), f"{about}, variant {variant}", REPETITIONS)
    if not samples:
        raise DeployError(f"{about}: no variant can be used: {'; '.join(refused.values())}")
    result = _result(target_name, settings.tune_threads, samples, refused)
    write_json(output, result.model_dump(mode="json"))
    log.info("%s: %s is fastest", about, result.chosen)
    return result


def _result(target: str, threads: int, samples: dict[str, list[float]], refused: dict[str, str]) -> Tuning:
    medians = {variant: statistics.median(taken) for variant, taken in samples.items()}
    timings = [
        Timing(variant=variant, median_ms=medians[variant], samples_ms=tuple(taken))
        for variant, taken in samples.items()
    ]
    timings += [Timing(variant=variant, refused=why) for variant, why in refused.items()]
    return Tuning(target=target, threads=threads, chosen=min(medians, key=medians.__getitem__), timings=tuple(timings))


def _arguments(module: Path) -> list[str]:
    """How a module of the full network alone is called in the folder that ``export`` wrote."""
    return call_arguments(str(module), "weights.irpa", f"batchnorm/{FULL}.irpa", FULL, "gate/input0.npy")


def _check(module: Path, exported: Path, settings: Deploy, about: str) -> None:
    """The numerics gate on the first fixed input."""
    found = module.with_suffix(".npy")
    arguments = [*device_arguments(1), *_arguments(module), f"--output=@{found}"]
    run([str(installed_tools()[RUN]), *arguments], exported, about)
    gate = Gate(inputs=(), absolute=settings.tolerance_absolute, relative=settings.tolerance_relative)
    require(read_array(found), read_array(exported / "gate" / f"{FULL}.0.npy"), gate, about)


def single_inferences(arguments: Sequence[str], folder: Path, about: str, count: int) -> list[float]:
    """Latencies in ms of ``count`` single inferences by IREE's benchmark tool, after a warm-up."""
    command = [str(installed_tools()[BENCHMARK]), *arguments, *timing_arguments(WARM_UP + count)]
    report = parse_report(run(command, folder, about))
    return [one.real_time for one in report.benchmarks[WARM_UP:]]
