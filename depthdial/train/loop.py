"""Training of one network: deterministic given the seed, resumable at every epoch.

All randomness of an epoch comes from a generator seeded by the training seed and the epoch's number, so
that a resumed run draws what an uninterrupted one draws.
"""

from __future__ import annotations

import copy
import logging
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from depthdial.config.networks import Survival
from depthdial.config.training import Recipe
from depthdial.data.images import ImagesInfo, Split
from depthdial.data.tensors import Images
from depthdial.errors import ConfigError
from depthdial.networks.adopt import fit
from depthdial.networks.build import dial
from depthdial.networks.description import Description
from depthdial.networks.dial import Dial, Scaling
from depthdial.networks.masks import Mask
from depthdial.runs.progress import report_step
from depthdial.runs.torch_process import warn_of_emulation
from depthdial.train.batches import Batches, stream_seed
from depthdial.train.checkpoint import load_checkpoint, save_checkpoint
from depthdial.train.learning_rate import learning_rate_factor
from depthdial.train.sensitivity import greedy_order, sensitivities, survival_by_sensitivity
from depthdial.train.steps import accumulated, sandwich_gates

logger = logging.getLogger(__name__)


HISTORY = (
    "epoch",
    "learning_rate",
    "loss",
    "seconds",
    "processor_seconds",
    "side",
    "open_share",
    "mmacs",
    "validation_accuracy",
)
"""Columns of the history of a training."""
VALIDATED_PIXELS = 1 << 21
"""Of images that are validated together: 512 of 64 x 64, 41 of 224 x 224, which would take gigabytes otherwise."""


def training_device(recipe: Recipe) -> torch.device:
    """The device that the recipe names. Raises ConfigError if this machine does not have it."""
    if recipe.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(recipe.device)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(
            f"recipes, {recipe.name}.device: {recipe.device} is not on this machine, which has "
            f"{torch.cuda.device_count()} CUDA devices; set device: cpu or run the job where the GPU is"
        )
    return device


def train(
    network: Description,
    survival: Survival | None,
    recipe: Recipe,
    seed: int,
    info: ImagesInfo,
    splits: tuple[Split, Split],
    checkpoint: Path,
    key: str,
    start: Mapping[str, Tensor] | None = None,
    anew: Sequence[str] = (),
) -> tuple[Dial, list[dict[str, Any]]]:
    """Train on the first of ``splits``, watch accuracy on the second; return the network and its history.

    ``checkpoint`` is written after every epoch and taken up again if it was made under the same ``key``,
    a text that says what the result depends on. The history has a row per epoch: epoch, learning_rate,
    loss, seconds, processor_seconds, side (of the images, pixels), open_share (branches executed per step,
    as a share of all; sandwich steps can exceed 1), mmacs (millions of multiply-accumulates per image and
    step, forward only, a teacher's pass too), validation_accuracy (None between validations). ``start`` are weights
    to begin with, but for those that match ``anew``.
    """
    device = training_device(recipe)
    warn_of_emulation(recipe.precision, device.type)
    torch.manual_seed(stream_seed(seed, "initialisation", 0))
    net = dial(network, survival.probabilities(network.n_units) if survival else None)
    if start is not None:
        fit(net, start, anew)
    net = net.to(device)
    if recipe.channels_last:
        net = net.to(memory_format=torch.channels_last)
    taught = recipe.sandwich is not None and recipe.sandwich.distil == "start"
    teacher = copy.deepcopy(net) if taught else None
    batches = Batches(splits[0], info, recipe, device)
    greedy = recipe.sandwich is not None and recipe.sandwich.draw == "greedy"
    order = greedy_order(net, *batches.plain(512)) if greedy else ()
    optimiser = make_optimiser(net, recipe)
    history = load_checkpoint(checkpoint, net, optimiser, key)
    for epoch in range(len(history), recipe.epochs):
        if survival and survival.shape == "sensitivity" and epoch == recipe.epochs // 4:
            net.survival = survival_by_sensitivity(net.survival, sensitivities(net, *batches.plain(512)))
        row = _epoch(net, teacher, order, optimiser, batches, recipe, seed, epoch)
        if not math.isfinite(row["loss"]):
            raise FloatingPointError(f"the loss became {row['loss']} in epoch {epoch + 1}; lower the learning rate")
        accuracy = None
        if epoch + 1 == recipe.epochs or (epoch + 1) % recipe.validate_every == 0:
            # Sandwich steps train the full network itself, Stochastic Depth an average of thinner ones.
            scaled = network.scalable and not recipe.sandwich
            accuracy = validate(net, info, splits[1], device, "survival" if scaled else "none")
        rate = optimiser.param_groups[0]["lr"]
        history.append({"epoch": epoch + 1, "learning_rate": rate, **row, "validation_accuracy": accuracy})
        logger.info(
            "epoch %d of %d: loss %.4f, %.2f s%s", epoch + 1, recipe.epochs, row["loss"], row["seconds"],
            "" if accuracy is None else f", validation accuracy {accuracy:.4f}",
        )  # fmt: skip
        save_checkpoint(checkpoint, net, optimiser, key, history)
        report_step("epoch", epoch + 1, recipe.epochs)
    return net.cpu().eval(), history


