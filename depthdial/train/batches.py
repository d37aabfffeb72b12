"""Mini-batches of the training split, and the seeds of what is drawn."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional

from depthdial.config.training import Recipe
from depthdial.data.augment import augmented
from depthdial.data.images import ImagesInfo, Split
from depthdial.data.tensors import Images


class Batches:
    """The training split as shuffled, augmented mini-batches; the last incomplete one is left out."""

    def __init__(self, split: Split, info: ImagesInfo, recipe: Recipe, device: torch.device) -> None:
        self.images = Images(split, info, device)
        self.labels = torch.from_numpy(split.labels).to(device)
        self.recipe = recipe
        self.size = min(recipe.batch_size, len(split))
        self.count = len(split) // self.size

    def plain(self, count: int) -> tuple[Tensor, Tensor]:
        """Images as they are, and their labels: always the same, drawn at random since folders are sorted by class."""
        drawn = torch.randperm(len(self.labels), generator=torch.Generator().manual_seed(0))[:count]
        return self.images[drawn], self.labels[drawn]

    def side(self, epoch: int) -> int:
        """Side in pixels of the images of an epoch."""
        shares = self.recipe.resolutions
        return max(4, round(self.images.shape[-1] * shares[epoch * len(shares) // self.recipe.epochs] / 4) * 4)

    def shuffled(self, generator: torch.Generator, side: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (images, labels) of one epoch, images made ``side`` pixels wide and high."""
        order = torch.randperm(len(self.labels), generator=generator).to(self.labels.device)
        for step in range(self.count):
            chosen = order[step * self.size : (step + 1) * self.size]
            images = augmented(self.images[chosen], self.recipe.crop_padding, self.recipe.horizontal_flip, generator)
            if side != images.shape[-1]:
                images = functional.interpolate(images, (side, side), mode="bilinear", antialias=True)
            if self.recipe.channels_last:
                images = images.contiguous(memory_format=torch.channels_last)
            yield images, self.labels[chosen]


def stream_seed(seed: int, purpose: str, index: int) -> int:
    """Independent streams for each purpose, the same on every machine."""
    text = json.dumps([seed, purpose, index])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big")
