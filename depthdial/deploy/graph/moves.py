"""What is left to the compiler: values that are moved about, and sums that a kernel cannot store with its results."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from depthdial.deploy.graph.nodes import Node
from depthdial.deploy.graph.steps import Value
from depthdial.deploy.graph.text import literal


def tensor(*shape: int) -> str:
    """The MLIR type of a float32 tensor."""
    return f"tensor<{'x'.join(map(str, shape))}xf32>" if shape else "tensor<f32>"


class Tensors:
    """A function under construction; methods that compute return the names of SSA values."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.values = 0

    def value(self, name: str) -> Value:
        """A value by its name in the graph."""
        raise NotImplementedError

    def ordered(self, name: str, axis: int) -> str:
        """A value as a tensor of PyTorch's shape, but with ``axis`` last."""
        raise NotImplementedError

    def plain(self, name: str) -> str:
        """A value as a tensor of PyTorch's shape."""
        return self.ordered(name, len(self.value(name).shape) - 1)

    def add(self, operation: str) -> str:
        """The value of an operation."""
        name = f"%{self.values}"
        self.values += 1
        self.lines.append(f"{name} = {operation}")
        return name

    def dispatch(self, kernel: str, given: list[tuple[str, str]], result: str) -> str:
        """What a kernel makes of tensors, given as names and types."""
        names, kinds = (", ".join(one[place] for one in given) for place in (0, 1))
        return self.add(f"flow.dispatch @{kernel}::@{kernel}({names}) : ({kinds}) -> {result}")

    def reshape(self, x: str, before: str, after: str) -> str:
        """The same values in another shape."""
        return x if before == after else self.add(f"flow.tensor.reshape {x} : {before} -> {after}")

    def transpose(self, x: str, shape: Sequence[int], order: Sequence[int]) -> str:
        """A permutation of the axes."""
        after = tensor(*(shape[place] for place in order))
        empty = self.add(f"tensor.empty() : {after}")
        return self.add(
            f"linalg.transpose ins({x} : {tensor(*shape)}) outs({empty} : {after}) permutation = {list(order)}"
        )

    def slice(self, x: str, shape: Sequence[int], starts: Sequence[int], sizes: Sequence[int], steps: list[int]) -> str:
        """A part of a tensor."""
        return self.add(
            f"tensor.extract_slice {x}{list(starts)} {list(sizes)} {steps} : {tensor(*shape)} to {tensor(*sizes)}"
        )

    def concatenate(self, parts: Sequence[tuple[str, Sequence[int]]], axis: int) -> str:
        """Tensors one after the other."""
        shape = list(parts[0][1])
        shape[axis] = sum(one[axis] for _, one in parts)
        names, kinds = ", ".join(x for x, _ in parts), ", ".join(tensor(*one) for _, one in parts)
        return self.add(f"tensor.concat dim({axis}) {names} : ({kinds}) -> {tensor(*shape)}")

    def generic(self, operands: Sequence[tuple[str, Sequence[int]]], shape: Sequence[int], operation: str) -> str:
        """``operation`` on each value, or pair of values, operands broadcast as PyTorch does."""
        letters = [f"d{place}" for place in range(len(shape))]
        maps = []
        for _, own in [*operands, ("", shape)]:
            offset = len(shape) - len(own)
            places = [letters[offset + at] if size == shape[offset + at] else "0" for at, size in enumerate(own)]
            maps.append(f"affine_map<({', '.join(letters)}) -> ({', '.join(places)})>")
        names, kinds = ", ".join(x for x, _ in operands), ", ".join(tensor(*one) for _, one in operands)
        arguments = ", ".join(f"%i{place}: f32" for place in range(len(operands)))
        empty = self.add(f"tensor.empty() : {tensor(*shape)}")
        loops = ", ".join(['"parallel"'] * len(shape))
        return self.add(
            f"linalg.generic {{indexing_maps = [{', '.join(maps)}], iterator_types = [{loops}]}} "
            f"ins({names} : {kinds}) outs({empty} : {tensor(*shape)}) {{\n^bb0({arguments}, %o: f32):\n"
            f"  %r = {operation} : f32\n  linalg.yield %r : f32\n}} -> {tensor(*shape)}"
        )


