"""Fine-tuning of a trained network on the configurations that were chosen from it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import torch

from depthdial.config.finetune import Finetune
from depthdial.config.training import Recipe, Sandwich
from depthdial.data.images import ImagesInfo, Split
from depthdial.networks.dial import Dial, Scaling
from depthdial.networks.masks import Mask
from depthdial.runs.progress import report_step
from depthdial.train.batches import Batches, stream_seed
from depthdial.train.checkpoint import load_checkpoint, save_checkpoint
from depthdial.train.loop import make_optimiser, training_device
from depthdial.train.steps import sandwich_step

logger = logging.getLogger(__name__)


def finetune(
    net: Dial,
    masks: Sequence[Mask],
    scaling: Scaling,
    settings: Finetune,
    recipe: Recipe,
    seed: int,
    info: ImagesInfo,
    split: Split,
    checkpoint: Path,
    key: str,
) -> Dial:
    """Train ``net`` further on ``masks``, the full one first; resumes at every epoch as `train` does.

    Every step trains the full network and one other mask, drawn anew, on the same images; the other learns from
    the full one's outputs (Yu and Huang 2019, section 3.3). Branches are scaled as they will be at inference.
    """
    device = training_device(recipe)
    recipe = recipe.model_copy(update={"learning_rate": settings.learning_rate, "sandwich": Sandwich(distil=True)})
    net = net.to(device)
    if recipe.channels_last:
        net = net.to(memory_format=torch.channels_last)
    gates = [tuple(bit == "1" for bit in mask.bits) for mask in masks]
    optimiser = make_optimiser(net, recipe)
    history = load_checkpoint(checkpoint, net, optimiser, key)
    batches = Batches(split, info, recipe, device)
    for epoch in range(len(history), settings.epochs):
        generator = torch.Generator().manual_seed(stream_seed(seed, "finetune", epoch))
        net.train()
        total = torch.zeros((), device=device)
        for step, (images, labels) in enumerate(batches.shuffled(generator, info.shape[-1])):
            progress = (epoch + step / batches.count) / settings.epochs
            for group in optimiser.param_groups:
                group["lr"] = settings.learning_rate * (1 - progress)
            others = [int(torch.randint(1, len(gates), (), generator=generator))] if len(gates) > 1 else []
            chosen = [gates[0], *(gates[index] for index in others)]
            optimiser.zero_grad(set_to_none=True)
            total += sandwich_step(net, images, labels, chosen, recipe, net.scales(scaling))
            optimiser.step()
        history.append({"epoch": epoch + 1, "loss": float(total) / batches.count})
        logger.info("epoch %d of %d: loss %.4f", epoch + 1, settings.epochs, history[-1]["loss"])
        save_checkpoint(checkpoint, net, optimiser, key, history)
        report_step("epoch", epoch + 1, settings.epochs)
    return net.cpu().eval()
