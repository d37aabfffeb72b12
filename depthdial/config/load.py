"""Read the experiment, from one file or from several that are laid over each other."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from depthdial.config.experiment import Experiment
from depthdial.config.problems import validate
from depthdial.config.yaml_file import read_yaml

DEFAULT = Path("config/config.yaml")
"""The experiment that runs if none is named."""


def load_experiment(values: Mapping[str, Any], where: str) -> Experiment:
    """The experiment that a parsed configuration file describes. Raises ConfigError with every problem."""
    return validate(Experiment, dict(values), where)


def read_experiment(path: str | os.PathLike[str]) -> Experiment:
    """The experiment that the YAML file ``path`` describes. Raises ConfigError with every problem."""
    return load_experiment(read_yaml(path), str(path))


def read_values(paths: Sequence[str | os.PathLike[str]], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The files laid over each other in their order, then ``changes``, as Snakemake does with --config."""
    values: dict[str, Any] = {}
    for layer in [*map(read_yaml, paths), changes]:
        values = _laid_over(values, layer)
    return values


def _laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """``below`` with the values of ``above``, sections merged key by key."""
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        if isinstance(value, Mapping):
            value = _laid_over(under if isinstance(under, Mapping) else {}, value)
        merged[key] = value
    return merged
