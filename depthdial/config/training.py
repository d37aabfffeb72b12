"""Training recipes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from depthdial.config.base import Name, Section


class Sandwich(Section):
    """Steps that train several depths of one network on the same images (Yu and Huang 2019, section 3.2 and 3.3):
    the full network, the smallest one and random ones; the gradients are summed."""

    start: float = Field(default=0.5, ge=0, lt=1)
    """Share of the training before the first sandwich. Its steps are of Stochastic Depth: the full network learns
    first and teaches then, as in the progressive shrinking of Cai et al. (2020, section 3.3)."""
    every: int = Field(default=1, ge=1)
    """From then on every so many steps is a sandwich; those between are steps of Stochastic Depth."""
    smallest: int = Field(default=3, ge=0)
    """Blocks that the smallest network keeps, spread evenly; nested, as many in each stage, but the stage's first ones;
    greedy, those that are given up last. With 3 in He's networks nested ones are the first of each stage."""
    random: int = Field(default=1, ge=0)
    """Random networks per sandwich."""
    draw: Literal["survival", "nested", "greedy"] = "nested"
    """How those are drawn: `nested` keeps the first blocks of every stage, from the smallest network's number (at least
    one) up to all of them with equal probability (the elastic depth of Cai et al. 2020, section 3.2); `greedy` gives up
    one block after the other, each the one without which the loss of the network that training began with rises least;
    `survival` as Stochastic Depth draws them, from all masks."""
    distil: bool | Literal["start"] = True
    """Whether all but the full network learn from its outputs instead of from the labels; `start`: from those of the
    full network that training began with, whose weights stay as they were (Hinton et al. 2015)."""


class Recipe(Section):
    """How a network is trained: on cross-entropy, by gates that are drawn for every mini-batch."""

    name: Name = "fast"
    """Name by which networks refer to the recipe."""
    epochs: int = Field(default=40, ge=1, le=100_000)
    """Passes over the training split."""
    batch_size: int = Field(default=64, ge=2, le=1_000_000)
    """Images per step; one gate per unit is drawn per mini-batch."""
    accumulate: int = Field(default=1, ge=1, le=1_000_000)
    """Parts in which a mini-batch is taken where it does not fit into memory; their gradients are added up. BatchNorm
    normalises by each part."""
    optimiser: Literal["sgd", "adamw"] = "sgd"
    """`sgd`: with Nesterov momentum. `adamw`: for transformers and ConvNeXts, at a learning rate of 1e-3 or less."""
    learning_rate: float = Field(default=0.1, gt=0)
    """Peak learning rate."""
    schedule: Literal["one_cycle", "cosine", "step"] = "one_cycle"
    """`one_cycle`: linear up over the first fifth, then linear down to zero. `cosine`: half a cosine to zero. `step`:
    divided by ten at one half and at three quarters (Huang et al. 2016)."""
    warm_up: float = Field(default=0.0, ge=0, lt=1)
    """Share of the training in which the learning rate rises from zero before its schedule begins. `one_cycle` has a
    rise of its own."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Nesterov momentum; of `adamw` the decay of the mean of gradients."""
    weight_decay: float = Field(default=5e-4, ge=0)
    """L2 penalty (of `adamw` decay) on convolutions and matrices; biases, norms and single tokens are exempt."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Share of the target spread evenly over all classes."""
    crop_padding: int = Field(default=1, ge=0, le=256)
    """Pixels of zeros around the image before a random crop to its size; 0: no shift."""
    horizontal_flip: bool = False
    """Whether images are mirrored with probability one half."""
    resolutions: tuple[float, ...] = Field(default=(1.0,), min_length=1)
    """Shares of the image side that training works on, one after the other for equally many epochs: small images
    first cost less. Sides are rounded to multiples of 4; the last is 1."""
    sandwich: Sandwich | None = None
    """Sandwich steps, for dials; absent: Stochastic Depth alone."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Arithmetic of the forward and backward pass (autocast); weights stay in float32."""
    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:[0-9]{1,3})?)$")
    """Where the network is trained: `cpu`, `cuda`, `cuda:N`; `auto` takes a GPU if the machine has one. On a cluster
    a training job asks for a GPU if this says `cuda`."""
    channels_last: bool = True
    """Memory layout of activations and weights while training."""
    validate_every: int = Field(default=5, ge=1)
    """Epochs between validations, for the log and the history; the last epoch is always validated."""

    @property
    def draws_by_survival(self) -> bool:
        """Whether some step of a dial draws gates by survival probabilities."""
        if self.sandwich is None or self.sandwich.start > 0 or self.sandwich.every > 1:
            return True
        return self.sandwich.draw == "survival" and self.sandwich.random > 0

    @field_validator("resolutions")
    @classmethod
    def _rising(cls, shares: tuple[float, ...]) -> tuple[float, ...]:
        if list(shares) != sorted(shares) or shares[0] <= 0 or shares[-1] != 1:
            raise ValueError(f"must rise from above 0 to 1, as in [0.5, 0.75, 1], got {list(shares)}")
        return shares
