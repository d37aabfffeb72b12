"""Masks evaluated together: masks with a common prefix share the activations of that prefix.

The activations after block l depend on the first l choices alone, so the masks are walked as a binary
tree. All 2^n masks of n blocks cost 2^n - 1 block evaluations per image, where one mask after the other
costs n 2^(n-1). BatchNorm statistics of a block depend on the same prefix: the calibration images walk
the same tree, and a block's statistics are PyTorch's own, those of its training mode with momentum 1.
"""

from __future__ import annotations

import copy
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from depthdial.data.tensors import Images
from depthdial.errors import ConfigError
from depthdial.evaluate.results import Evaluation
from depthdial.networks.families.he_resnet import ResNet, Scaling, shortcut
from depthdial.networks.masks import Mask
from depthdial.runs.progress import report_step

Precision = Literal["float32", "bfloat16"]
Statistics = dict[str, Tensor]
"""``running_mean`` and ``running_var`` by the names they have in the network's state."""


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
    """Prefixes of one level whose next block is to be skipped ("0"), kept ("1") or both ("01")."""

    level: int
    nodes: list[_Node]
    choices: str


@dataclass
class Engine:
    """Evaluates sets of masks of one network.

    ``calibration`` holds normalised training images (N, C, H, W); without them the network's own BatchNorm
    statistics stay. ``memory_bytes`` bounds the activations that are alive at once; images that do not fit
    are taken in further passes, and every pass walks the calibration images again.
    """

    net: ResNet
    scaling: Scaling = "survival"
    calibration: Tensor | None = None
    batch_size: int = 512
    precision: Precision = "float32"
    device: str = "cpu"
    memory_bytes: int = 2 << 30

    def __post_init__(self) -> None:
        self.scales = self.net.scales(self.scaling)
        self.type = torch.bfloat16 if self.precision == "bfloat16" else torch.float32
        self.net = copy.deepcopy(self.net).eval().to(self.device)
        for module in self.net.modules():
            if isinstance(module, nn.Conv2d):
                module.to(self.type).to(memory_format=torch.channels_last)
        self.fixed = [] if self.calibration is None else [self._place(self.calibration)]

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
        """The BatchNorm statistics of every mask: of its stem and of its kept blocks."""
        ordered = self._ordered(masks)
        found: dict[Mask, Statistics] = {}
        arch = self.net.arch
        blank = torch.zeros(1, arch.in_channels, arch.image_size, arch.image_size)
        for nodes, _ in self._walk(ordered, blank):
            for node in nodes:
                found[ordered[node.low]] = {name: value.cpu() for name, value in node.statistics.items()}
        return found

    def _ordered(self, masks: Sequence[Mask]) -> list[Mask]:
        ordered = sorted(set(masks))
        for mask in ordered:
            if mask.n != self.net.arch.n_blocks:
                raise ValueError(f"mask {mask} has {mask.n} blocks, the network has {self.net.arch.n_blocks}")
        return ordered

    def _place(self, images: Tensor) -> Tensor:
        return images.to(self.device, self.type).contiguous(memory_format=torch.channels_last)

    # --- memory ---

    @property
    def live_bytes(self) -> int:
        """Most bytes of activations per image and prefix that are alive at once.

        A prefix that waits for its block to be kept holds its input. Those that follow on the way down
        share that input as long as they skip, so at most every second block of a stage adds one, and the
        change of stage one more. Three more are at work inside a block.
        """
        shapes = self.net.arch.blocks
        per_stage = len(shapes) // 3
        sizes = [shape.out_channels * shape.size**2 for shape in shapes[::per_stage]]
        waiting = ((per_stage + 1) // 2 + 1) * sum(sizes)
        return (waiting + 3 * max(sizes)) * self.type.itemsize

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
        """Prefixes that share a call of a block: as many as the batch size and the memory allow."""
        together = n_images + self._n_fixed
        return max(1, min(self.batch_size // together, self.memory_bytes // (self.live_bytes * together)))

    # --- the walk ---

    def _walk(self, masks: list[Mask], images: Tensor) -> Iterator[tuple[list[_Node], list[Tensor]]]:
        """Yield groups of leaves with the logits of ``images``; depth first, skipping first."""
        if not masks:
            return
        batches = list(torch.split(self._place(images), self.batch_size))
        group = self._group(len(images))
        with torch.inference_mode(), _exact_arithmetic():
            root = _Node(0, len(masks), self.fixed + batches, {})
            stack = [_Step(0, self._layer([root], "stem_conv", "stem_bn", rectified=True), "01")]
            while stack:
                step = stack.pop()
                if step.level == len(self.scales):
                    yield step.nodes, [self._head(node) for node in step.nodes]
                    continue
                skipped, kept = _choose(step, masks)
                if skipped and kept and len(skipped) + len(kept) > group:
                    stack += [_Step(step.level, step.nodes, choice) for choice in "10"]
                    continue
                children = [self._skip(step.level, node) for node in skipped] + self._keep(step.level, kept)
                stack.append(_Step(step.level + 1, children, "01"))

    def _skip(self, level: int, node: _Node) -> _Node:
        return _Node(node.low, node.high, [self._past(level, x) for x in node.parts], node.statistics)

    def _past(self, level: int, x: Tensor) -> Tensor:
        """What goes past a block's branch."""
        shape = self.net.arch.blocks[level]
        return shortcut(x, shape.stride, shape.out_channels - shape.in_channels)

    def _keep(self, level: int, nodes: list[_Node]) -> list[_Node]:
        if not nodes:
            return []
        scale, name = self.scales[level], f"blocks.{level}"
        branches = self._layer(nodes, f"{name}.conv1", f"{name}.bn1", rectified=True)
        branches = self._layer(branches, f"{name}.conv2", f"{name}.bn2", rectified=False)
        for node, branch in zip(nodes, branches, strict=True):
            branch.parts = [
                functional.relu_(self._past(level, x) + scale * y)
                for x, y in zip(node.parts, branch.parts, strict=True)
            ]
        return branches

    def _layer(self, nodes: list[_Node], conv: str, norm: str, rectified: bool) -> list[_Node]:
        """Convolution, BatchNorm and rectifier; batches of the same images share a convolution's call."""
        convolution = self.net.get_submodule(conv)
        columns = zip(*(node.parts for node in nodes), strict=True)
        rows = zip(*(_together(convolution, column) for column in columns), strict=True)
        outputs = []
        for node, row in zip(nodes, rows, strict=True):
            parts, statistics = self._normalise(list(row), norm)
            parts = [functional.relu_(x) for x in parts] if rectified else parts
            outputs.append(_Node(node.low, node.high, parts, node.statistics | statistics))
        return outputs

    def _normalise(self, parts: list[Tensor], name: str) -> tuple[list[Tensor], Statistics]:
        """BatchNorm with the statistics of the calibration images, if there are any, else the net's own."""
        norm = self.net.get_submodule(name)
        assert isinstance(norm, nn.BatchNorm2d)
        mean, variance = norm.running_mean, norm.running_var
        assert mean is not None
        assert variance is not None
        if self.fixed:
            mean, variance = torch.zeros_like(mean), torch.zeros_like(variance)
        normalised = [
            functional.batch_norm(
                x,
                mean,
                variance,
                norm.weight,
                norm.bias,
                training=index < len(self.fixed),
                momentum=1.0,
                eps=norm.eps,
            )
            for index, x in enumerate(parts)
        ]
        return normalised, {f"{name}.running_mean": mean, f"{name}.running_var": variance}

    def _head(self, node: _Node) -> Tensor:
        """Logits of all images of a leaf."""
        return torch.cat([self.net.head(x.float()) for x in node.parts[len(self.fixed) :]])


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


def _together(conv: nn.Module, tensors: Sequence[Tensor]) -> list[Tensor]:
    """One call of ``conv`` for tensors of the same shape."""
    if len(tensors) == 1:
        return [conv(tensors[0])]
    return list(torch.split(conv(torch.cat(list(tensors))), len(tensors[0])))


@contextmanager
def _exact_arithmetic() -> Iterator[None]:
    """On CUDA: float32 means float32, and the same call gives the same result."""
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        yield
