"""The experiment together with the targets, devices and traces that it names, checked as one."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from depthdial.config.devices import Device, load_devices
from depthdial.config.experiment import Experiment
from depthdial.config.load import load_experiment, read_values
from depthdial.config.problems import validate
from depthdial.config.recorded import read_recorded
from depthdial.config.targets import Target, load_targets
from depthdial.config.traces import TraceSpec
from depthdial.config.yaml_file import read_yaml
from depthdial.errors import ConfigError


@dataclass(frozen=True)
class Study:
    """Everything that a run is told, valid as a whole. Trace files are paths as rules name them."""

    experiment: Experiment
    targets: dict[str, Target]
    devices: dict[str, Device]
    estimate_files: list[str]
    held_out_files: list[str]


def read_study(paths: Sequence[str | os.PathLike[str]], changes: Mapping[str, Any], root: Path) -> Study:
    """The study that some files describe, ``changes`` laid over them; as ``load_study`` otherwise.

    The workflow and ``depthdial config check`` read with this function, and with no other.
    """
    where = ", ".join(map(str, paths))
    return load_study(read_values(paths, changes), where, root)


def load_study(values: Mapping[str, Any], where: str, root: Path) -> Study:
    """The study that a parsed configuration describes; the files that it names lie relative to ``root``.

    Raises ConfigError with the problems of all files at once.
    """
    experiment = load_experiment(values, where)
    problems: list[str] = []
    targets: dict[str, Target] = {}
    devices: dict[str, Device] = {}
    try:
        targets = load_targets(root / experiment.deploy.targets_file, experiment.deploy.targets)
    except ConfigError as error:
        problems.append(str(error))
    try:
        file = root / experiment.benchmark.devices_file
        devices = load_devices(file, experiment.benchmark.devices, experiment.deploy.targets)
    except ConfigError as error:
        problems.append(str(error))
    files = trace_files(experiment, root, problems)
    if problems:
        raise ConfigError("\n".join(problems))
    return Study(
        experiment,
        targets,
        devices,
        [files[name] for name in experiment.traces.estimate],
        [files[name] for name in experiment.traces.held_out],
    )


def trace_files(experiment: Experiment, root: Path, problems: list[str]) -> dict[str, str]:
    """Name to file of every trace that is used; what is wrong with the files is added to ``problems``."""
    traces = experiment.traces
    found: dict[str, str] = {}
    for name in dict.fromkeys((*traces.estimate, *traces.held_out)):
        paths = [root / traces.folder / f"{name}{kind}" for kind in (".yaml", ".csv")]
        there = [path for path in paths if path.is_file()]
        if len(there) != 1:
            problems.append(f"traces: {traces.folder} has {len(there)} files {name}.yaml or {name}.csv; one is wanted")
            continue
        found[name] = _from_here(there[0])
        try:
            check_trace(there[0], learnt_from=name in traces.estimate)
        except ConfigError as error:
            problems.append(str(error))
    drawn = experiment.figures.trace
    runs = [
        run
        for name in traces.held_out
        for run in (
            [f"{name}-{seed}" for seed in traces.held_out_seeds] if not found.get(name, "").endswith(".csv") else [name]
        )
    ]
    if not any(run.startswith(drawn) for run in runs):
        problems.append(f"figures.trace: no held-out trace begins with {drawn!r}; there are {', '.join(runs[:8])}")
    return found


def _from_here(path: Path) -> str:
    """A path as rules name it: relative where it lies below the folder that is worked in, else absolute."""
    whole, here = path.resolve(), Path.cwd().resolve()
    return str(whole.relative_to(here) if whole.is_relative_to(here) else whole)


def check_trace(path: Path, *, learnt_from: bool) -> None:
    """Check the specification of a trace, or every cell of a recorded one. Raises ConfigError."""
    if path.suffix == ".yaml":
        validate(TraceSpec, read_yaml(path), str(path))
    elif not any(read_recorded(path)["arrivals"]) and learnt_from:
        raise ConfigError(
            f"{path}: no arrivals at all, so nothing can be learnt from it; take it out of traces.estimate"
        )
