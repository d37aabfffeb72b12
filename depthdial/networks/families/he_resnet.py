"""CIFAR ResNets (He et al. 2016, section 4.2) in PyTorch, with shortcuts that any block can be skipped by."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from depthdial.networks.description import Bypass
from depthdial.networks.dial import passed
from depthdial.networks.families.he_shapes import Architecture, BlockShape


class Block(nn.Module):
    """A residual block: ``relu(shortcut + scale * branch)``.

    The input is the output of a rectifier, so what is left of a skipped block is its shortcut alone.
    """

    def __init__(self, shape: BlockShape) -> None:
        super().__init__()
        self.bypass = Bypass(shape.stride, shape.out_channels - shape.in_channels)
        self.conv1 = nn.Conv2d(shape.in_channels, shape.out_channels, 3, shape.stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(shape.out_channels)
        self.conv2 = nn.Conv2d(shape.out_channels, shape.out_channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(shape.out_channels)

    def branch(self, x: Tensor) -> Tensor:
        """The residual function: two convolutions, (N, C_in, H, W) to (N, C_out, H/stride, W/stride)."""
        hidden = functional.relu(self.bn1(self.conv1(x)))
        return self.bn2(self.conv2(hidden))

    def forward(self, x: Tensor, scale: float = 1.0) -> Tensor:
        """The block's output with its branch multiplied by ``scale``."""
        branch = self.branch(x)
        # A product with one is exact and costs a pass over memory, forward and backward.
        return functional.relu(passed(x, self.bypass) + (branch if scale == 1 else scale * branch))


class ResNet(nn.Module):
    """A CIFAR ResNet: normalised images (N, in_channels, image_size, image_size) to logits (N, classes)."""

    def __init__(self, arch: Architecture) -> None:
        super().__init__()
        self.stem_conv = nn.Conv2d(arch.in_channels, arch.width, 3, 1, 1, bias=False)
        self.stem_bn = nn.BatchNorm2d(arch.width)
        self.blocks = nn.ModuleList(Block(shape) for shape in arch.blocks)
        self.classifier = nn.Linear(arch.blocks[-1].out_channels, arch.classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the full network."""
        x = functional.relu(self.stem_bn(self.stem_conv(x)))
        for block in self.blocks:
            x = block(x)
        return self.classifier(x.mean(dim=(2, 3)))
