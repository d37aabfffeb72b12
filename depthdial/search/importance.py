"""Importance of units read off weights and gradients: what the sensitivity ranking was compared with.

All scores are sums over the weights of a unit, its biases and norms left out. Gradients are those of the
cross-entropy on training images, through the full network in evaluation mode.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from depthdial.networks.dial import Dial, Scaling

Groups = Sequence[Sequence[Tensor]]


def unit_weights(net: Dial) -> list[list[Tensor]]:
    """The weights of every unit's convolutions and matrices."""
    units = [net.get_submodule(unit.name) for unit in net.description.units]
    return [[weight for weight in unit.parameters() if weight.ndim > 1] for unit in units]


def l2_norms(groups: Groups) -> list[float]:
    """Euclidean norm of each group of weights."""
    return [sum(float((weight.detach() ** 2).sum()) for weight in group) ** 0.5 for group in groups]


def fisher_information(groups: Groups, losses: Iterable[Tensor]) -> list[float]:
    """Trace of the empirical Fisher matrix of each group: mean over images of the squared gradient's sum.

    ``losses`` yields the negative log-likelihood of the true class, image by image.
    """
    weights = [weight for group in groups for weight in group]
    totals, count = [0.0] * len(groups), 0
    for loss in losses:
        gradients = iter(torch.autograd.grad(loss, weights))
        for index, group in enumerate(groups):
            totals[index] += sum(float((next(gradients) ** 2).sum()) for _ in group)
        count += 1
    return [total / count for total in totals]


def hessian_traces(groups: Groups, loss: Tensor, probes: int, generator: torch.Generator) -> list[float]:
    """Trace of the loss's Hessian in each group, by Hutchinson's estimator with random signs.

    The mean over ``probes`` of v.Hv with v of independent signs; its expectation is the trace, and where the
    Hessian is diagonal every probe gives it exactly.
    """
    weights = [weight for group in groups for weight in group]
    gradients = torch.autograd.grad(loss, weights, create_graph=True)
    totals = [0.0] * len(groups)
    for _ in range(probes):
        signs = [torch.randint(0, 2, w.shape, generator=generator).to(w) * 2 - 1 for w in weights]
        products = torch.autograd.grad(gradients, weights, signs, retain_graph=True)
        traces = iter([float((v * hv).sum()) for v, hv in zip(signs, products, strict=True)])
        for index, group in enumerate(groups):
            totals[index] += sum(next(traces) for _ in group)
    return [total / probes for total in totals]


def cross_entropy(net: Dial, scaling: Scaling, images: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of images through the full network with its own BatchNorm statistics."""
    return functional.cross_entropy(net(images, None, net.scales(scaling)), labels)
