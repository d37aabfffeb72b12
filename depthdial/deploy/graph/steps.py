"""Nodes as steps: one kernel each, with all that is done to its results before they are stored.

A value of the graph is an image of pixels by channels. ``axis`` is where PyTorch has its channels: 1 for images, the
last for tokens. Permuting images to channels last and back, or flattening their pixels, changes nothing in memory.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from math import prod

from depthdial.deploy.graph.convolution import BLOCK
from depthdial.deploy.graph.images import ACTIVATIONS, Image, Picked
from depthdial.deploy.graph.nodes import INPUT, Graph, Node
from depthdial.errors import DeployError

CORES = ("convolution", "linear", "layer_norm", "average_pool", "max_pool", "mean")
KEEPING = ("slice", "pad", "roll", "concatenate", "add", "multiply")
"""Operations that leave channels where they are."""
IMAGES = ("convolution", "batchnorm", "average_pool", "max_pool")
"""Operations whose channels are the second axis."""


@dataclass(frozen=True)
class Value:
    """A value as PyTorch sees it, and the ``place`` where it is stored: the name of the step that makes it."""

    shape: tuple[int, ...]
    axis: int
    place: str

    @property
    def order(self) -> list[int]:
        """The axes as they follow each other in memory."""
        return [*(place for place in range(len(self.shape)) if place != self.axis), self.axis]

    @property
    def ordered(self) -> tuple[int, ...]:
        """The shape as it lies in memory."""
        return tuple(self.shape[place] for place in self.order)

    def along(self, axis: int) -> Value:
        """The same value with its channels elsewhere."""
        return Value(self.shape, axis, self.place)

    @property
    def image(self) -> Image:
        """How it lies, but for a frame."""
        others = [size for place, size in enumerate(self.shape) if place != self.axis]
        if len(self.shape) == 4 and self.shape[0] == 1 and self.axis in (1, 3):
            return Image(others[1], others[2], self.shape[self.axis])
        return Image(1, prod(others), self.shape[self.axis])


@dataclass(frozen=True)
class Done:
    """A finish, by the names of a parameter or a value."""

    kind: str
    parameter: str | None = None
    value: str | None = None
    number: float | None = None
    picked: Picked | None = None
    """Which pixels of the value, where it is not all of them."""


@dataclass
class Step:
    """A node, and what is done to its results. Its name is that of the place where the last result is stored."""

    node: Node
    finishes: list[Done] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The place of its result."""
        return self.node.name


@dataclass(frozen=True)
class Plan:
    """Steps in the order in which they run, every value, and the frame that consumers need around a place."""

    steps: tuple[Step, ...]
    values: dict[str, Value]
    frames: dict[str, tuple[int, int, int, int]]


def plan(graph: Graph) -> Plan:
    """The steps of a graph."""
    return _Planner(_merge_pads(graph)).plan()


def _merge_pads(graph: Graph) -> Graph:
    """Zeros around the pixels of an image become the padding of the convolutions that read it."""
    nodes = {node.name: node for node in graph.nodes}
    for node in graph.nodes:
        readers = [other for other in graph.nodes if node.name in other.inputs]
        spatial = len(node.shape) == 4 and node.op == "pad" and not any(node.attributes["low"][:2])
        if not spatial or any(node.attributes["high"][:2]) or any(one.op != "convolution" for one in readers):
            continue
        for reader in readers:
            more = (*node.attributes["low"][2:], *node.attributes["high"][2:])
            padding = tuple(old + new for old, new in zip(nodes[reader.name].attributes["padding"], more, strict=True))
            attributes = {**reader.attributes, "padding": padding}
            nodes[reader.name] = reader.model_copy(update={"inputs": node.inputs, "attributes": attributes})
        del nodes[node.name]
    return graph.model_copy(update={"nodes": tuple(nodes.values())})


def picked_of(node: Node) -> Picked:
    """The pixels that a step of the kind ``pick`` reads."""
    return Picked(tuple(node.attributes["start"]), tuple(node.attributes["step"]))


