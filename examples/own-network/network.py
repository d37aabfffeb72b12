"""A small network of one's own: two stages of three residual blocks each, with nothing of depthdial in it."""

import torch
from torch import nn


class Block(nn.Module):
    """Depthwise and pointwise convolution around a rectifier, added to the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.spatial = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.expand = nn.Conv2d(channels, 4 * channels, 1)
        self.project = nn.Conv2d(4 * channels, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = torch.relu(self.expand(self.norm(self.spatial(x))))
        return x + self.project(hidden)


def build(classes: int, input_shape: tuple[int, int, int]) -> nn.Module:
    """The function that the configuration names: images of ``input_shape`` to logits of ``classes``."""
    channels, wide = 16, 32
    stem = nn.Sequential(nn.Conv2d(input_shape[0], channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU())
    first = [Block(channels) for _ in range(3)]
    second = [Block(wide) for _ in range(3)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(wide, classes)]
    return nn.Sequential(stem, *first, nn.Conv2d(channels, wide, 2, stride=2), *second, *head)
