"""What one optimiser step learns from: one network, or a sandwich of several on the same images."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from depthdial.config.training import Recipe, Sandwich
from depthdial.networks.dial import Dial
from depthdial.networks.masks import Mask


def sandwich_gates(
    net: Dial, sandwich: Sandwich, generator: torch.Generator, order: Sequence[int] = ()
) -> list[tuple[bool, ...]]:
    """Gates of the networks of one sandwich step: the full one, the smallest, random ones.

    ``order`` is that in which blocks are given up where these are drawn ``greedy``.
    """
    n = net.description.n_units
    if sandwich.draw == "greedy":
        fewest = min(sandwich.smallest, n)
        drawn = torch.randint(fewest, n + 1, (sandwich.random,), generator=generator).tolist()
        closed = (set(order[: n - blocks]) for blocks in (n, fewest, *drawn))
        return [tuple(index not in each for index in range(n)) for each in closed]
    kept = {index * n // sandwich.smallest for index in range(sandwich.smallest)}
    smallest = tuple(index in kept for index in range(n))
    if sandwich.draw == "survival":
        return [(True,) * n, smallest, *(net.draw_gates(generator) for _ in range(sandwich.random))]
    stages = net.description.stages
    ends = list(itertools.accumulate(stages, initial=0))
    least = [sum(smallest[start:end]) for start, end in itertools.pairwise(ends)]
    depths = (least, *(nested_depths(stages, least, generator) for _ in range(sandwich.random)))
    return [(True,) * n, *(Mask.nested(stages, each).gates for each in depths)]


def nested_depths(stages: Sequence[int], least: Sequence[int], generator: torch.Generator) -> list[int]:
    """Blocks to keep of every stage, from the smallest network's (at least one) to all with equal probability."""
    return [
        int(torch.randint(max(1, low), units + 1, (), generator=generator))
        for units, low in zip(stages, least, strict=True)
    ]


def accumulated(
    net: Dial,
    images: Tensor,
    labels: Tensor,
    gates: Sequence[Sequence[bool]],
    recipe: Recipe,
    teacher: Dial | None = None,
) -> Tensor:
    """Gradients of a mini-batch, taken in ``recipe.accumulate`` parts; returns the loss of the first network.

    Several ``gates`` are a sandwich, which may have a ``teacher``.
    """
    parts = list(zip(images.chunk(recipe.accumulate), labels.chunk(recipe.accumulate), strict=True))
    loss = torch.zeros((), device=labels.device)
    for inputs, targets in parts:
        share = len(targets) / len(labels)
        if len(gates) > 1:
            loss += share * sandwich_step(net, inputs, targets, gates, recipe, share=share, teacher=teacher)
        else:
            loss += share * backward(net, inputs, targets, gates[0], recipe, share=share)[0]
    return loss


def sandwich_step(
    net: Dial,
    images: Tensor,
    labels: Tensor,
    gates: Sequence[Sequence[bool]],
    recipe: Recipe,
    scales: Sequence[float] | None = None,
    share: float = 1.0,
    teacher: Dial | None = None,
) -> Tensor:
    """Gradients of several networks on the same images, summed; returns the loss of the first, the full one.

    All but that one learn from the outputs of ``teacher``; without it from those of the full one, or the labels.
    """
    assert recipe.sandwich is not None
    loss, logits = backward(net, images, labels, gates[0], recipe, scales, share)
    if teacher is not None:
        logits = _taught(teacher, images, recipe)
    targets = functional.softmax(logits, dim=1) if recipe.sandwich.distil else labels
    with _statistics_kept(net):
        for each in gates[1:]:
            backward(net, images, targets, each, recipe, scales, share)
    return loss


def backward(
    net: Dial,
    images: Tensor,
    targets: Tensor,
    gates: Sequence[bool],
    recipe: Recipe,
    scales: Sequence[float] | None = None,
    share: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Add the gradients of the cross-entropy; ``targets`` are labels (N,) or probabilities (N, classes).

    ``share`` is that of these images in the mini-batch. Returns the loss and the logits (N, classes). Labels are
    smoothed, probabilities are soft already.
    """
    with _arithmetic(recipe, images.device):
        logits = net(images, gates, scales).float()
    smoothing = recipe.label_smoothing if targets.ndim == 1 else 0.0
    loss = functional.cross_entropy(logits, targets, label_smoothing=smoothing)
    (loss if share == 1 else share * loss).backward()
    return loss.detach(), logits.detach()


@torch.no_grad()
def _taught(teacher: Dial, images: Tensor, recipe: Recipe) -> Tensor:
    """Logits (N, classes) of a network that learns no more; like the others it normalises by the batch, whose images
    may be smaller than those that it saw last."""
    teacher.eval()
    for norm in _norms(teacher):
        norm.train()
    with _statistics_kept(teacher), _arithmetic(recipe, images.device):
        logits: Tensor = teacher(images).float()
    return logits


def _norms(net: nn.Module) -> list[_BatchNorm]:
    return [module for module in net.modules() if isinstance(module, _BatchNorm)]


@contextmanager
def _statistics_kept(net: nn.Module) -> Iterator[None]:
    """BatchNorm normalises by the batch, but its running statistics stay those of the full network."""
    norms = _norms(net)
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


def _arithmetic(recipe: Recipe, device: torch.device) -> AbstractContextManager[Any]:
    if recipe.precision == "bfloat16":
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()
