"""The experiment together with the targets, devices and traces that it names, checked as one."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from depthdial.config.devices import Device, load_devices
from depthdial.config.experiment import Experiment
from depthdial.config.load import load_experiment, read_yaml
from depthdial.config.problems import validate
from depthdial.config.targets import Target, load_targets
from depthdial.config.traces import COLUMNS, Traces, TraceSpec
from depthdial.errors import ConfigError


@dataclass(frozen=True)
class Study:
    """Everything that a run is told, valid as a whole. Trace files are paths as rules name them."""

    experiment: Experiment
    targets: dict[str, Target]
    devices: dict[str, Device]
    estimate_files: list[str]
    held_out_files: list[str]


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
    files = trace_files(experiment.traces, root, problems)
    if problems:
        raise ConfigError("\n".join(problems))
    return Study(
        experiment,
        targets,
        devices,
        [files[name] for name in experiment.traces.estimate],
        [files[name] for name in experiment.traces.held_out],
    )


def trace_files(traces: Traces, root: Path, problems: list[str]) -> dict[str, str]:
    """Name to file of every trace that is used; what is wrong with the files is added to ``problems``."""
    found: dict[str, str] = {}
    for name in dict.fromkeys((*traces.estimate, *traces.held_out)):
        paths = [root / traces.folder / f"{name}{kind}" for kind in (".yaml", ".csv")]
        there = [path for path in paths if path.is_file()]
        if len(there) != 1:
            problems.append(f"traces: {traces.folder} has {len(there)} files {name}.yaml or {name}.csv; one is wanted")
            continue
        found[name] = str(there[0].relative_to(root))
        try:
            check_trace(there[0])
        except ConfigError as error:
            problems.append(str(error))
    return found


def check_trace(path: Path) -> None:
    """Check a trace's specification, or the header of a recorded one; its rows are checked when it is read."""
    if path.suffix == ".yaml":
        validate(TraceSpec, read_yaml(path), str(path))
        return
    with path.open(encoding="utf-8", newline="") as stream:
        header = next(csv.reader(line for line in stream if not line.startswith("#")), [])
    known = {*COLUMNS, "deadline_relative"}
    if unknown := [column for column in header if column not in known]:
        raise ConfigError(f"{path}: unknown columns {', '.join(unknown)}; a trace has {', '.join(sorted(known))}")
