"""CIFAR ResNets whose residual blocks can be closed, and static networks extracted from them.

He et al. (2016, section 4.2) for the family, Huang et al. (2016, sections 3 and 4) for Stochastic Depth:
while training, an open block adds its branch unscaled; at inference a kept block adds it scaled.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from depthdial.networks.description import Architecture, BlockShape
from depthdial.networks.masks import Mask

Scaling = Literal["none", "survival", "inverse"]


class Block(nn.Module):
    """A residual block: ``relu(shortcut(x) + scale * branch(x))``."""

    def __init__(self, shape: BlockShape) -> None:
        super().__init__()
        self.stride = shape.stride
        self.extra_channels = shape.out_channels - shape.in_channels
        self.conv1 = nn.Conv2d(shape.in_channels, shape.out_channels, 3, shape.stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(shape.out_channels)
        self.conv2 = nn.Conv2d(shape.out_channels, shape.out_channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(shape.out_channels)

    def branch(self, x: Tensor) -> Tensor:
        """The residual function: two convolutions, (N, C_in, H, W) to (N, C_out, H/stride, W/stride)."""
        hidden = functional.relu(self.bn1(self.conv1(x)))
        return self.bn2(self.conv2(hidden))

    def shortcut(self, x: Tensor) -> Tensor:
        """Option A: subsample and append channels of zeros; the identity within a stage."""
        return shortcut(x, self.stride, self.extra_channels)

    def forward(self, x: Tensor, scale: float = 1.0) -> Tensor:
        """The block's output with its branch multiplied by ``scale``."""
        branch = self.branch(x)
        # A product with one is exact and costs a pass over memory, forward and backward.
        return functional.relu(self.shortcut(x) + (branch if scale == 1 else scale * branch))


def shortcut(x: Tensor, stride: int, extra_channels: int) -> Tensor:
    """Option A of He et al.: subsample by ``stride`` and append ``extra_channels`` channels of zeros.

    Its input is the output of a rectifier, so a skipped block is this function alone.
    """
    if stride > 1:
        x = x[:, :, ::stride, ::stride]
    if extra_channels:
        x = functional.pad(x, (0, 0, 0, 0, 0, extra_channels))
    return x


class ResNet(nn.Module):
    """A CIFAR ResNet with a survival probability for each block.

    Input: (N, in_channels, image_size, image_size), normalised. Output: (N, classes) logits.
    ``survival`` holds p_l for each block; all ones is a network of constant depth.
    """

    def __init__(self, arch: Architecture, survival: Sequence[float] | None = None) -> None:
        super().__init__()
        self.arch = arch
        self.survival = tuple(survival) if survival is not None else (1.0,) * arch.n_blocks
        if len(self.survival) != arch.n_blocks or not all(0 < p <= 1 for p in self.survival):
            raise ValueError(f"survival needs {arch.n_blocks} probabilities in (0, 1], got {survival}")
        self.stem_conv = nn.Conv2d(arch.in_channels, arch.width, 3, 1, 1, bias=False)
        self.stem_bn = nn.BatchNorm2d(arch.width)
        self.blocks = nn.ModuleList(Block(shape) for shape in arch.blocks)
        self.classifier = nn.Linear(arch.blocks[-1].out_channels, arch.classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def stem(self, x: Tensor) -> Tensor:
        """Everything before the first block."""
        return functional.relu(self.stem_bn(self.stem_conv(x)))

    def head(self, x: Tensor) -> Tensor:
        """Everything after the last block."""
        return self.classifier(x.mean(dim=(2, 3)))

    def forward(self, x: Tensor, gates: Sequence[bool] | None = None, scales: Sequence[float] | None = None) -> Tensor:
        """Logits. The branch of a block whose gate is closed is not executed."""
        x = self.stem(x)
        for index, block in enumerate(self.blocks):
            if gates is None or gates[index]:
                x = block(x, 1.0 if scales is None else scales[index])
            else:
                shape = self.arch.blocks[index]
                x = shortcut(x, shape.stride, shape.out_channels - shape.in_channels)
        return self.head(x)

    def draw_gates(self, generator: torch.Generator) -> tuple[bool, ...]:
        """One gate per block for one mini-batch, open with the block's survival probability."""
        draws = torch.rand(len(self.survival), generator=generator).tolist()
        return tuple(draw < p for draw, p in zip(draws, self.survival, strict=True))

    def scales(self, scaling: Scaling) -> tuple[float, ...]:
        """The factor of each kept block's branch at inference.

        ``survival``: p_l (Huang et al., equation 5); ``none``: 1; ``inverse``: 1 / p_l.
        """
        if scaling == "none":
            return (1.0,) * len(self.survival)
        if scaling == "survival":
            return self.survival
        return tuple(1 / p for p in self.survival)


class StaticResNet(nn.Module):
    """What a mask leaves of a ResNet: a plain network without gates, ready to be exported.

    Parameters keep the names that they have in the parent (``blocks.4.conv1.weight``), so that many
    configurations can point at one archive of weights.
    """

    def __init__(self, net: ResNet, mask: Mask, scaling: Scaling) -> None:
        super().__init__()
        self.arch, self.mask = net.arch, mask
        self.stem_conv, self.stem_bn = copy.deepcopy(net.stem_conv), copy.deepcopy(net.stem_bn)
        self.blocks = nn.ModuleDict({str(i): copy.deepcopy(net.blocks[i]) for i in mask.kept})
        self.classifier = copy.deepcopy(net.classifier)
        self.scaling_factors = net.scales(scaling)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, classes) of normalised images (N, C, H, W)."""
        x = functional.relu(self.stem_bn(self.stem_conv(x)))
        for shape in self.arch.blocks:
            if str(shape.index) in self.blocks:
                x = self.blocks[str(shape.index)](x, self.scaling_factors[shape.index])
            else:
                x = shortcut(x, shape.stride, shape.out_channels - shape.in_channels)
        return self.classifier(x.mean(dim=(2, 3)))


def extract(net: ResNet, mask: Mask, scaling: Scaling) -> StaticResNet:
    """A new static network in evaluation mode; ``net`` is left as it is."""
    if mask.n != net.arch.n_blocks:
        raise ValueError(f"mask {mask} has {mask.n} blocks, the network has {net.arch.n_blocks}")
    return StaticResNet(net, mask, scaling)
