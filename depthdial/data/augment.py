"""Augmentation of a mini-batch, drawn from an explicit generator."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def sent(drawn: Tensor, device: torch.device) -> Tensor:
    """What was drawn by the processor, on ``device``, without waiting until a GPU has done what it was told before."""
    return drawn.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else drawn.to(device)


def random_crop(images: Tensor, padding: int, generator: torch.Generator) -> Tensor:
    """Shift each image (N, C, H, W) by up to ``padding`` pixels in both directions, zeros coming in."""
    count, _, height, width = images.shape
    padded = functional.pad(images, (padding,) * 4)
    top, left = torch.randint(0, 2 * padding + 1, (2, count), generator=generator)
    rows = sent(top[:, None] + torch.arange(height), images.device)
    columns = sent(left[:, None] + torch.arange(width), images.device)
    index = torch.arange(count, device=images.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[index, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def random_flip(images: Tensor, generator: torch.Generator) -> Tensor:
    """Mirror each image (N, C, H, W) left to right with probability one half."""
    flip = torch.rand(len(images), generator=generator) < 0.5
    return torch.where(sent(flip, images.device)[:, None, None, None], images.flip(3), images)


def augmented(images: Tensor, padding: int, mirrored: bool, generator: torch.Generator) -> Tensor:
    """Images (N, C, H, W) as a recipe shows them: shifted by up to ``padding`` pixels, mirrored if it says so."""
    if padding:
        images = random_crop(images, padding, generator)
    return random_flip(images, generator) if mirrored else images
