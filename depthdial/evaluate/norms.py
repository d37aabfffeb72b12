"""BatchNorm statistics taken anew for every prefix, whatever kind of BatchNorm a network has.

Statistics are PyTorch's own, those of its training mode with momentum 1. Several prefixes may share a call of the
modules around: each BatchNorm then takes the images of one prefix after the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

STATISTICS = ("running_mean", "running_var")
Statistics = dict[str, Tensor]
"""``running_mean`` and ``running_var`` by the names they have in the network's state."""


def has_statistics(network: nn.Module) -> bool:
    """Whether the network has a BatchNorm of any kind that keeps statistics."""
    return any(isinstance(module, _BatchNorm) and module.track_running_stats for module in network.modules())


class Norms:
    """The BatchNorms of ``network``, which within ``of`` work as it and ``calibrating`` say.

    ``blend`` is the share of the new statistics in those that are used; the rest is the network's own.
    """

    def __init__(self, network: nn.Module, blend: float = 1.0) -> None:
        self.blend = blend
        self.norms = {
            name: module
            for name, module in network.named_modules()
            if isinstance(module, _BatchNorm) and module.track_running_stats
        }
        self.own = {name: [norm.get_buffer(each) for each in STATISTICS] for name, norm in self.norms.items()}
        self.found: list[Statistics] = []
        self.training = False
        for name, norm in self.norms.items():
            norm.momentum = 1.0
            norm.forward = partial(self._forward, name, norm)  # type: ignore[method-assign]

    def inside(self, modules: Sequence[str]) -> bool:
        """Whether one of the modules so named is or has a BatchNorm."""
        return any(f"{name}.".startswith(f"{module}.") for name in self.norms for module in modules)

    @contextmanager
    def of(self, prefixes: int) -> Iterator[list[Statistics]]:
        """Calls are of so many prefixes together; gives the statistics that the calls find, for each of them."""
        self.found = [{} for _ in range(prefixes)]
        yield self.found
        self.found = []

    @contextmanager
    def calibrating(self, on: bool) -> Iterator[None]:
        """Whether calls take statistics from their images, or use those taken before."""
        self.training = on
        yield
        self.training = False

    def _forward(self, name: str, norm: _BatchNorm, x: Tensor) -> Tensor:
        if not self.found:
            norm.running_mean, norm.running_var = self.own[name]
            return type(norm).forward(norm, x)
        parts = torch.split(x, len(x) // len(self.found))
        outputs = [self._one(name, norm, part, found) for part, found in zip(parts, self.found, strict=True)]
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs)

    def _one(self, name: str, norm: _BatchNorm, x: Tensor, found: Statistics) -> Tensor:
        """The images of one prefix."""
        names = [f"{name}.{statistic}" for statistic in STATISTICS]
        if self.training:
            own = self.own[name]
            norm.running_mean, norm.running_var = (torch.zeros_like(value) for value in own)
            norm.training = True
            y = type(norm).forward(norm, x)
            norm.training = False
            found |= zip(names, (norm.running_mean, norm.running_var), strict=True)
            if self.blend == 1:
                return y
            for key, value in zip(names, own, strict=True):
                found[key] = torch.lerp(value, found[key], self.blend)
        norm.running_mean, norm.running_var = (found[key] for key in names)
        return type(norm).forward(norm, x)