def _lying(t: Tensors, node: Node, name: str) -> tuple[str, tuple[int, ...]]:
    """An input of a node in the order of axes in which its result lies, and its shape."""
    made, value = t.value(node.name), t.value(name)
    axis = value.axis if value.axis == made.axis and len(value.shape) == len(made.shape) else None
    if axis is None:  # of fewer axes, or with channels elsewhere
        axis = made.axis - len(made.shape) + len(value.shape)
    if axis < 0:
        return t.plain(name), value.shape
    return t.ordered(name, axis), value.along(axis).ordered


def _at(t: Tensors, node: Node, axis: int) -> int:
    """Where an axis of the result lies."""
    return t.value(node.name).order.index(axis)


def _reshape(t: Tensors, node: Node) -> str:
    return t.reshape(t.plain(node.inputs[0]), tensor(*t.value(node.inputs[0]).shape), tensor(*node.shape))


def _permute(t: Tensors, node: Node) -> str:
    return t.transpose(t.plain(node.inputs[0]), t.value(node.inputs[0]).shape, node.attributes["dimensions"])


def _slice(t: Tensors, node: Node) -> str:
    source, axis = t.value(node.inputs[0]), node.attributes["dimension"]
    kept = len(source.shape) == len(node.shape)
    x, shape = _lying(t, node, node.inputs[0]) if kept else (t.plain(node.inputs[0]), source.shape)
    at, starts, steps = _at(t, node, axis) if kept else axis, [0] * len(shape), [1] * len(shape)
    starts[at], steps[at] = node.attributes["start"], node.attributes["step"]
    sizes = list(shape)
    sizes[at] = -(-(node.attributes["stop"] - starts[at]) // steps[at])
    return t.reshape(t.slice(x, shape, starts, sizes, steps), tensor(*sizes), tensor(*t.value(node.name).ordered))


def _concatenate(t: Tensors, node: Node) -> str:
    return t.concatenate([_lying(t, node, one) for one in node.inputs], _at(t, node, node.attributes["dimension"]))


def _pad(t: Tensors, node: Node) -> str:
    (x, shape), made = _lying(t, node, node.inputs[0]), t.value(node.name)
    low, high = (", ".join(str(node.attributes[side][place]) for place in made.order) for side in ("low", "high"))
    names = ", ".join(f"%d{place}: index" for place in range(len(shape)))
    return t.add(
        f"tensor.pad {x} low[{low}] high[{high}] {{\n^bb0({names}):\n  tensor.yield %zero : f32\n}} : "
        f"{tensor(*shape)} to {tensor(*made.ordered)}"
    )


def _roll(t: Tensors, node: Node) -> str:
    x, shape = _lying(t, node, node.inputs[0])
    for shift, dimension in zip(node.attributes["shifts"], node.attributes["dimensions"], strict=True):
        axis = _at(t, node, dimension)
        cut = -shift % shape[axis]
        parts = []
        for start, stop in ((cut, shape[axis]), (0, cut)):
            if start < stop:
                starts, sizes = [0] * len(shape), list(shape)
                starts[axis], sizes[axis] = start, stop - start
                parts.append((t.slice(x, shape, starts, sizes, [1] * len(shape)), sizes))
        x = t.concatenate(parts, axis) if len(parts) > 1 else x
    return x


def _binary(operation: str) -> Callable[[Tensors, Node], str]:
    def work(t: Tensors, node: Node) -> str:
        operands = [_lying(t, node, one) for one in node.inputs]
        second = "%i1"
        if len(operands) == 1:
            second = t.add(f"arith.constant {literal(node.attributes['scalar'])} : f32")
        return t.generic(operands, t.value(node.name).ordered, f"arith.{operation} %i0, {second}")

    return work


MOVES: dict[str, Callable[[Tensors, Node], str]] = {
    "reshape": _reshape,
    "permute": _permute,
    "slice": _slice,
    "concatenate": _concatenate,
    "pad": _pad,
    "roll": _roll,
    "add": _binary("addf"),
    "multiply": _binary("mulf"),
}
