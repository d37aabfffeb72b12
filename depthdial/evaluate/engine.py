"""Masks evaluated together: masks with a common prefix share the activations of that prefix.

The activations after unit l depend on the first l choices alone, so the masks are walked as a binary
tree. All 2^n masks of n units cost 2^n - 1 evaluations of units per image, where one mask after the other
costs n 2^(n-1). A segment behind unit l runs for 2^(l+1) prefixes of all masks. BatchNorm statistics depend
on the same prefix: the calibration images walk the same tree (``evaluate.norms``).
"""

from __future__ import annotations

import copy
import math
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from depthdial.data.tensors import Images
from depthdial.errors import ConfigError
from depthdial.evaluate.norms import STATISTICS, Norms, Statistics
from depthdial.evaluate.results import Evaluation
from depthdial.networks.dial import Dial, Scaling
from depthdial.networks.masks import Mask
from depthdial.runs.progress import report_step
from depthdial.runs.torch_process import warn_of_emulation

Precision = Literal["float32", "bfloat16"]


@dataclass
class _Node:
    """A prefix: the run of sorted masks ``[low, high)`` that begin with it, and its activations.

    ``parts`` are batches of images; where statistics are taken anew, the first is the calibration images.
    """

    low: int
    high: int
    parts: list[Tensor]
    statistics: Statistics


@dataclass
class _Step:
    """Prefixes of one level whose next unit is to be skipped ("0"), kept ("1") or both ("01")."""

    level: int
    nodes: list[_Node]
    choices: str


