"""Training of one network: deterministic given the seed, resumable at every epoch.

All randomness of an epoch comes from a generator seeded by the training seed and the epoch's number, so
that a resumed run draws what an uninterrupted one draws.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from depthdial.arch import Architecture
from depthdial.config.networks import Survival
from depthdial.config.training import Recipe
from depthdial.errors import ConfigError
from depthdial.images import ImagesInfo, Split
from depthdial.network import ResNet
from depthdial.train.augment import random_crop, random_flip
from depthdial.train.checkpoint import load_checkpoint, save_checkpoint
from depthdial.train.schedule import learning_rate_factor
from depthdial.train.sensitivity import handed_out, sensitivities
from depthdial.train.steps import backward, sandwich_gates, sandwich_step

logger = logging.getLogger(__name__)


def training_device(recipe: Recipe) -> torch.device:
    """The device that the recipe names. Raises ConfigError if this machine does not have it."""
    device = torch.device(recipe.device)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(
            f"recipes, {recipe.name}.device: {recipe.device} is not on this machine, which has "
            f"{torch.cuda.device_count()} CUDA devices; set device: cpu or run the job where the GPU is"
        )
    return device


def train(
    arch: Architecture,
    survival: Survival | None,
    recipe: Recipe,
    seed: int,
    info: ImagesInfo,
    splits: tuple[Split, Split],
    checkpoint: Path,
    key: str,
) -> tuple[ResNet, list[dict[str, Any]]]:
    """Train on the first of ``splits``, watch accuracy on the second; return the network and its history.

    ``checkpoint`` is written after every epoch and taken up again if it was made under the same ``key``,
    a text that says what the result depends on. The history has a row per epoch: epoch, learning_rate,
    loss, seconds, open_share (branches executed per step, as a share of all; sandwich steps can exceed 1),
    validation_accuracy (None between validations).
    """
    device = training_device(recipe)
    torch.manual_seed(_seed(seed, "initialisation", 0))
    net = ResNet(arch, survival.probabilities(arch.n_blocks) if survival else None).to(device)
    if recipe.channels_last:
        net = net.to(memory_format=torch.channels_last)
    optimiser = _optimiser(net, recipe)
    history = load_checkpoint(checkpoint, net, optimiser, key)
    batches = _Batches(splits[0], info, recipe, device)
    for epoch in range(len(history), recipe.epochs):
        if survival and survival.shape == "sensitivity" and epoch == recipe.epochs // 4:
            net.survival = handed_out(net.survival, sensitivities(net, *batches.plain(512)))
        started = time.perf_counter()
        loss, open_share = _epoch(net, optimiser, batches, recipe, seed, epoch)
        seconds = time.perf_counter() - started
        if not math.isfinite(loss):
            raise FloatingPointError(f"the loss became {loss} in epoch {epoch + 1}; lower the learning rate")
        last = epoch + 1 == recipe.epochs
        accuracy = None
        if last or (epoch + 1) % recipe.validate_every == 0:
            accuracy = validate(net, info, splits[1], device)
        history.append(
            {
                "epoch": epoch + 1,
                "learning_rate": optimiser.param_groups[0]["lr"],
                "loss": loss,
                "seconds": seconds,
                "open_share": open_share,
                "validation_accuracy": accuracy,
            }
        )
        logger.info(
            "epoch %d of %d: loss %.4f, %.2f s%s", epoch + 1, recipe.epochs, loss, seconds,
            "" if accuracy is None else f", validation accuracy {accuracy:.4f}",
        )  # fmt: skip
        save_checkpoint(checkpoint, net, optimiser, key, history)
    return net.cpu().eval(), history


def _optimiser(net: nn.Module, recipe: Recipe) -> torch.optim.SGD:
    """SGD with Nesterov momentum; vectors (biases, BatchNorm) are not decayed."""
    matrices = [p for p in net.parameters() if p.ndim > 1]
    vectors = [p for p in net.parameters() if p.ndim <= 1]
    groups = [
        {"params": matrices, "weight_decay": recipe.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=recipe.momentum, nesterov=recipe.momentum > 0)


class _Batches:
    """The training split as shuffled, augmented mini-batches; the last incomplete one is left out."""

    def __init__(self, split: Split, info: ImagesInfo, recipe: Recipe, device: torch.device) -> None:
        self.images = torch.from_numpy(info.normalise(split.images)).to(device)
        self.labels = torch.from_numpy(split.labels).to(device)
        self.recipe = recipe
        self.size = min(recipe.batch_size, len(split))
        self.count = len(split) // self.size

    def plain(self, count: int) -> tuple[Tensor, Tensor]:
        """The first images as they are, and their labels."""
        return self.images[:count], self.labels[:count]

    def shuffled(self, generator: torch.Generator, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (images, labels) of one epoch, at the resolution of its time."""
        shares = self.recipe.resolutions
        size = self.images.shape[-1]
        side = max(4, round(size * shares[epoch * len(shares) // self.recipe.epochs] / 4) * 4)
        order = torch.randperm(len(self.labels), generator=generator).to(self.labels.device)
        for step in range(self.count):
            chosen = order[step * self.size : (step + 1) * self.size]
            images = self.images[chosen]
            if self.recipe.crop_padding:
                images = random_crop(images, self.recipe.crop_padding, generator)
            if self.recipe.horizontal_flip:
                images = random_flip(images, generator)
            if side != size:
                images = functional.interpolate(images, (side, side), mode="bilinear", antialias=True)
            if self.recipe.channels_last:
                images = images.contiguous(memory_format=torch.channels_last)
            yield images, self.labels[chosen]


def _epoch(
    net: ResNet, optimiser: torch.optim.Optimizer, batches: _Batches, recipe: Recipe, seed: int, epoch: int
) -> tuple[float, float]:
    """One pass; returns the mean loss and the share of residual branches that were executed."""
    generator = torch.Generator().manual_seed(_seed(seed, "epoch", epoch))
    net.train()
    total, opened = torch.zeros((), device=batches.labels.device), 0
    for step, (images, labels) in enumerate(batches.shuffled(generator, epoch)):
        progress = (epoch + step / batches.count) / recipe.epochs
        for group in optimiser.param_groups:
            group["lr"] = recipe.learning_rate * learning_rate_factor(recipe.schedule, progress)
        # Without gradients a closed block is left alone by the optimiser: no decay, no momentum.
        optimiser.zero_grad(set_to_none=True)
        if recipe.sandwich and step % recipe.sandwich.every == 0:
            gates = sandwich_gates(net, recipe.sandwich, generator)
            loss = sandwich_step(net, images, labels, gates, recipe)
        else:
            gates = [net.draw_gates(generator)]
            loss = backward(net, images, labels, gates[0], recipe)[0]
        optimiser.step()
        opened += sum(map(sum, gates))
        total += loss
    return float(total) / batches.count, opened / (batches.count * len(net.blocks))


@torch.no_grad()
def validate(net: ResNet, info: ImagesInfo, split: Split, device: torch.device, batch: int = 512) -> float:
    """Accuracy in [0, 1] of the full network in evaluation mode, its branches scaled by survival."""
    net.eval()
    correct = 0
    for start in range(0, len(split), batch):
        part = slice(start, start + batch)
        images: Tensor = torch.from_numpy(info.normalise(split.images[part])).to(device)
        labels = torch.from_numpy(split.labels[part]).to(device)
        correct += int((net(images, scales=net.scales("survival")).argmax(1) == labels).sum())
    return correct / len(split)


def _seed(seed: int, purpose: str, index: int) -> int:
    """Independent streams for each purpose, the same on every machine."""
    text = json.dumps([seed, purpose, index])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big")
