"""The networks of an experiment."""

from __future__ import annotations

from pathlib import PurePath
from typing import Literal

from pydantic import Field, model_validator

from depthdial.config.base import Name, Section

ADOPTED = "none"
"""The recipe of a network that is adopted as it is."""


class Survival(Section):
    """Survival probability p_l of unit l while training (Huang et al. 2016, section 3)."""

    last: float = Field(default=0.5, gt=0, lt=1)
    """p_L, the survival probability of the last unit."""
    shape: Literal["linear", "uniform", "sensitivity"] = "linear"
    """`linear`: p_l = 1 - l / L * (1 - p_L) for l = 1..L; `uniform`: p_L for every unit; `sensitivity`: the values of
    `linear`, handed out anew after a quarter of the epochs, the largest to the unit whose skipping costs most."""

    def probabilities(self, n_units: int) -> tuple[float, ...]:
        """p_l for each of ``n_units`` units in forward order, at the beginning of training."""
        if self.shape == "uniform":
            return (self.last,) * n_units
        return tuple(1 - index / n_units * (1 - self.last) for index in range(1, n_units + 1))


class Network(Section):
    """One network, trained, fine-tuned or adopted as it is, once per data set and seed."""

    name: Name
    """Identity of the network in file names and figures."""
    role: Literal["dial", "control", "static"]
    """`dial`: its masks are searched, its configurations deployed; trained here with Stochastic Depth unless it is
    adopted. `control`: the same network with constant depth, its masks evaluated for comparison. `static`: a smaller
    network, deployed as it is."""
    family: Literal["he_resnet", "torchvision", "timm", "module"] = "he_resnet"
    """Where the network comes from. `he_resnet`: the CIFAR ResNets of He et al. (2016), given by `depth` and `width`.
    `torchvision`, `timm`: the libraries, by the name of the `model`; timm is an optional extra, `depthdial[timm]`.
    `module`: a function of yours; see docs/own-networks.md."""
    depth: int | None = Field(default=None, ge=8, le=1202)
    """Of `he_resnet`, layers: 6m + 2 (8, 14, 20, 32, 44, 56, 110)."""
    width: int = Field(default=16, ge=1, le=1024)
    """Of `he_resnet`, channels of the first stage."""
    model: str | None = None
    """Of `torchvision` and `timm`, the network's name there: `resnet50`, `vit_tiny_patch16_224`."""
    module: str | None = Field(default=None, pattern=r"^[^:]+\.py:[A-Za-z_]\w*$")
    """Of `module`, file and function: `networks/mine.py:build`, called as `build(classes=..., input_shape=...)`. The
    file is code that you choose to run. It must lie within the folder that the workflow runs in."""
    units: tuple[str, ...] = ()
    """Names of the modules that can be skipped, as patterns part by part (`blocks.*`); absent: those that hand on their
    input when their weights are zero, which residual blocks without projection do. Not for `he_resnet`."""
    weights: str | None = None
    """Weights to begin with: those of another network of the experiment, by its name (of the same data set and seed); a
    safetensors or PyTorch file; or for `torchvision` the name of its own (`DEFAULT`). A relative path counts from where
    snakemake runs."""
    anew: tuple[str, ...] = ()
    """Names of tensors, as patterns part by part (`classifier.*`), that are drawn anew in place of those of `weights`:
    the classifier where the classes are others. Training must follow."""
    survival: Survival | None = None
    """Survival probabilities of a dial while training; absent where its recipe draws nothing by them: every step is
    a sandwich of nested networks then. Other networks have constant depth."""
    recipe: Name = "fast"
    """Name of the training recipe; `none`: the network is adopted with its `weights` as they are."""
    scaling: Literal["none", "survival", "inverse"] | None = None
    """Factor of a kept unit's branch in this network, in place of `evaluate.scaling`. Sandwich steps train branches
    unscaled: `none` suits them. It is `none` for all families but `he_resnet`: their libraries rescale while training.
    """

    @model_validator(mode="after")
    def _consistent(self) -> Network:
        problems = [*self._family_problems(), *self._training_problems()]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _family_problems(self) -> list[str]:
        """What is said of the network that its family does not take, or not said that it needs."""
        needs = {"he_resnet": "depth", "torchvision": "model", "timm": "model", "module": "module"}
        wanted = needs[self.family]
        problems = [
            f"{key}: not for family {self.family}; remove it"
            for key in dict.fromkeys(needs.values())
            if key != wanted and getattr(self, key) is not None
        ]
        if getattr(self, wanted) is None:
            problems.append(f"{wanted}: family {self.family} needs it")
        if self.depth is not None and (self.depth - 2) % 6:
            problems.append(f"depth: must be 6m + 2 (8, 14, 20, 32, 44, 56, 110), got {self.depth}")
        if self.family == "he_resnet" and self.units:
            problems.append("units: all blocks of he_resnet are units; remove it")
        if self.family != "he_resnet" and self.scaling not in (None, "none"):
            problems.append(f"scaling: units of family {self.family} cannot be scaled; give none or remove it")
        return problems

    def _training_problems(self) -> list[str]:
        """What does not fit how the network comes to its weights."""
        if self.adopted and self.weights is None:
            return ["weights: recipe none adopts a network that is trained already; name its weights, or a recipe"]
        if self.adopted and (self.survival or self.anew):
            return ["survival, anew: recipe none trains nothing; remove them, or name a recipe"]
        if self.anew and self.weights is None:
            return ["anew: without weights all is drawn anew; remove it"]
        if self.role != "dial" and self.survival is not None:
            return [f"survival: a {self.role} network has constant depth; remove survival"]
        return []

    @property
    def adopted(self) -> bool:
        """Whether it is taken as it is, with weights that were trained elsewhere."""
        return self.recipe == ADOPTED

    @property
    def module_file(self) -> list[str]:
        """The file of a network of the user's own."""
        return [self.module.partition(":")[0]] if self.module else []

    @property
    def weights_file(self) -> list[str]:
        """The file of the weights that it begins with, if there are any and they are not a library's own."""
        return [self.weights] if self.weights and PurePath(self.weights).suffix else []

    @property
    def n_units(self) -> int | None:
        """Number of units, where it is known before the network is described."""
        return (self.depth - 2) // 2 if self.depth is not None else None

    @property
    def shape(self) -> tuple[str, ...]:
        """What it is: networks of one shape differ in training alone."""
        return (self.family, str(self.depth), str(self.width), str(self.model), str(self.module))

    @property
    def shape_name(self) -> str:
        """The shape in words."""
        if self.depth is None:
            return str(self.model or self.module)
        return f"ResNet-{self.depth}" + (f", width {self.width}" if self.width != 16 else "")

    @property
    def searched(self) -> bool:
        """Whether masks of this network are evaluated."""
        return self.role in ("dial", "control")
