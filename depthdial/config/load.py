"""Read the experiment and the files that it names, and check them all before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from depthdial.config.experiment import Experiment
from depthdial.config.problems import check


def load_experiment(values: Mapping[str, Any], where: str) -> Experiment:
    """The experiment that a parsed configuration file describes. Raises ConfigError with every problem."""
    return check(Experiment, dict(values), where)
