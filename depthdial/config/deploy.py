"""How networks are deployed."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveFloat

from depthdial.config.base import Name, Section, Seed


class Deploy(Section):
    """How networks are compiled and checked; the targets themselves have a file of their own."""

    targets_file: str = "config/targets.yaml"
    """The file that describes the targets, relative to the Snakefile."""
    targets: tuple[Name, ...] = Field(default=("host",), min_length=1, max_length=200)
    """Names of targets in that file to compile for."""
    seed: Seed = 0
    """The training seed whose networks are measured on devices and replayed."""
    gate_images: int = Field(default=3, ge=1, le=16)
    """Fixed inputs on which every configuration is compared with PyTorch; the last is noise, the rest are images."""
    tolerance_absolute: PositiveFloat = 1e-3
    """Largest difference of a logit from PyTorch's, to which the relative tolerance is added."""
    tolerance_relative: PositiveFloat = 1e-3
    """Largest difference of a logit from PyTorch's, as a share of its size."""
    tune: Literal["model", "device"] = "model"
    """How loops are cut: `model` by what is known of the processor; `device` as is measured to be fastest on the first
    device of each target, before anything is compiled for it. Targets without a device keep the model's choice."""
