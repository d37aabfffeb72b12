"""From the settings of a network to its description, and from a description to the network itself."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from depthdial.config.networks import Network
from depthdial.files import sha256_file
from depthdial.networks.description import Description
from depthdial.networks.dial import Dial
from depthdial.networks.families import module, timm, torchvision
from depthdial.networks.families.he_resnet import ResNet
from depthdial.networks.families.he_shapes import Architecture
from depthdial.networks.measure import measured
from depthdial.networks.units import find_units


def describe(settings: Network, input_shape: tuple[int, int, int], classes: int) -> Description:
    """The network that ``settings`` name, for images of that shape. Raises NetworkError if it can be no dial."""
    if settings.family == "he_resnet":
        assert settings.depth is not None
        channels, size, _ = input_shape
        return Architecture(settings.depth, settings.width, channels, size, classes).describe()
    model, options = str(settings.model), {}
    if settings.family == "module":
        path, _ = module.source(str(settings.module))
        model, options = str(settings.module), {"sha256": sha256_file(path)}
    # Random weights; what is drawn here must not be what a training draws.
    with torch.random.fork_rng(devices=[]):
        network = plain(settings.family, model, options, input_shape, classes)
    units = find_units(network, settings.units, input_shape)
    return measured(network, units, input_shape, classes, settings.family, model, options)


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
