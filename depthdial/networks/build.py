"""From a description to the network itself, and from a network of any family to its description."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from depthdial.files import sha256_file
from depthdial.networks.description import Description
from depthdial.networks.dial import Dial
from depthdial.networks.families import module, timm, torchvision
from depthdial.networks.families.he_resnet import ResNet
from depthdial.networks.families.he_shapes import Architecture
from depthdial.networks.measure import measured
from depthdial.networks.units import find_units


def described(
    family: str, model: str, patterns: Sequence[str], input_shape: tuple[int, int, int], classes: int
) -> Description:
    """A network of another family than He's, run once. Raises NetworkError if it can be no dial."""
    options = {"sha256": sha256_file(module.source(model)[0])} if family == "module" else {}
    # Random weights; what is drawn here must not be what a training draws.
    with torch.random.fork_rng(devices=[]):
        network = plain(family, model, options, input_shape, classes)
    units = find_units(network, patterns, input_shape)
    return measured(network, units, input_shape, classes, family, model, options)


def build(description: Description) -> nn.Module:
    """The described network with random weights, drawn from torch's global generator."""
    if description.family == "he_resnet":
        return ResNet(Architecture.of(description))
    shape, classes = description.input_shape, description.classes
    return plain(description.family, description.model, dict(description.options), shape, classes)


def plain(
    family: str, model: str, options: dict[str, str], input_shape: tuple[int, int, int], classes: int
) -> nn.Module:
    """A network of another family than He's."""
    if family == "torchvision":
        return torchvision.build(model, input_shape, classes)
    if family == "timm":
        return timm.build(model, input_shape, classes)
    return module.build(model, options["sha256"], input_shape, classes)


def dial(description: Description, survival: Sequence[float] | None = None) -> Dial:
    """The described network with random weights, its units ready to be skipped."""
    return Dial(build(description), description, survival)
