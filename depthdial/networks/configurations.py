"""Configurations: the masks of one trained network that were chosen for deployment."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Literal

from pydantic import BaseModel, ConfigDict

from depthdial.artefacts import read_record
from depthdial.errors import ArtefactError
from depthdial.files import write_json

FULL = "c00"
"""The configuration that keeps every block."""


class Configuration(BaseModel):
    """One chosen mask. Accuracies are fractions; intervals are 95 % Wilson intervals."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    mask: str
    macs: int
    on_front: bool
    validation_accuracy: float
    validation_low: float
    validation_high: float


class ConfigurationSet(BaseModel):
    """The configurations of one network; the first, ``c00``, keeps every block."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    dataset: str
    network: str
    seed: int
    scaling: Literal["none", "survival", "inverse"]
    recalibrated: bool | float
    """The share of BatchNorm statistics taken anew for every mask: all, none, or a blend with the network's own."""
    configurations: tuple[Configuration, ...]

    def named(self, name: str) -> Configuration:
        """The configuration of that name. Raises ArtefactError if there is none."""
        for configuration in self.configurations:
            if configuration.name == name:
                return configuration
        names = ", ".join(c.name for c in self.configurations)
        raise ArtefactError(f"no configuration {name}; there are {names}")

    def best(self, allowed: Callable[[Configuration], bool]) -> Configuration | None:
        """The one of those allowed that is most accurate on validation; of equals the cheaper. None if none is."""
        found = filter(allowed, self.configurations)
        return max(found, key=lambda one: (one.validation_accuracy, -one.macs), default=None)


def slot_names(count: int) -> list[str]:
    """The names of ``count`` configurations: c00, c01, ..."""
    return [f"c{index:02d}" for index in range(count)]


def write_configurations(path: str | os.PathLike[str], chosen: ConfigurationSet) -> None:
    """Write as JSON, whole or not at all."""
    write_json(path, chosen.model_dump(mode="json"))


def read_configurations(path: str | os.PathLike[str]) -> ConfigurationSet:
    """Read and check. Raises ArtefactError that names the file."""
    return read_record(path, ConfigurationSet, "a set of configurations")
