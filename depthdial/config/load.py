"""Read the experiment and the files that it names, and check them all before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from depthdial.config.experiment import Experiment
from depthdial.config.problems import validate
from depthdial.errors import ConfigError


def load_experiment(values: Mapping[str, Any], where: str) -> Experiment:
    """The experiment that a parsed configuration file describes. Raises ConfigError with every problem."""
    return validate(Experiment, dict(values), where)


def read_experiment(path: Path) -> Experiment:
    """The experiment that the YAML file ``path`` describes. Raises ConfigError with every problem."""
    return load_experiment(read_yaml(path), str(path))


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file. Raises ConfigError if there is none."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read ({error})") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected keys and values, found {type(values).__name__}")
    return values