@dataclass
class Engine:
    """Evaluates sets of masks of one network.

    ``calibration`` holds normalised training images (N, C, H, W); without them the network's own BatchNorm
    statistics stay. ``blend`` is the share that statistics taken anew have: 1, or less for a mean of both.
    ``memory_bytes`` bounds the activations that are alive at once; images that do not fit
    are taken in further passes, and every pass walks the calibration images again.
    """

    net: Dial
    scaling: Scaling = "survival"
    calibration: Tensor | None = None
    batch_size: int = 512
    precision: Precision = "float32"
    device: str = "cpu"
    memory_bytes: int = 2 << 30
    blend: float = 1.0

    def __post_init__(self) -> None:
        warn_of_emulation(self.precision, self.device)
        self.scales = self.net.scales(self.scaling)
        self.network = self.net.description
        self.net = copy.deepcopy(self.net).eval().to(self.device)
        for unit in self.net.unit_modules:
            for module in unit.modules() if unit is not None else ():
                if isinstance(module, nn.Conv2d):
                    module.to(torch.bfloat16 if self.precision == "bfloat16" else torch.float32)
        self.net.to(memory_format=torch.channels_last)
        self.norms = Norms(self.net, self.blend) if self.calibration is not None else None
        self.fixed = [] if self.calibration is None else [self._place(self.calibration)]

    @property
    def recalibrated(self) -> bool | float:
        """The share of statistics taken anew in those that are used: False, True, or between."""
        if self.norms is None:
            return False
        return True if self.blend == 1 else self.blend

    def evaluate(self, masks: Sequence[Mask], images: Tensor | Images, labels: Tensor) -> Evaluation:
        """Which images each mask classifies rightly: images (N, C, H, W), normalised, labels (N,).

        ``Images`` are normalised when a pass takes them, so that no more of them are floats than it holds. Masks are
        evaluated once each, in the order of their strings.
        """
        ordered = self._ordered(masks)
        packed = np.zeros((len(ordered), (len(labels) + 7) // 8), np.uint8)
        start = seen = 0
        for size in self._passes(len(labels)):
            truth = labels[start : start + size].to(self.device)
            columns = packed[:, start // 8 : (start + size + 7) // 8]
            for nodes, values in self._walk(ordered, images[start : start + size]):
                right = torch.stack([v.argmax(1) == truth for v in values]).cpu().numpy()
                columns[[node.low for node in nodes]] = np.packbits(right, axis=1)
                seen += len(nodes) * size
                report_step("mask", seen // len(labels), len(ordered))
            start += size
        return Evaluation(tuple(ordered), len(labels), packed)

    def logits(self, masks: Sequence[Mask], images: Tensor) -> dict[Mask, Tensor]:
        """The logits (N, classes) of every mask, for few masks and images that fit into memory."""
        ordered = self._ordered(masks)
        found: dict[Mask, Tensor] = {}
        for nodes, values in self._walk(ordered, images):
            found |= {ordered[node.low]: v.cpu() for node, v in zip(nodes, values, strict=True)}
        return found

    def statistics(self, masks: Sequence[Mask]) -> dict[Mask, Statistics]:
        """The BatchNorm statistics of every mask: of its segments and of its kept units."""
        ordered = self._ordered(masks)
        if self.norms is None:
            states = {mask: self.net.extract(mask).state_dict() for mask in ordered}
            return {
                mask: {name: value.cpu() for name, value in state.items() if name.endswith(STATISTICS)}
                for mask, state in states.items()
            }
        found: dict[Mask, Statistics] = {}
        for nodes, _ in self._walk(ordered, torch.zeros(1, *self.network.input_shape)):
            for node in nodes:
                found[ordered[node.low]] = {name: value.cpu() for name, value in node.statistics.items()}
        return found

    def _ordered(self, masks: Sequence[Mask]) -> list[Mask]:
        rising = all(one.bits < other.bits for one, other in pairwise(masks))
        ordered = list(masks) if rising else sorted(set(masks))  # a set of all masks is larger than their activations
        for mask in ordered:
            self.network.require(mask)
        return ordered

    def _place(self, images: Tensor) -> Tensor:
        return images.to(self.device).contiguous(memory_format=torch.channels_last)

    # --- memory ---

    @cached_property
    def live_bytes(self) -> int:
        """Most bytes of activations per image and prefix that are alive at once: image, waiting prefixes, work."""
        image = 4 * math.prod(self.network.input_shape)
        with torch.inference_mode(), self._arithmetic():
            size = self.net.run_segment(0, self._place(torch.zeros(1, *self.network.input_shape))).element_size()
        return image + (self._waiting_bytes() + self.network.work_bytes) * size // 4

    def bound_bytes(self, n_masks: int, n_images: int) -> int:
        """Most bytes that evaluating masks on images of one pass takes: activations, a bit each, and their order."""
        together = n_images + self._n_fixed
        return self.live_bytes * together * self._group(n_images) + n_masks * ((n_images + 7) // 8 + 8)

    def _waiting_bytes(self) -> int:
        """Most bytes, in float32, of the prefixes that wait on the way down for their next unit to be kept.

        A prefix that waits holds the input of its unit. Those that follow share that tensor as long as they skip and
        nothing stands between the units; behind a unit that is kept there is another tensor.
        """
        units = self.network.units
        held, free = -math.inf, 0.0
        for unit, before in zip(units, [units[0], *units], strict=False):
            size = (unit if unit.bypass.identity else before).output_bytes
            skipped, kept = max(held, free + size), max(held, free)
            shared = unit.bypass.identity and self.net.chain.segments[unit.index + 1] is None
            held, free = (skipped, kept) if shared else (-math.inf, max(skipped, kept))
        return int(max(held, free))

    @property
    def _n_fixed(self) -> int:
        return sum(len(part) for part in self.fixed)

    def _passes(self, n_images: int) -> list[int]:
        """Images of each pass: whole bytes of packed bits, so that passes lie side by side."""
        room = self.memory_bytes // self.live_bytes - self._n_fixed
        if room < 8:
            needed = (self._n_fixed + 8) * self.live_bytes
            raise ConfigError(
                f"evaluate: memory_mb: {self.memory_bytes >> 20} MB do not hold {self._n_fixed} calibration "
                f"images of this network; give at least {(needed >> 20) + 1} or lower calibration_images"
            )
        size = room // 8 * 8
        return [min(size, n_images - start) for start in range(0, n_images, size)]

    def _group(self, n_images: int) -> int:
        """Prefixes that share a call of a unit: as many as the batch size and the memory allow."""
        together = n_images + self._n_fixed
        return max(1, min(self.batch_size // together, self.memory_bytes // (self.live_bytes * together)))

    # --- the walk ---

    def _walk(self, masks: list[Mask], images: Tensor) -> Iterator[tuple[list[_Node], list[Tensor]]]:
        """Yield groups of leaves with the logits of ``images``; depth first, skipping first."""
        if not masks:
            return
        batches = list(torch.split(self._place(images), self.batch_size))
        self._n_batches, group = len(batches), self._group(len(images))
        with torch.inference_mode(), self._arithmetic():
            root = _Node(0, len(masks), self.fixed + batches, {})
            stack = [_Step(0, self._segment(0, [root]), "01")]
            while stack:
                step = stack.pop()
                if step.level == len(self.scales):
                    leaves = self._head(step.nodes)
                    yield leaves, [torch.cat(leaf.parts[-len(batches) :]) for leaf in leaves]
                    continue
                skipped, kept = _choose(step, masks)
                if skipped and kept and len(skipped) + len(kept) > group:
                    stack += [_Step(step.level, step.nodes, choice) for choice in "10"]
                    continue
                children = self._skip(step.level, skipped) + self._keep(step.level, kept)
                if step.level + 1 < len(self.scales):
                    children = self._segment(step.level + 1, children)
                stack.append(_Step(step.level + 1, children, "01"))

    def _skip(self, level: int, nodes: list[_Node]) -> list[_Node]:
        return [
            _Node(node.low, node.high, [self.net.run_bypass(level, x) for x in node.parts], node.statistics)
            for node in nodes
        ]

    def _keep(self, level: int, nodes: list[_Node]) -> list[_Node]:
        return self._apply(nodes, lambda x: self.net.run_unit(level, x, self.scales[level]))

    def _segment(self, level: int, nodes: list[_Node]) -> list[_Node]:
        if self.net.chain.segments[level] is None:
            return nodes
        return self._apply(nodes, lambda x: self.net.run_segment(level, x))

    def _head(self, nodes: list[_Node]) -> list[_Node]:
        """The last segment, always in float32. Calibration images pass it if it takes statistics from them."""
        segment = self.net.chain.segments[-1]
        if segment is None or self.norms is None or not self.norms.inside(segment.modules):
            nodes = [_Node(n.low, n.high, n.parts[len(self.fixed) :], n.statistics) for n in nodes]
        with torch.autocast(torch.device(self.device).type, enabled=False):
            return self._apply(nodes, lambda x: self.net.run_segment(len(self.scales), x.float()))

    def _apply(self, nodes: list[_Node], function: Callable[[Tensor], Tensor]) -> list[_Node]:
        """The nodes with ``function`` applied to their parts; batches of the same images share a call."""
        if not nodes:
            return []
        columns = list(zip(*(node.parts for node in nodes), strict=True))
        if self.norms is None:
            return _children(nodes, [_together(function, column) for column in columns], [{}] * len(nodes))
        outputs = []
        with self.norms.of(len(nodes)) as found:
            for index, column in enumerate(columns):
                # Leaves whose last segment needs no statistics have left the calibration images behind.
                with self.norms.calibrating(index < len(columns) - self._n_batches):
                    outputs.append(_together(function, column))
        return _children(nodes, outputs, found)

    def _arithmetic(self) -> AbstractContextManager[Any]:
        """On CUDA float32 means float32, and the same call gives the same result; with bfloat16 autocast."""
        stack = ExitStack()
        stack.enter_context(
            torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
        )
        if self.precision == "bfloat16":
            stack.enter_context(torch.autocast(torch.device(self.device).type, torch.bfloat16))
        return stack


def _children(
    nodes: Sequence[_Node], outputs: Sequence[Sequence[Tensor]], statistics: Sequence[Statistics]
) -> list[_Node]:
    """The nodes behind a call: ``outputs`` by part, then by node."""
    rows = zip(*outputs, strict=True)
    return [
        _Node(node.low, node.high, list(row), node.statistics | found)
        for node, row, found in zip(nodes, rows, statistics, strict=True)
    ]


def _choose(step: _Step, masks: list[Mask]) -> tuple[list[_Node], list[_Node]]:
    """A step's prefixes narrowed to the masks that skip the next block, and to those that keep it."""
    skipped, kept = [], []
    for node in step.nodes:
        middle = bisect_left(masks, "1", node.low, node.high, key=lambda mask: mask.bits[step.level])
        if "0" in step.choices and node.low < middle:
            skipped.append(_Node(node.low, middle, node.parts, node.statistics))
        if "1" in step.choices and middle < node.high:
            kept.append(_Node(middle, node.high, node.parts, node.statistics))
    return skipped, kept


def _together(function: Callable[[Tensor], Tensor], tensors: Sequence[Tensor]) -> list[Tensor]:
    """One call for tensors of the same shape."""
    if len(tensors) == 1:
        return [function(tensors[0])]
    return list(torch.split(function(torch.cat(list(tensors))), len(tensors[0])))
