"""How configurations are measured on a device."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from depthdial.config.base import Name, Section, Seed


class CostModel(Section):
    """A model of the latency of every mask, fitted to measured ones. Used where `select.cost` names a device."""

    masks: int = Field(default=32, ge=8, le=80)
    """Masks that are compiled and measured to fit the model."""
    held_out: int = Field(default=8, ge=2, le=19)
    """Further masks that are measured only to tell the model's error."""
    seed: Seed = 0
    """Seed of the choice of masks."""


class Benchmark(Section):
    """The measurement protocol."""

    devices_file: str = "config/devices.yaml"
    """The devices file. A relative path counts from the folder of the Snakefile."""
    devices: tuple[Name, ...] = Field(default=("local",), min_length=1, max_length=200)
    """Names of the devices to measure on, from the devices file."""
    rounds: int = Field(default=5, ge=3, le=1000)
    """Rounds that must hold up. A round measures every configuration once, in random order, between two windows of the
    reference, the full network."""
    extra_rounds: int = Field(default=5, ge=0, le=1000)
    """Rounds that may be repeated because they did not hold up; after that the device counts as too noisy."""
    window_ms: int = Field(default=250, ge=10, le=600_000)
    """Least duration of a window, the time in which one configuration is inferred again and again. With a meter it is
    as long as energy needs to be valid: a second, and enough samples."""
    least_inferences: int = Field(default=50, ge=10, le=100_000)
    """Least number of inferences in a window, however long they take."""
    warm_up_ms: int = Field(default=50, ge=0, le=60_000)
    """Inferences before each window that are not counted."""
    drift_limit: float = Field(default=0.1, gt=0, le=1)
    """A round is rejected if a median of the reference is further than this fraction from that of all rounds."""
    frequency_limit: float = Field(default=0.05, gt=0, le=1)
    """A round is rejected if the clock of a measured core was further than this fraction from its median."""
    too_noisy: Literal["mark", "stop"] = "mark"
    """What happens on a device that is too noisy: `mark` keeps all rounds and marks every row of the table as not
    valid; `stop` ends with an error and writes no table."""
    resamples: int = Field(default=500, ge=100, le=100_000)
    """Resamples of the bootstrap that gives the intervals."""
    energy_samples: int = Field(default=20, ge=3, le=10_000)
    """Least number of power samples in a window; with fewer, its energy is not valid."""
    seed: Seed = 0
    """Seed of the random orders and of the bootstrap."""
    cost_model: CostModel = CostModel()
    """The model of the latency of every mask."""

    @model_validator(mode="after")
    def _unique(self) -> Benchmark:
        if len(set(self.devices)) < len(self.devices):
            raise ValueError("devices: each device once")
        return self
