"""How weights lie in the archive: once, as kernels read them, whatever the target."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from depthdial.deploy.graph.convolution import BLOCK
from depthdial.deploy.graph.nodes import Tensor

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