def _pixels(node: Node, source: Value) -> Picked | None:
    """The pixels that an operation keeps of a channels-first image; None if it does anything but drop pixels at even
    distances or add channels of zeros after those that there are, in whole vectors."""
    if node.op not in ("slice", "pad") or len(source.shape) != 4 or (source.shape[0], source.axis) != (1, 1):
        return None
    about = node.attributes
    if node.op == "pad":
        channels = not any(about["low"]) and not any((*about["high"][:1], *about["high"][2:]))
        return Picked() if channels and source.shape[1] % BLOCK == 0 else None
    if about["dimension"] not in (2, 3) or source.shape[1] % BLOCK:
        return None
    start, step = [0, 0], [1, 1]
    start[about["dimension"] - 2], step[about["dimension"] - 2] = about["start"], about["step"]
    return Picked((start[0], start[1]), (step[0], step[1]))


class _Planner:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes = {node.name: node for node in graph.nodes}
        self.uses = Counter(name for node in graph.nodes for name in node.inputs)
        self.uses[graph.nodes[-1].name] += 1
        self.values = {INPUT: Value(graph.input_shape, 1, INPUT)}
        self.open: dict[str, Step] = {}
        """Steps that may still be extended, by the value that they give."""
        self.steps: dict[str, tuple[int, Step]] = {}

    def plan(self) -> Plan:
        """Every node, in order."""
        for number, node in enumerate(self.graph.nodes):
            if node.op == "constant":
                self.values[node.name] = Value(node.shape, len(node.shape) - 1, node.name)
                self.steps[node.name] = (number, Step(node))
            elif not self._renamed(node) and not self._picked(number, node) and not self._finished(number, node):
                self._begun(number, node)
        steps = tuple(step for _, step in sorted(self.steps.values(), key=lambda pair: pair[0]))
        return Plan(steps, self.values, self._frames())

    def _renamed(self, node: Node) -> bool:
        """Whether a node changes nothing in memory: then its value is its source's under another name."""
        if node.op not in ("permute", "reshape"):
            return False
        source = self.values[node.inputs[0]]
        axis = self._axis(node, source)
        made = None if axis is None else Value(node.shape, axis, source.place)
        if made is None or made.image != source.image:
            return False
        self.values[node.name] = made
        if node.inputs[0] in self.open and self.uses[node.inputs[0]] == 1:
            self.open[node.name] = self.open.pop(node.inputs[0])
        return True

    @staticmethod
    def _axis(node: Node, source: Value) -> int | None:
        """Where channels are after a permutation or a change of shape that keeps the pixels in order."""
        if node.op == "permute":
            order = [d for d in node.attributes["dimensions"] if d != source.axis and source.shape[d] != 1]
            return node.attributes["dimensions"].index(source.axis) if order == sorted(order) else None
        if source.axis == len(source.shape) - 1 and node.shape and node.shape[-1] == source.shape[-1]:
            return len(node.shape) - 1
        if source.axis == 1 and source.shape[0] == 1 and node.shape[:2] == source.shape[:2]:
            return 1
        return None

    def _picked(self, number: int, node: Node) -> bool:
        """Whether a node picks pixels of an image, or adds channels of zeros: one step for what does so in a row."""
        source = node.inputs[0]
        pixels = _pixels(node, self.values[source])
        if pixels is None:
            return False
        before = self._picks(source)
        if before:
            del self.steps[before.name]
            source, pixels = before.node.inputs[0], pixels.after(picked_of(before.node))
        made = node.model_copy(update={"op": "pick", "inputs": (source,), "attributes": asdict(pixels)})
        self.values[node.name] = Value(node.shape, 1, node.name)
        self.steps[node.name] = (number, Step(made))
        return True

    def _picks(self, name: str) -> Step | None:
        """The step that picks the pixels of a value, if nobody else reads it."""
        _, step = self.steps.get(name, (0, None))
        return step if step and step.node.op == "pick" and self.uses[name] == 1 else None

    def _finished(self, number: int, node: Node) -> bool:
        """Whether a node is done to the results of a step that nobody else reads."""
        for source in sorted(node.inputs, key=self._position, reverse=True):
            step = self.open.get(source)
            if step is None or self.uses[source] != 1:
                continue
            done = self._done(node, source)
            if done is not None:
                step.finishes.append(done)
                self._extend(number, node, source, step)
                return True
        return False

    def _extend(self, number: int, node: Node, source: str, step: Step) -> None:
        value = self.values[source]
        self.values[node.name] = Value(node.shape, value.axis, value.place)
        self.open[node.name] = self.open.pop(source)
        self.steps[step.name] = (number, step)

    def _position(self, name: str) -> int:
        place = self.values[name].place
        return self.steps[place][0] if place in self.steps else -1

    def _done(self, node: Node, source: str) -> Done | None:
        """A node as a finish to ``source``, if it can be one."""
        value = self.values[source]
        if node.op == "batchnorm" and value.axis == 1:
            return Done("affine", parameter=node.parameters["norm"])
        if node.op in ACTIVATIONS:
            return Done(node.op)
        if node.op not in ("add", "multiply") or node.shape != value.shape:
            return None
        if "scalar" in node.attributes:
            return Done(node.op, number=node.attributes["scalar"])
        other = next((name for name in node.inputs if name != source), None)
        if other is None:
            return None
        return self._other(node, value, other)

    def _other(self, node: Node, value: Value, other: str) -> Done | None:
        """Adding or multiplying by another value: by channel, or of the same shape."""
        given, op = self.values[other], node.op
        shape = (1,) * (len(value.shape) - len(given.shape)) + given.shape
        by_channel = all(size == 1 or place == value.axis for place, size in enumerate(shape))
        if by_channel and shape[value.axis] == value.shape[value.axis]:
            if other in self.nodes and self.nodes[other].op == "constant":
                kind = "scale" if op == "multiply" else "bias"
                return Done(kind, parameter=self.nodes[other].parameters["value"])
            return Done(op, value=other)
        constant = other in self.nodes and self.nodes[other].op == "constant"
        picks = self._picks(other) if op == "add" and shape == value.shape and value.axis == 1 else None
        if picks:
            del self.steps[picks.name]
            return Done(op, value=picks.node.inputs[0], picked=picked_of(picks.node))
        if shape == value.shape and (given.axis + len(shape) - len(given.shape) == value.axis):
            return Done(op, value=other) if not constant or given.image == value.image else None
        return None

    def _begun(self, number: int, node: Node) -> None:
        """A step of its own: an operation that computes, or one that is done to an image as it is."""
        last = len(node.shape) - 1
        if node.op in CORES:
            axis = 1 if node.op in IMAGES else last
            if node.op == "mean":
                axis = self._mean_axis(node)
            step = Step(node)
        else:
            axis, step = self._moved_axis(node), Step(node)
            for source in node.inputs:
                done = self._done(node, source) if source in self.values else None
                if done is not None and self.values[source].shape == node.shape:
                    axis = self.values[source].axis
                    step = Step(node.model_copy(update={"op": "map", "inputs": (source,)}), [done])
                    break
        self.values[node.name] = Value(node.shape, axis, node.name)
        self.steps[node.name] = (number, step)
        if node.op in CORES or step.node.op == "map":
            self.open[node.name] = step

    def _moved_axis(self, node: Node) -> int:
        """Where channels are after values were moved about: where they were, if that is known."""
        sources = [self.values[name] for name in node.inputs if self.nodes.get(name, node).op != "constant"]
        if node.op in KEEPING and sources and len(sources[0].shape) == len(node.shape):
            return sources[0].axis
        return len(node.shape) - 1

    def _mean_axis(self, node: Node) -> int:
        """Where channels are after a mean over all else."""
        source, dimensions = self.values[node.inputs[0]], node.attributes["dimensions"]
        others = [d for d in range(len(source.shape)) if d != source.axis and source.shape[d] != 1]
        if not set(others) <= set(dimensions) or source.axis in dimensions:
            raise DeployError(f"mean in {node.where or 'the network itself'}: over some of the pixels")
        kept = len(node.shape) == len(source.shape)
        return source.axis if kept else source.axis - sum(d < source.axis for d in dimensions)

    def _frames(self) -> dict[str, tuple[int, int, int, int]]:
        frames: dict[str, tuple[int, int, int, int]] = {}
        for _, step in self.steps.values():
            if step.node.op == "convolution":
                place = self.values[step.node.inputs[0]].place
                old, wanted = frames.get(place, (0, 0, 0, 0)), step.node.attributes["padding"]
                frames[place] = tuple(max(pair) for pair in zip(old, wanted, strict=True))
        return frames
