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
    n = probe.description.n_units

    def loss(closed: int | None) -> float:
        gates = [index != closed for index in range(n)]
        return float(functional.cross_entropy(probe(images, gates).float(), labels))

    whole = loss(None)
    return [loss(block) - whole for block in range(n)]


def survival_by_sensitivity(survival: Sequence[float], sensitivity: Sequence[float]) -> tuple[float, ...]:
    """The same probabilities, the largest given to the most sensitive block; ties go by position."""
    order = sorted(range(len(sensitivity)), key=lambda block: (-sensitivity[block], block))
    given = dict(zip(order, sorted(survival, reverse=True), strict=True))
    return tuple(given[block] for block in range(len(given)))