def make_optimiser(net: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimiser; vectors (biases, norms, factors of channels, tokens) are not decayed."""
    vectors = [p for p in net.parameters() if p.ndim <= 1 or p.numel() == max(p.shape)]
    known = set(map(id, vectors))
    groups = [
        {"params": [p for p in net.parameters() if id(p) not in known], "weight_decay": recipe.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    if recipe.optimiser == "adamw":
        return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(recipe.momentum, 0.999))
    return torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=recipe.momentum, nesterov=recipe.momentum > 0)


def _epoch(
    net: Dial,
    teacher: Dial | None,
    order: Sequence[int],
    optimiser: torch.optim.Optimizer,
    batches: Batches,
    recipe: Recipe,
    seed: int,
    epoch: int,
) -> dict[str, float]:
    """One pass over the images; what it cost and the mean loss, as columns of the history."""
    generator = torch.Generator().manual_seed(stream_seed(seed, "epoch", epoch))
    side = batches.side(epoch)
    started, processor = time.perf_counter(), time.process_time()
    net.train()
    total, executed, taught = torch.zeros((), device=batches.labels.device), [], []
    for step, (images, labels) in enumerate(batches.shuffled(generator, side)):
        progress = (epoch + step / batches.count) / recipe.epochs
        for group in optimiser.param_groups:
            group["lr"] = recipe.learning_rate * learning_rate_factor(recipe.schedule, progress, recipe.warm_up)
        # Without gradients a closed block is left alone by the optimiser: no decay, no momentum.
        optimiser.zero_grad(set_to_none=True)
        if recipe.sandwich and progress >= recipe.sandwich.start and step % recipe.sandwich.every == 0:
            gates = sandwich_gates(net, recipe.sandwich, generator, order)
        else:
            gates = [net.draw_gates(generator)]
        total += accumulated(net, images, labels, gates, recipe, teacher)
        optimiser.step()
        executed += gates
        if teacher is not None and len(gates) > 1:
            taught.append(gates[0])  # the teacher computes as much as the full network
    return {
        "loss": float(total) / batches.count,
        "seconds": time.perf_counter() - started,
        "processor_seconds": time.process_time() - processor,
        "side": side,
        "open_share": sum(map(sum, executed)) / (batches.count * net.description.n_units),
        "mmacs": sum(_macs(net.description, gates, side) for gates in [*executed, *taught]) / batches.count / 1e6,
    }


def _macs(network: Description, gates: Sequence[bool], side: int) -> float:
    """Multiply-accumulates of one image forward; those of the convolutions go with the area of the image."""
    return network.macs(Mask("".join("01"[gate] for gate in gates))) * (side / network.input_shape[1]) ** 2


@torch.no_grad()
def validate(net: Dial, info: ImagesInfo, split: Split, device: torch.device, scaling: Scaling) -> float:
    """Accuracy in [0, 1] of the full network in evaluation mode."""
    net.eval()
    _, height, width = net.description.input_shape
    batch = max(1, min(512, VALIDATED_PIXELS // (height * width)))
    images, labels = Images(split, info, device), torch.from_numpy(split.labels).to(device)
    correct = 0
    for start in range(0, len(split), batch):
        part = slice(start, start + batch)
        correct += int((net(images[part], scales=net.scales(scaling)).argmax(1) == labels[part]).sum())
    return correct / len(split)
