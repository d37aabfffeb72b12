"""How weights and BatchNorm lie in the archives: as kernels read them, whatever the target."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from depthdial.deploy.graph.convolution import BLOCK
from depthdial.deploy.graph.nodes import Graph, Tensor

Array = NDArray[np.float32]


def stored_shape(tensor: Tensor) -> tuple[int, ...]:
    """The shape in which a tensor lies."""
    if tensor.layout == "plain":
        return tensor.shape
    filters = tensor.shape if len(tensor.shape) == 4 else (*tensor.shape, 1, 1)
    outside, inside, high, wide = filters
    if tensor.layout == "depthwise":
        return high * wide, outside
    return tensor.groups * -(-outside // tensor.groups // BLOCK), high, wide * inside, BLOCK


def stored(value: Array, tensor: Tensor) -> Array:
    """A tensor of PyTorch's as it lies: filters in blocks of output channels, filled up with zeros."""
    if tensor.layout == "plain":
        return np.ascontiguousarray(value, np.float32)
    filters = value.reshape(*value.shape, 1, 1) if value.ndim == 2 else value
    outside, inside, high, wide = filters.shape
    if tensor.layout == "depthwise":
        return np.ascontiguousarray(filters.transpose(2, 3, 1, 0).reshape(high * wide, outside), np.float32)
    each = outside // tensor.groups
    blocks = -(-each // BLOCK)
    full = np.zeros((tensor.groups, blocks * BLOCK, inside, high, wide), np.float32)
    full[:, :each] = filters.reshape(tensor.groups, each, inside, high, wide)
    full = full.reshape(tensor.groups * blocks, BLOCK, inside, high, wide)
    return np.ascontiguousarray(full.transpose(0, 3, 4, 2, 1).reshape(stored_shape(tensor)))


def norm_places(graph: Graph) -> tuple[dict[str, int], int]:
    """Where scale and shift of each BatchNorm begin in the one tensor that a configuration has of them, and its floats.

    They follow each other as they are computed, from multiples of 16 on. One buffer of few cache lines, which the
    processor fetches ahead, instead of one for each layer: what a configuration has for itself is cold after a switch.
    """
    places, end = {}, 0
    for node in graph.nodes:
        if node.op == "batchnorm" and (name := node.parameters["norm"]) not in places:
            places[name] = end
            end += -(-2 * graph.normalised[name] // BLOCK) * BLOCK
    return places, end


def stored_norms(own: Mapping[str, Array], graph: Graph) -> Array:
    """That tensor, of scale and shift (2, channels) of each BatchNorm by its name."""
    places, size = norm_places(graph)
    flat = np.zeros(size, np.float32)
    for name, place in places.items():
        flat[place : place + own[name].size] = own[name].ravel()
    return flat
