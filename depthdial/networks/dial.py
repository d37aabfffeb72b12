"""Networks whose units can be skipped, and the static networks that masks leave of them.

While training, gates are drawn for each mini-batch and closed units are not executed (Huang et al. 2016, section 3).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from depthdial.networks.chain import cut
from depthdial.networks.description import Bypass, Description
from depthdial.networks.masks import Mask

Scaling = Literal["none", "survival", "inverse"]


class ChainNetwork(nn.Module):
    """A network as segments and units; its modules, parameters and buffers keep the names that they have in it.

    Input: (N, C, H, W), normalised. Output: (N, classes) logits.
    """

    def __init__(self, network: nn.Module, description: Description) -> None:
        super().__init__()
        self.description = description
        names = [unit.name for unit in description.units]
        self.chain = cut(network, names, description.input_shape)
        for name, parameter in network.named_parameters(recurse=False):
            self.register_parameter(name, parameter)
        for name, buffer in network.named_buffers(recurse=False):
            self.register_buffer(name, buffer, name not in network._non_persistent_buffers_set)
        for name, constant in self.chain.constants.items():
            self.register_buffer(name, constant, persistent=False)
        for name, child in network.named_children():
            self.add_module(name, child)
        self.unit_modules: tuple[nn.Module | None, ...] = tuple(self.get_submodule(name) for name in names)

    def run_segment(self, index: int, x: Tensor) -> Tensor:
        """What always runs: before unit ``index``, or after the last."""
        segment = self.chain.segments[index]
        return x if segment is None else segment.function(self, x)

    def run_unit(self, index: int, x: Tensor, scale: float = 1.0) -> Tensor:
        """A unit that is kept. Only units that take a scale can be scaled."""
        call, module = self.chain.calls[index], self.unit_modules[index]
        assert module is not None
        given = call.args if scale == 1 else (*call.args, scale)
        return module(x, *given, **(call.kwargs or {}))

    def run_bypass(self, index: int, x: Tensor) -> Tensor:
        """What goes on where a unit is skipped."""
        return passed(x, self.description.units[index].bypass)

    def run(self, x: Tensor, gates: Sequence[bool] | None, scales: Sequence[float] | None) -> Tensor:
        """Logits. A unit whose gate is closed is not executed; without gates all are open."""
        x = self.run_segment(0, x)
        for index in range(self.description.n_units):
            if gates is None or gates[index]:
                x = self.run_unit(index, x, 1.0 if scales is None else scales[index])
            else:
                x = self.run_bypass(index, x)
            x = self.run_segment(index + 1, x)
        return x


class Dial(ChainNetwork):
    """A network with a survival probability for each unit; all ones is a network of constant depth."""

    def __init__(self, network: nn.Module, description: Description, survival: Sequence[float] | None = None) -> None:
        super().__init__(network, description)
        n = description.n_units
        self.survival = tuple(survival) if survival is not None else (1.0,) * n
        if len(self.survival) != n or not all(0 < p <= 1 for p in self.survival):
            raise ValueError(f"survival needs {n} probabilities in (0, 1], got {survival}")

    def forward(self, x: Tensor, gates: Sequence[bool] | None = None, scales: Sequence[float] | None = None) -> Tensor:
        """Logits of the units whose gates are open, their branches multiplied by ``scales``."""
        return self.run(x, gates, scales)

    def draw_gates(self, generator: torch.Generator) -> tuple[bool, ...]:
        """One gate per unit for one mini-batch, open with the unit's survival probability."""
        draws = torch.rand(len(self.survival), generator=generator).tolist()
        return tuple(draw < p for draw, p in zip(draws, self.survival, strict=True))

    def scales(self, scaling: Scaling) -> tuple[float, ...]:
        """The factor of each kept unit's branch at inference.

        ``survival``: p_l (Huang et al., equation 5); ``none``: 1; ``inverse``: 1 / p_l.
        """
        if scaling == "none":
            return (1.0,) * len(self.survival)
        if scaling == "survival":
            return self.survival
        return tuple(1 / p for p in self.survival)

    def extract(self, mask: Mask, scaling: Scaling = "none") -> Static:
        """What a mask leaves, as a new network in evaluation mode; this one is left as it is."""
        return Static(self, mask, scaling)


class Static(ChainNetwork):
    """What a mask leaves of a dial: a plain network without gates, ready to be exported.

    Parameters keep the names that they have in the parent, so that many configurations can point at one archive of
    weights; those of skipped units are gone.
    """

    def __init__(self, dial: Dial, mask: Mask, scaling: Scaling) -> None:
        nn.Module.__init__(self)
        dial.description.require(mask)
        self.__dict__.update(copy.deepcopy(dial).__dict__)
        self.mask, self.scaling_factors = mask, dial.scales(scaling)
        units = list(self.unit_modules)
        for index in mask.skipped:
            owner, _, name = dial.description.units[index].name.rpartition(".")
            del self.get_submodule(owner)._modules[name]
            units[index] = None
        self.unit_modules = tuple(units)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, classes) of normalised images (N, C, H, W)."""
        return self.run(x, self.mask.gates, self.scaling_factors)


def passed(x: Tensor, bypass: Bypass) -> Tensor:
    """What a bypass leaves of (N, C, H, W): the tensor itself, or He's option A."""
    if bypass.stride > 1:
        x = x[:, :, :: bypass.stride, :: bypass.stride]
    if bypass.extra_channels:
        x = functional.pad(x, (0, 0, 0, 0, 0, bypass.extra_channels))
    return x
