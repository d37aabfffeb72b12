"""Survival probabilities handed out by measured sensitivity."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from depthdial.networks.dial import Dial


@torch.no_grad()
def sensitivities(net: Dial, images: Tensor, labels: Tensor) -> list[float]:
    """Rise of the loss on ``images`` (N, C, H, W) when each block alone is closed.

    BatchNorm takes the statistics of the images themselves; the network is left as it is.
    """
    probe = copy.deepcopy(net).train()
    whole = _loss_without(probe, images, labels, ())
    return [_loss_without(probe, images, labels, (block,)) - whole for block in range(net.description.n_units)]


@torch.no_grad()
def greedy_order(net: Dial, images: Tensor, labels: Tensor) -> tuple[int, ...]:
    """Blocks in the order in which they are given up, each the one without which the loss on ``images`` (N, C, H, W)
    is least then: backward elimination, n (n + 1) / 2 passes.

    BatchNorm takes the statistics of the images themselves; the network is left as it is.
    """
    probe = copy.deepcopy(net).train()
    left = set(range(net.description.n_units))
    given_up: list[int] = []
    while left:
        losses = {block: _loss_without(probe, images, labels, (*given_up, block)) for block in sorted(left)}
        given_up.append(min(losses, key=losses.__getitem__))
        left.remove(given_up[-1])
    return tuple(given_up)


def _loss_without(net: Dial, images: Tensor, labels: Tensor, closed: Sequence[int]) -> float:
    gates = [index not in closed for index in range(net.description.n_units)]
    return float(functional.cross_entropy(net(images, gates).float(), labels))


def survival_by_sensitivity(survival: Sequence[float], sensitivity: Sequence[float]) -> tuple[float, ...]:
    """The same probabilities, the largest given to the most sensitive block; ties go by position."""
    order = sorted(range(len(sensitivity)), key=lambda block: (-sensitivity[block], block))
    given = dict(zip(order, sorted(survival, reverse=True), strict=True))
    return tuple(given[block] for block in range(len(given)))
