"""From the settings of a network to its description; PyTorch is needed for all families but He's."""

from __future__ import annotations

from depthdial.config.networks import Network
from depthdial.networks.description import Description
from depthdial.networks.families.he_shapes import Architecture


def describe(settings: Network, input_shape: tuple[int, int, int], classes: int) -> Description:
    """The network that ``settings`` name, for images of that shape. Raises NetworkError if it can be no dial."""
    if settings.family == "he_resnet":
        assert settings.depth is not None
        channels, size, _ = input_shape
        return Architecture(settings.depth, settings.width, channels, size, classes).describe()
    from depthdial.networks.build import described

    name = settings.module if settings.family == "module" else settings.model
    return described(settings.family, str(name), settings.units, input_shape, classes)
