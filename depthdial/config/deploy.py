"""How networks are deployed."""

from __future__ import annotations

from pydantic import Field, PositiveFloat

from depthdial.config.base import Section


class Deploy(Section):
    """How networks are compiled and checked; the targets themselves have a file of their own."""

    targets_file: str = "config/targets.yaml"
    """The file that describes the targets, relative to the Snakefile."""
    targets: tuple[str, ...] = Field(default=("host",), min_length=1)
    """Names of targets in that file to compile for."""
    seed: int = 0
    """The training seed whose networks are measured on devices and replayed."""
    gate_images: int = Field(default=3, ge=1, le=16)
    """Fixed inputs on which every configuration is compared with PyTorch; the last is noise, the rest are images."""
    tolerance_absolute: PositiveFloat = 1e-3
    """Largest difference of a logit from PyTorch's, to which the relative tolerance is added."""
    tolerance_relative: PositiveFloat = 1e-3
    """Largest difference of a logit from PyTorch's, as a share of its size."""
    tune: bool = False
    """Use the fastest variant, timed here, for each target of this machine's architecture; others keep the first."""
    tune_threads: int = Field(default=1, ge=1, le=64)
    """Cores that share an inference while variants are timed."""
