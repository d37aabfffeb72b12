"""The CIFAR ResNets of He et al. (2016, section 4.2), described without torch.

Depth 6m+2 means a 3x3 stem convolution, three stages of m blocks of two 3x3 convolutions each, global
average pooling and a linear classifier. Shortcuts are parameter-free (option A: subsampling and
zero-padded channels), so every block can be skipped.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from depthdial.networks.masks import Mask


@dataclass(frozen=True)
class BlockShape:
    """Shape of one residual block; ``size`` is the height and width of its output in pixels."""

    index: int
    stage: int
    in_channels: int
    out_channels: int
    stride: int
    size: int

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the block's two convolutions for one image."""
        pixels = self.size * self.size
        return 9 * self.out_channels * pixels * (self.in_channels + self.out_channels)


@dataclass(frozen=True)
class Architecture:
    """A member of the family: depth 6m+2, channels of the first stage, input and output sizes."""

    depth: int
    width: int
    in_channels: int
    image_size: int
    classes: int

    def __post_init__(self) -> None:
        if self.depth < 8 or (self.depth - 2) % 6:
            raise ValueError(f"depth must be 6m+2 with m >= 1 (8, 14, 20, ...), got {self.depth}")
        if self.image_size % 4:
            raise ValueError(f"image size must be a multiple of 4, got {self.image_size}")
        if min(self.width, self.in_channels, self.classes) < 1:
            raise ValueError("width, in_channels and classes must be positive")

    @property
    def n_blocks(self) -> int:
        """Number of residual blocks, 3m; all of them can be skipped."""
        return (self.depth - 2) // 2

    @cached_property
    def blocks(self) -> tuple[BlockShape, ...]:
        """The blocks in forward order."""
        per_stage = self.n_blocks // 3
        shapes = []
        channels, size = self.width, self.image_size
        for index in range(self.n_blocks):
            stage, place = divmod(index, per_stage)
            stride = 2 if stage > 0 and place == 0 else 1
            out_channels, size = channels * stride, size // stride
            shapes.append(BlockShape(index, stage, channels, out_channels, stride, size))
            channels = out_channels
        return tuple(shapes)

    @property
    def fixed_macs(self) -> int:
        """Multiply-accumulates of stem and classifier, which no mask can skip."""
        stem = 9 * self.in_channels * self.width * self.image_size**2
        return stem + self.blocks[-1].out_channels * self.classes

    def macs(self, mask: Mask) -> int:
        """Multiply-accumulates of one image through the blocks that ``mask`` keeps."""
        if mask.n != self.n_blocks:
            raise ValueError(f"mask {mask} has {mask.n} blocks, the network has {self.n_blocks}")
        return self.fixed_macs + sum(self.blocks[index].macs for index in mask.kept)

    @property
    def full_macs(self) -> int:
        """Multiply-accumulates of the full network."""
        return self.macs(Mask.full(self.n_blocks))

    def to_dict(self) -> dict[str, int]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Architecture:
        """The inverse of ``to_dict``."""
        return cls(**{name: int(value) for name, value in values.items()})
