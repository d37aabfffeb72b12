"""A graph as an MLIR program: a function per configuration, whose steps are kernels of ours.

What moves values about without computing (permutations, slices, windows of attention) is left to the compiler, as
tensors. Equal kernels are one, within a configuration and among those that share a module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod

from depthdial.config.targets import Tiles
from depthdial.deploy.calls import NORMALISATION_SCOPE, WEIGHTS_SCOPE
from depthdial.deploy.core import Processor
from depthdial.deploy.graph import attention, kernels
from depthdial.deploy.graph.convolution import Convolution, Cut, convolved
from depthdial.deploy.graph.images import PARAMETERS, Finish, Image
from depthdial.deploy.graph.layouts import norm_places, stored_shape
from depthdial.deploy.graph.module import Module
from depthdial.deploy.graph.moves import MOVES, Tensors, tensor
from depthdial.deploy.graph.nodes import INPUT, Graph, Node
from depthdial.deploy.graph.steps import IMAGES, Done, Plan, Step, Value, picked_of, plan
from depthdial.deploy.graph.text import Kernel
from depthdial.deploy.graph.tiling import cut, product_tile
from depthdial.errors import DeployError
from depthdial.networks.masks import Mask


def program(
    graph: Graph, masks: Mapping[str, Mask], core: Processor, tiles: Tiles, cuts: Mapping[str, Cut] | None = None
) -> str:
    """MLIR of a function per configuration, by its name; they share weights and the kernels of equal layers.

    Kernels are written for ``core``, their loops cut as ``tiles`` says or, where that says nothing, as suits it;
    ``cuts`` of convolutions, by the names of their shapes, come before both.

    Raises DeployError that names an operation, and where it is, for which there is no kernel.
    """
    module = Module(core, tiles, cuts or {})
    functions = [_Function(module, name, graph.keeping(mask)).text() for name, mask in masks.items()]
    kinds = list(module.kernels.values())
    return "\n".join(["module @depthdial {", *kinds, *module.globals.values(), *functions, "}\n"])


def convolutions(graph: Graph, core: Processor) -> list[Convolution]:
    """The convolutions of the full network, in order."""
    module = Module(core, Tiles(), {})
    _Function(module, "full", graph).text()
    return module.convolutions


def alone(c: Convolution, own: Cut, core: Processor) -> str:
    """A program that computes one convolution."""
    kernel = Kernel(core)
    convolved(kernel, c, own)
    shapes = [tensor(*shape) for shape in kernel.shapes]
    given = [f"%a{place}" for place in range(len(shapes) - 1)]
    arguments = ", ".join(f"{name}: {shape}" for name, shape in zip(given, shapes, strict=False))
    kinds = ", ".join(shapes[:-1])
    return (
        f"{kernel.text('convolution', own.parts)}util.func public @c00({arguments}) -> {shapes[-1]} {{\n"
        f"%r = flow.dispatch @convolution::@convolution({', '.join(given)}) : ({kinds}) -> {shapes[-1]}\n"
        f"util.return %r : {shapes[-1]}\n}}\n"
    )


@dataclass(frozen=True)
class _Stored:
    """A value in memory: its SSA name, and how it lies."""

    name: str
    image: Image


class _Function(Tensors):
    """One configuration."""

    def __init__(self, module: Module, name: str, graph: Graph) -> None:
        super().__init__()
        self.module, self.name, self.graph = module, name, graph
        self.plan: Plan = plan(graph)
        self.stored: dict[str, _Stored] = {}
        self.tensors: dict[tuple[str, int], str] = {}
        self.norms, self.norms_size = norm_places(graph)

    def text(self) -> str:
        """The function: a normalised image (1, C, H, W) to logits (1, classes), float32."""
        for step in self.plan.steps:
            self._step(step)
        result = self.plain(self.graph.nodes[-1].name)
        shape, logits = (tensor(*one) for one in (self.graph.input_shape, self.graph.nodes[-1].shape))
        lines = "\n".join(self.lines)
        return (
            f"util.func public @{self.name}(%image: {shape}) -> {logits} {{\n"
            f"%zero = arith.constant 0.0 : f32\n{lines}\nutil.return {result} : {logits}\n}}"
        )

    # Values

    def value(self, name: str) -> Value:
        """A value of the plan."""
        return self.plan.values[name]

    def image(self, name: str, axis: int | None = None) -> _Stored:
        """A value as kernels read it, with channels where they are or at ``axis`` of PyTorch's shape."""
        value = self.value(name)
        if value.place == INPUT and INPUT not in self.stored:
            self.stored[INPUT] = self._input()
        wanted = value if axis is None else value.along(axis)
        if wanted.axis == value.axis or (value.image == wanted.image and _same_order(value, wanted)):
            return self.stored[value.place]
        x = self.reshape(self.ordered(name, wanted.axis), tensor(*wanted.ordered), wanted.image.type)
        out = self._framed(value.place, wanted.image)
        return _Stored(self.module_map(_Stored(x, out.plain), out, ()) if out.framed else x, out)

    def _input(self) -> _Stored:
        source, out = self.value(INPUT).image, self._framed(INPUT, self.value(INPUT).image)
        given = tensor(*self.graph.input_shape)
        flat = f"tensor<{source.channels}x{source.height * source.width}xf32>"
        turned = self.add(f"flow.tensor.reshape %image : {given} -> {flat}")
        name = self.module.kernel("turned", (source, out), lambda k: kernels.turned(k, source, out))
        return _Stored(self.dispatch(name, [(turned, flat)], out.type), out)

    def ordered(self, name: str, axis: int) -> str:
        """A value as a tensor of PyTorch's shape, but with the axis of channels last."""
        if (name, axis) not in self.tensors:
            self.tensors[name, axis] = self._ordered(name, axis)
        return self.tensors[name, axis]

    def _ordered(self, name: str, axis: int) -> str:
        value = self.value(name)
        wanted = value.along(axis)
        if value.place == INPUT and not _same_order(value, wanted):
            given = Value(value.shape, len(value.shape) - 1, INPUT)
            x = self.reshape("%image", tensor(*self.graph.input_shape), tensor(*given.ordered))
        else:
            given, found = value, self.image(name)
            x = self.module_map(found, found.image.plain, ()) if found.image.framed else found.name
            x = self.reshape(x, found.image.plain.type, tensor(*given.ordered))
        if _same_order(given, wanted):
            return self.reshape(x, tensor(*given.ordered), tensor(*wanted.ordered))
        return self.transpose(x, given.ordered, [given.order.index(place) for place in wanted.order])

    def keep(self, name: str, x: str) -> None:
        """A tensor with the axis of channels last becomes a value, framed if somebody needs it so."""
        value = self.value(name)
        x = self.reshape(x, tensor(*value.ordered), value.image.type)
        out = self._framed(value.place, value.image)
        if out.framed:
            x = self.module_map(_Stored(x, value.image), out, ())
        self.stored[value.place] = _Stored(x, out)

    def _framed(self, place: str, image: Image) -> Image:
        return Image(image.height, image.width, image.channels, *self.plan.frames.get(place, (0, 0, 0, 0)))

    def parameter(self, key: str, shape: tuple[int, ...], scope: str = WEIGHTS_SCOPE) -> str:
        """A tensor of an archive."""
        kind = f"tensor<{'x'.join(map(str, shape))}xf32>"
        return self.add(f"util.global.load {self.module.parameter(scope, key, shape)} : {kind}")

    def norm(self, name: str, channels: int) -> str:
        """Scale and shift of a BatchNorm: a part of the configuration's own tensor."""
        whole, size = (self.norms_size,), 2 * channels
        norms = self.parameter(self.name, whole, NORMALISATION_SCOPE)
        start, length = (self.add(f"arith.constant {value} : index") for value in (self.norms[name], size))
        flat = self.add(f"flow.tensor.slice {norms}[{start} for {length}] : {tensor(*whole)} -> {tensor(size)}")
        return self.reshape(flat, tensor(size), tensor(2, channels))

    # Steps

    def _step(self, step: Step) -> None:
        op = step.node.op
        if op == "constant":
            key = step.node.parameters["value"]
            self.keep(step.node.name, self.parameter(key, step.node.shape or (1,)))
        elif op in KERNELS:
            KERNELS[op](self, step)
        elif op in MOVES:
            self.keep(step.node.name, MOVES[op](self, step.node))
        else:
            raise DeployError(f"{op} in {step.node.where or 'the network itself'}: there is no kernel for it")

    def finishes(self, step: Step) -> tuple[tuple[Finish, ...], list[tuple[str, str]]]:
        """The finishes of a step, and what a kernel is given for them."""
        finishes, given = [], []
        channels = self.value(step.node.name).image.channels
        for done in step.finishes:
            if done.parameter is not None:
                shape = (PARAMETERS[done.kind], channels)
                own = done.kind == "affine"
                x = self.norm(done.parameter, channels) if own else self.parameter(done.parameter, shape)
                given.append((x, tensor(*shape)))
                finishes.append(Finish(done.kind))
            elif done.value is not None:
                other = self.image(done.value)
                given.append((other.name, other.image.type))
                finishes.append(Finish(done.kind, other.image, picked=done.picked))
            else:
                finishes.append(Finish(done.kind, number=done.number))
        return tuple(finishes), given

    def out(self, step: Step) -> Image:
        """The image that a step stores."""
        return self._framed(step.name, self.value(step.node.name).image)

    def module_map(self, source: _Stored, out: Image, finishes: tuple[Finish, ...]) -> str:
        """A copy into another frame."""
        key = (source.image, out, finishes)
        name = self.module.kernel("map", key, lambda k: kernels.mapped(k, source.image, out, finishes))
        return self.dispatch(name, [(source.name, source.image.type)], out.type)

    def run(
        self,
        step: Step,
        kind: str,
        key: tuple[object, ...],
        make: Callable[[Kernel], None],
        extra: list[tuple[str, str]],
    ) -> None:
        """Dispatch the kernel of a step on its image, ``extra`` and what its finishes need, and keep the result."""
        source = self.image(step.node.inputs[0], _axis(self, step.node))
        _, given = self.finishes(step)
        out = self.out(step)
        name = self.module.kernel(kind, key, make)
        result = self.dispatch(name, [(source.name, source.image.type), *extra, *given], out.type)
        self.stored[step.name] = _Stored(result, out)

    def convolution(self, step: Step) -> None:
        """A convolution, or a linear layer: one of 1x1 over the pixels."""
        node, out = step.node, self.out(step)
        given_to = self.image(node.inputs[0], _axis(self, node))
        source, attributes = given_to.image, node.attributes
        finishes, given = self.finishes(step)
        if "bias" in node.parameters:
            step.finishes.insert(0, _bias(node))
            finishes, given = self.finishes(step)
        top, left, *_ = attributes.get("padding", (0, 0, 0, 0))
        kernel, stride = tuple(attributes.get("kernel", (1, 1))), tuple(attributes.get("stride", (1, 1)))
        # Pixels of images that have no frame are one row to a filter of 1x1: tiles then need not end with rows.
        flat = kernel == stride == (1, 1) and not source.framed and not out.framed
        flat = flat and not any(finish.picked or (finish.image and finish.image.framed) for finish in finishes)
        c = Convolution(
            _row(source) if flat else source,
            _row(out) if flat else out,
            kernel,
            stride,
            tuple(attributes.get("dilation", (1, 1))),
            attributes.get("groups", 1),
            source.top - top,
            source.left - left,
            tuple(Finish(f.kind, f.image and _row(f.image), f.number) for f in finishes) if flat else finishes,
        )
        module = self.module
        module.convolutions.append(c)
        own = module.cuts.get(c.name) or cut(c, module.core, module.tiles)
        weight = node.parameters["weight"]
        shape = stored_shape(self.graph.weights[weight])
        weights = (self.parameter(weight, shape), f"tensor<{'x'.join(map(str, shape))}xf32>")
        kind = "depthwise" if c.depthwise else "convolution"
        name = module.kernel(kind, (c, own), lambda k: convolved(k, c, own), own.parts)
        operand = (given_to.name, source.type)
        if flat:
            operand = (self.reshape(*operand, c.source.type), c.source.type)
            given = [
                (self.reshape(x, kind_, _row(f.image).type), _row(f.image).type) if f.image else (x, kind_)
                for (x, kind_), f in zip(given, [f for f in finishes if f.image or f.kind in PARAMETERS], strict=True)
            ]
        result = self.dispatch(name, [operand, weights, *given], c.out.type)
        self.stored[step.name] = _Stored(self.reshape(result, c.out.type, out.type), out)

    def mapped(self, step: Step) -> None:
        """Finishes alone."""
        source, out = self.image(step.node.inputs[0]).image, self.out(step)
        finishes, _ = self.finishes(step)
        self.run(step, "map", (source, out, finishes), lambda k: kernels.mapped(k, source, out, finishes), [])

    def pick(self, step: Step) -> None:
        """Some pixels of an image, with more channels of zeros."""
        source, out, pixels = self.image(step.node.inputs[0]).image, self.out(step), picked_of(step.node)
        self.run(step, "pick", (source, out, pixels), lambda k: kernels.mapped(k, source, out, (), pixels), [])

    def layer_norm(self, step: Step) -> None:
        """A norm over channels, its scale and shift the first finishes."""
        node = step.node
        own = [Done(kind, parameter=node.parameters[role]) for role, kind in (("weight", "scale"), ("bias", "bias"))
               if role in node.parameters]  # fmt: skip
        step.finishes[:0] = own
        source, out = self.image(node.inputs[0], _axis(self, node)).image, self.out(step)
        finishes, _ = self.finishes(step)
        epsilon = node.attributes["epsilon"]
        key = (source, out, finishes, epsilon)
        self.run(step, "norm", key, lambda k: kernels.normalised(k, source, out, finishes, epsilon), [])

    def pool(self, step: Step) -> None:
        """Windows, or the mean of all pixels."""
        node = step.node
        source, out = self.image(node.inputs[0], _axis(self, node)).image, self.out(step)
        finishes, _ = self.finishes(step)
        window = tuple(node.attributes.get("kernel", ()))
        if node.op == "mean" or (
            node.op == "average_pool" and window == (source.height, source.width) and out.size == out.channels
        ):
            make = lambda k: kernels.averaged(k, source, out, finishes)  # noqa: E731
            self.run(step, "mean", (source, out, finishes), make, [])
            return
        stride, padding = tuple(node.attributes["stride"]), tuple(node.attributes["padding"])
        op, counted = node.op.removesuffix("_pool"), node.attributes["counted"]
        key = (source, out, finishes, window, stride, padding, op, counted)
        self.run(step, "pool", key, lambda k: kernels.pooled(k, *key), [])

    # Products of activations

    def matmul(self, step: Step) -> None:
        """A batch of products."""
        left, right = (self.value(name).shape for name in step.node.inputs)
        rows, inside, columns, batch = left[-2], left[-1], right[-1], prod(left[:-2])
        if left[:-2] != right[:-2]:
            raise DeployError(f"matmul in {step.node.where}: batches of {left[:-2]} and {right[:-2]}")
        key = (batch, rows, inside, columns, product_tile(rows, self.module.core))
        name = self.module.kernel("product", key, lambda k: attention.multiplied(k, *key))
        kinds = [f"tensor<{batch}x{rows * inside}xf32>", f"tensor<{batch * inside}x{columns}xf32>"]
        given = [self.reshape(self.plain(one), tensor(*self.value(one).shape), kind)
                 for one, kind in zip(step.node.inputs, kinds, strict=True)]  # fmt: skip
        out = f"tensor<{batch}x{rows * columns}xf32>"
        result = self.dispatch(name, list(zip(given, kinds, strict=True)), out)
        self.keep(step.node.name, self.reshape(result, out, tensor(*step.node.shape)))

    def softmax(self, step: Step) -> None:
        """Over the last axis."""
        shape = step.node.shape
        key = (prod(shape[:-1]), shape[-1])
        kind = f"tensor<{key[0]}x{key[1]}xf32>"
        name = self.module.kernel("softmax", key, lambda k: attention.softmax(k, *key))
        given = self.reshape(self.plain(step.node.inputs[0]), tensor(*shape), kind)
        result = self.dispatch(name, [(given, kind)], kind)
        self.keep(step.node.name, self.reshape(result, kind, tensor(*shape)))

    def attention(self, step: Step) -> None:
        """softmax(q k^T) v."""
        q, k, v = step.node.inputs
        shape, keyed = self.value(q).shape, self.value(k).shape
        batch, queries, keys, deep = prod(shape[:-2]), shape[-2], keyed[-2], shape[-1]
        if self.value(v).shape[-1] != deep:
            raise DeployError(f"attention in {step.node.where}: values are not as wide as queries")
        order = [*range(len(keyed) - 2), len(keyed) - 1, len(keyed) - 2]
        turned = self.transpose(self.plain(k), keyed, order)
        kinds = [f"tensor<{batch}x{queries * deep}xf32>", f"tensor<{batch * deep}x{keys}xf32>",
                 f"tensor<{batch * keys}x{deep}xf32>"]  # fmt: skip
        given = [
            self.reshape(self.plain(q), tensor(*shape), kinds[0]),
            self.reshape(turned, tensor(*(keyed[place] for place in order)), kinds[1]),
            self.reshape(self.plain(v), tensor(*self.value(v).shape), kinds[2]),
        ]
        key = (batch, queries, keys, deep, step.node.attributes["scale"], product_tile(queries, self.module.core))
        name = self.module.kernel("attention", key, lambda k: attention.attention(k, *key))
        result = self.dispatch(name, list(zip(given, kinds, strict=True)), kinds[0])
        self.keep(step.node.name, self.reshape(result, kinds[0], tensor(*step.node.shape)))


def _same_order(one: Value, other: Value) -> bool:
    """Whether two ways to see a value are the same in memory."""
    first, second = ([place for place in value.order if value.shape[place] != 1] for value in (one, other))
    return first == second


def _row(image: Image) -> Image:
    """The pixels of an image without a frame as one row."""
    return image if image.height * image.width == 1 else Image(1, image.height * image.width, image.channels)


def _axis(function: _Function, node: Node) -> int | None:
    """Where an operation has the channels of what it reads, if that does not follow from where they are."""
    if node.op in ("linear", "layer_norm"):
        return len(function.value(node.inputs[0]).shape) - 1
    return 1 if node.op in IMAGES else None


def _bias(node: Node) -> Done:
    return Done("bias", parameter=node.parameters["bias"])


KERNELS = {
    "convolution": _Function.convolution,
    "linear": _Function.convolution,
    "map": _Function.mapped,
    "pick": _Function.pick,
    "layer_norm": _Function.layer_norm,
    "average_pool": _Function.pool,
    "max_pool": _Function.pool,
    "mean": _Function.pool,
    "matmul": _Function.matmul,
    "softmax": _Function.softmax,
    "attention": _Function.attention,
}
