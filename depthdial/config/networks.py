"""The networks of an experiment."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from depthdial.config.base import Name, Section


class Survival(Section):
    """Survival probability p_l of block l while training (Huang et al. 2016, section 3)."""

    last: float = Field(default=0.5, gt=0, lt=1)
    """p_L, the survival probability of the last block."""
    shape: Literal["linear", "uniform", "sensitivity"] = "linear"
    """`linear`: p_l = 1 - l / L * (1 - p_L) for l = 1..L; `uniform`: p_L for every block; `sensitivity`: the values of
    `linear`, handed out anew after a quarter of the epochs, the largest to the block whose skipping costs most."""

    def probabilities(self, n_blocks: int) -> tuple[float, ...]:
        """p_l for each of ``n_blocks`` blocks in forward order, at the beginning of training."""
        if self.shape == "uniform":
            return (self.last,) * n_blocks
        return tuple(1 - index / n_blocks * (1 - self.last) for index in range(1, n_blocks + 1))


class Network(Section):
    """One network of the CIFAR ResNet family, trained once per data set and seed."""

    name: Name
    """Identity of the network in file names and figures."""
    role: Literal["dial", "control", "static"]
    """`dial`: trained with Stochastic Depth, its masks searched, its configurations deployed. `control`: the same
    network with constant depth, its masks evaluated for comparison. `static`: a smaller member of the family,
    deployed as it is."""
    depth: int = Field(ge=8)
    """Layers: 6m + 2 (8, 14, 20, 32, 44, 56, 110)."""
    width: int = Field(default=16, ge=1)
    """Channels of the first stage."""
    survival: Survival | None = None
    """Survival probabilities; a dial needs them, other networks have constant depth."""
    recipe: Name = "fast"
    """Name of the training recipe."""
    scaling: Literal["none", "survival", "inverse"] | None = None
    """Factor of a kept block's branch in this network, in place of `evaluate.scaling`. Sandwich steps train branches
    unscaled: `none` suits them."""

    @model_validator(mode="after")
    def _consistent(self) -> Network:
        if (self.depth - 2) % 6:
            raise ValueError(f"depth: must be 6m + 2 (8, 14, 20, 32, 44, 56, 110), got {self.depth}")
        if self.role == "dial" and self.survival is None:
            raise ValueError("survival: a dial is trained with Stochastic Depth; add `survival: {last: 0.5}`")
        if self.role != "dial" and self.survival is not None:
            raise ValueError(f"survival: a {self.role} network has constant depth; remove survival")
        return self

    @property
    def n_blocks(self) -> int:
        """Number of residual blocks."""
        return (self.depth - 2) // 2

    @property
    def shape(self) -> tuple[int, int]:
        """Depth and width: networks of one shape differ in training alone."""
        return self.depth, self.width

    @property
    def shape_name(self) -> str:
        """The shape in words."""
        return f"ResNet-{self.depth}" + (f", width {self.width}" if self.width != 16 else "")

    @property
    def searched(self) -> bool:
        """Whether masks of this network are evaluated."""
        return self.role in ("dial", "control")
