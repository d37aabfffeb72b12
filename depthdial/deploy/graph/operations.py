"""The operations of PyTorch that a network may use, each in words of our own."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

from torch.fx import Node as FxNode

from depthdial.deploy.graph.nodes import Node
from depthdial.deploy.graph.tracer import Handler, Tracer, UnsupportedError


def _args(node: FxNode) -> tuple[Any, ...]:
    return node.args


def _kwargs(node: FxNode) -> Mapping[str, Any]:
    return node.kwargs


def _given(node: FxNode, names: str, *defaults: Any) -> list[Any]:
    """The arguments of an operation, by position or name, with defaults for those that may be missing."""
    listed = names.split()
    values = dict(zip(listed, [*_args(node), *[None] * len(listed)], strict=False))
    required = len(listed) - len(defaults)
    for place, name in enumerate(listed):
        if place >= len(_args(node)):
            values[name] = _kwargs(node).get(name, defaults[place - required] if place >= required else None)
    return [values[name] for name in listed]


def _pair(value: Any) -> tuple[int, int]:
    values = [value, value] if isinstance(value, int) else list(value) * (2 if len(value) == 1 else 1)
    return int(values[0]), int(values[1])


def _convolution(t: Tracer, node: FxNode) -> Node:
    x, weight, bias, stride, padding, dilation, groups = _given(
        node, "input weight bias stride padding dilation groups", None, 1, 0, 1, 1
    )
    if len(node.meta["val"].shape) != 4:
        raise UnsupportedError(f"a convolution that is not of images in {t.where(node)}")
    shape, filters = x.meta["val"].shape, weight.meta["val"].shape
    depthwise = groups > 1 and groups == shape[1] == filters[0]
    parameters = {"weight": t.parameter(weight, "depthwise" if depthwise else "dense", groups)}
    if bias is not None:
        parameters["bias"] = t.parameter(bias)
    extra = [0, 0]
    if padding == "same":
        span = [d * (k - 1) for d, k in zip(_pair(dilation), filters[2:], strict=True)]
        padding, extra = [size // 2 for size in span], [size % 2 for size in span]
    top, left = (0, 0) if padding == "valid" else _pair(padding)
    return t.node(
        node,
        "convolution",
        x,
        parameters=parameters,
        kernel=tuple(filters[2:]),
        stride=_pair(stride),
        padding=(top, left, top + extra[0], left + extra[1]),
        dilation=_pair(dilation),
        groups=groups,
    )


def _batchnorm(t: Tracer, node: FxNode) -> Node:
    x, _, _, mean = _args(node)[:4]
    name = t.constants[mean.name][0].removesuffix(".running_mean")
    t.normalised[name] = int(x.meta["val"].shape[1])
    made = t.node(_first(node), "batchnorm", x, parameters={"norm": name})
    return made.model_copy(update={"name": node.name})


def _first(node: FxNode) -> FxNode:
    """The first of the values that an operation with several gives."""
    return next(user for user in node.users if user.target is operator.getitem and user.args[1] == 0)


def _getitem(t: Tracer, node: FxNode) -> str | Node:
    source, place = _args(node)
    if source.name in t.nodes and place == 0:
        return str(source.name)
    packet = str(getattr(source.target, "_overloadpacket", ""))
    if packet in ("aten.split", "aten.chunk", "aten.unbind", "aten.split_with_sizes"):
        return _piece(t, node, source, int(place))
    raise UnsupportedError(f"{packet}[{place}] in {t.where(node)}")


def _piece(t: Tracer, node: FxNode, source: FxNode, place: int) -> Node:
    x, dimension = _args(source)[0], _kwargs(source).get("dim", 0)
    unbound = "unbind" in str(source.target)
    at = 1 if unbound else 2
    if len(_args(source)) > at:
        dimension = _args(source)[at]
    shapes = [tuple(one.shape) for one in source.meta["val"]]
    rank = len(x.meta["val"].shape)
    dimension = int(dimension) % rank
    sizes = [1 if unbound else shape[dimension] for shape in shapes]
    start = sum(sizes[:place])
    return t.node(node, "slice", x, dimension=dimension, start=start, stop=start + sizes[place], step=1)


def _pieces(t: Tracer, node: FxNode) -> str:
    return t.name(_args(node)[0])  # what reads a piece says which


def _unary(op: str) -> Handler:
    return lambda t, node: t.node(node, op, _args(node)[0])


def _same(t: Tracer, node: FxNode) -> str:
    return t.name(_args(node)[0])


def _reshape(t: Tracer, node: FxNode) -> Node:
    return t.node(node, "reshape", _args(node)[0])


def _permute(t: Tracer, node: FxNode) -> Node:
    rank = len(node.meta["val"].shape)
    return t.node(node, "permute", _args(node)[0], dimensions=tuple(int(d) % rank for d in _args(node)[1]))


def _transpose(t: Tracer, node: FxNode) -> Node:
    order = list(range(len(node.meta["val"].shape)))
    one, other = (int(d) for d in _args(node)[1:3]) if len(_args(node)) > 1 else (0, 1)
    order[one], order[other] = order[other], order[one]
    return t.node(node, "permute", _args(node)[0], dimensions=tuple(order))


def _binary(op: str) -> Handler:
    def work(t: Tracer, node: FxNode) -> Node:
        left, right = _args(node)[:2]
        if _kwargs(node).get("alpha", 1) != 1:
            raise UnsupportedError(f"{op} with alpha in {t.where(node)}")
        if isinstance(left, (int, float)):
            left, right = right, left
        if isinstance(right, (int, float)):
            return t.node(node, op, left, scalar=float(right))
        return t.node(node, op, left, right)

    return work


def _divide(t: Tracer, node: FxNode) -> Node:
    if not isinstance(_args(node)[1], (int, float)):
        raise UnsupportedError(f"div by a tensor in {t.where(node)}")
    return t.node(node, "multiply", _args(node)[0], scalar=1.0 / _args(node)[1])


def _linear(t: Tracer, node: FxNode) -> Node:
    x, weight, bias = _given(node, "input weight bias", None)
    parameters = {"weight": t.parameter(weight, "dense")}
    if bias is not None:
        parameters["bias"] = t.parameter(bias)
    return t.node(node, "linear", x, parameters=parameters)


def _hardtanh(t: Tracer, node: FxNode) -> Node:
    x, low, high = _given(node, "input min_val max_val", -1, 1)
    if (low, high) != (0, 6):
        raise UnsupportedError(f"hardtanh from {low} to {high} in {t.where(node)}")
    return t.node(node, "relu6", x)


def _gelu(t: Tracer, node: FxNode) -> Node:
    return t.node(node, "gelu_tanh" if _kwargs(node).get("approximate") == "tanh" else "gelu", _args(node)[0])


def _pool(op: str) -> Handler:
    def work(t: Tracer, node: FxNode) -> Node:
        if op == "max":
            x, kernel, stride, padding, dilation, ceil = _given(
                node, "input kernel_size stride padding dilation ceil_mode", None, 0, 1, False
            )
            counted, divisor = False, None
        else:
            x, kernel, stride, padding, ceil, counted, divisor = _given(
                node, "input kernel_size stride padding ceil_mode count_include_pad divisor_override",
                None, 0, False, True, None,
            )  # fmt: skip
            dilation = 1
        kernel = _pair(kernel)
        stride = _pair(stride) if stride else kernel
        if _pair(dilation) != (1, 1) or divisor is not None or (ceil and counted and op == "average"):
            raise UnsupportedError(f"{op} pooling with dilation, divisor or ceil_mode in {t.where(node)}")
        return t.node(
            node, f"{op}_pool", x, kernel=kernel, stride=stride, padding=_pair(padding), counted=bool(counted)
        )

    return work


def _adaptive(t: Tracer, node: FxNode) -> Node:
    height, width = _args(node)[0].meta["val"].shape[2:]
    high, wide = node.meta["val"].shape[2:]
    if height % high or width % wide:
        raise UnsupportedError(f"adaptive pooling of {height}x{width} to {high}x{wide} in {t.where(node)}")
    size = (height // high, width // wide)
    return t.node(node, "average_pool", _args(node)[0], kernel=size, stride=size, padding=(0, 0), counted=True)


def _mean(t: Tracer, node: FxNode) -> Node:
    x, dimensions, _ = _given(node, "input dim keepdim", False)
    rank = len(x.meta["val"].shape)
    return t.node(node, "mean", x, dimensions=tuple(sorted(int(d) % rank for d in dimensions)))


def _layer_norm(t: Tracer, node: FxNode) -> Node:
    x, shape, weight, bias, eps = _given(node, "input normalized_shape weight bias eps", None, None, 1e-5)
    if len(shape) != 1:
        raise UnsupportedError(f"layer_norm over more than channels in {t.where(node)}")
    given = {"weight": weight, "bias": bias}
    parameters = {role: t.parameter(one) for role, one in given.items() if one is not None}
    return t.node(node, "layer_norm", x, parameters=parameters, epsilon=eps)


def _attention(t: Tracer, node: FxNode) -> Node:
    q, k, v, mask, dropout, causal = _given(node, "query key value attn_mask dropout_p is_causal", None, 0.0, False)
    if mask is not None or causal or dropout or _kwargs(node).get("enable_gqa"):
        raise UnsupportedError(f"attention with a mask or dropout in {t.where(node)}")
    scale = _kwargs(node).get("scale") or q.meta["val"].shape[-1] ** -0.5
    return t.node(node, "attention", q, k, v, scale=float(scale))


def _softmax(t: Tracer, node: FxNode) -> Node:
    rank = len(node.meta["val"].shape)
    if int(_args(node)[1]) % rank != rank - 1:
        raise UnsupportedError(f"softmax over another axis than the last in {t.where(node)}")
    return t.node(node, "softmax", _args(node)[0])


def _slice(t: Tracer, node: FxNode) -> Node | str:
    x, dimension, start, stop, step = _given(node, "input dim start end step", 0, None, None, 1)
    shape = x.meta["val"].shape
    dimension = int(dimension) % len(shape)
    start, stop, step = slice(start, stop, step).indices(shape[dimension])
    if (start, stop, step) == (0, shape[dimension], 1):
        return t.name(x)
    return t.node(node, "slice", x, dimension=dimension, start=start, stop=stop, step=step)


def _select(t: Tracer, node: FxNode) -> Node:
    x, dimension, place = _args(node)
    rank = len(x.meta["val"].shape)
    dimension = int(dimension) % rank
    start = int(place) % x.meta["val"].shape[dimension]
    return t.node(node, "slice", x, dimension=dimension, start=start, stop=start + 1, step=1)


def _cat(t: Tracer, node: FxNode) -> Node:
    rank = len(node.meta["val"].shape)
    dimension = int(_args(node)[1] if len(_args(node)) > 1 else _kwargs(node).get("dim", 0)) % rank
    return t.node(node, "concatenate", *_args(node)[0], dimension=dimension)


def _pad(t: Tracer, node: FxNode) -> Node | str:
    x, pads, mode, value = _given(node, "input pad mode value", "constant", None)
    if mode != "constant" or value not in (None, 0, 0.0) or min(pads, default=0) < 0:
        raise UnsupportedError(f"padding with other than zeros in {t.where(node)}")
    if not any(pads):
        return t.name(x)
    rank = len(node.meta["val"].shape)
    both = [(0, 0)] * (rank - len(pads) // 2) + [(pads[i], pads[i + 1]) for i in range(len(pads) - 2, -1, -2)]
    return t.node(node, "pad", x, low=tuple(low for low, _ in both), high=tuple(high for _, high in both))


def _roll(t: Tracer, node: FxNode) -> Node:
    x, shifts, dimensions = _args(node)
    return t.node(node, "roll", x, shifts=tuple(shifts), dimensions=tuple(dimensions))


HANDLERS: dict[str, Handler] = {
    "conv2d": _convolution,
    "convolution": _convolution,
    "_native_batch_norm_legit_no_training": _batchnorm,
    "getitem": _getitem,
    "split": _pieces,
    "chunk": _pieces,
    "unbind": _pieces,
    "split_with_sizes": _pieces,
    "linear": _linear,
    "layer_norm": _layer_norm,
    "hardtanh": _hardtanh,
    "gelu": _gelu,
    "max_pool2d": _pool("max"),
    "avg_pool2d": _pool("average"),
    "adaptive_avg_pool2d": _adaptive,
    "mean": _mean,
    "add": _binary("add"),
    "mul": _binary("multiply"),
    "div": _divide,
    "matmul": lambda t, node: t.node(node, "matmul", *_args(node)),
    "softmax": _softmax,
    "scaled_dot_product_attention": _attention,
    "permute": _permute,
    "transpose": _transpose,
    "slice": _slice,
    "select": _select,
    "cat": _cat,
    "pad": _pad,
    "constant_pad_nd": _pad,
    "roll": _roll,
    **{name: _unary(name) for name in ("relu", "relu6", "hardsigmoid", "hardswish", "sigmoid", "silu")},
    **dict.fromkeys(("view", "reshape", "flatten", "squeeze", "unsqueeze", "_unsafe_view", "unflatten"), _reshape),
    **dict.fromkeys(("clone", "alias", "contiguous", "detach", "dropout", "to", "_to_copy", "lift_fresh_copy"), _same),
}
