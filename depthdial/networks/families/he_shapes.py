"""The CIFAR ResNets of He et al. (2016, section 4.2), described without torch.

Depth 6m+2 means a 3x3 stem convolution, three stages of m blocks of two 3x3 convolutions each, global
average pooling and a linear classifier. Shortcuts are parameter-free (option A: subsampling and
zero-padded channels), so every block can be skipped: all of them are units.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from depthdial.networks.description import Bypass, Description, Unit, stages_of

FAMILY = "he_resnet"


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

    def describe(self) -> Description:
        """The network as a chain: stem, blocks with nothing between them, classifier."""
        shapes = [(block.out_channels, block.size) for block in self.blocks]
        stem = 9 * self.in_channels * self.width * self.image_size**2
        between = (0,) * (self.n_blocks - 1)
        return Description(
            family=FAMILY,
            model=f"resnet{self.depth}" + ("" if self.width == 16 else f"-w{self.width}"),
            units=tuple(
                Unit(
                    block.index,
                    f"blocks.{block.index}",
                    stage,
                    block.macs,
                    f"block {block.in_channels}-{block.out_channels}, stride {block.stride}, {block.size} px",
                    4 * block.out_channels * block.size**2,
                    Bypass(block.stride, block.out_channels - block.in_channels),
                )
                for block, stage in zip(self.blocks, stages_of(shapes), strict=True)
            ),
            segments=(stem, *between, self.blocks[-1].out_channels * self.classes),
            input_shape=(self.in_channels, self.image_size, self.image_size),
            classes=self.classes,
            # A block works on its input, what is between its convolutions, and its branch.
            work_bytes=3 * 4 * self.width * self.image_size**2,
            options={"depth": self.depth, "width": self.width},
        )

    def to_dict(self) -> dict[str, int]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Architecture:
        """The inverse of ``to_dict``."""
        return cls(**{name: int(value) for name, value in values.items()})

    @classmethod
    def of(cls, network: Description) -> Architecture:
        """The inverse of ``describe``. Raises ValueError for a network of another family."""
        if network.family != FAMILY:
            raise ValueError(f"{network.model} is of family {network.family}, not one of {FAMILY}")
        channels, size, _ = network.input_shape
        return cls(network.options["depth"], network.options["width"], channels, size, network.classes)
