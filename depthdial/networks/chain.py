"""Any network as a chain: its traced graph cut at the units.

Modules that hold no unit are called as they are, so only the code that calls units is traced. Between two units that
code is a segment: a function of one tensor. Where a unit is called, its input must be the only tensor that lives.
Values that are no tensors (a size, an absent attention mask) may live beside it: they are found by running the network
on batches of two and of three images, and must be the same for both or be the size of the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, fx, nn

from depthdial.errors import NetworkError

BATCH = object()
"""Stands for the number of images."""


@dataclass(frozen=True)
class Segment:
    """Code between two units: a function of the network whose modules it calls and of its input."""

    function: Callable[[nn.Module, Tensor], Tensor]
    modules: tuple[str, ...]
    """Names of the modules that it calls."""


@dataclass(frozen=True)
class Call:
    """How a unit is called: what it is given besides its input."""

    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Chain:
    """``segments[0]``, unit 0, ``segments[1]``, ...; ``None`` is a segment that does nothing."""

    calls: tuple[Call, ...]
    segments: tuple[Segment | None, ...]
    constants: Mapping[str, Tensor]
    """Tensors that the traced code holds and the network does not."""


class NoChainError(NetworkError):
    """The network is no chain at a unit; ``unit`` is the name of it."""

    def __init__(self, unit: str, message: str) -> None:
        super().__init__(message)
        self.unit = unit


class _Tracer(fx.Tracer):
    """Looks into those modules alone that hold units."""

    def __init__(self, units: Sequence[str]) -> None:
        super().__init__()
        self.units = set(units)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        inside = f"{module_qualified_name}."
        return module_qualified_name in self.units or not any(name.startswith(inside) for name in self.units)


def cut(network: nn.Module, units: Sequence[str], input_shape: tuple[int, int, int]) -> Chain:
    """Cut ``network`` at the modules named ``units``, which are in the order in which they are called.

    Raises NetworkError where the network cannot be traced, a unit is not called exactly once or in another order, and
    NoChainError where another tensor than the input of a unit lives.
    """
    graph = _trace(network, units)
    nodes = list(graph.nodes)
    at = _places(nodes, units)
    extra = _besides(nodes, at)
    known = _values(network, graph, extra, input_shape) if any(extra) else {}
    for place, alive in zip(at, extra, strict=True):
        for node in alive:
            if known.get(node) is None:
                raise NoChainError(str(nodes[place].target), _not_a_chain(nodes[place], node))
    segments, bounds = [], [-1, *at, len(nodes) - 1]
    for first, last in pairwise(bounds):
        segments.append(_segment(network, nodes, first, last, known))
    calls = tuple(_call(nodes[place], known) for place in at)
    return Chain(calls, tuple(segments), _constants(network, nodes))


def order_of_calls(network: nn.Module, units: Sequence[str]) -> list[str]:
    """The units that are called exactly once, in the order of their calls."""
    found = [str(node.target) for node in _trace(network, units).nodes if node.op == "call_module"]
    return [name for name in found if name in set(units) and found.count(name) == 1]


def _trace(network: nn.Module, units: Sequence[str]) -> fx.Graph:
    was = network.training
    try:
        return _Tracer(units).trace(network.eval())
    except Exception as error:  # Whatever the network's own code does with what stands for a tensor.
        raise NetworkError(
            f"{type(network).__name__}: the code that calls its units cannot be traced ({error}); it may not branch on "
            "values of tensors outside of units"
        ) from error
    finally:
        network.train(was)


def _places(nodes: Sequence[fx.Node], units: Sequence[str]) -> list[int]:
    called = {name: [i for i, n in enumerate(nodes) if n.op == "call_module" and n.target == name] for name in units}
    for name, places in called.items():
        if len(places) != 1:
            raise NetworkError(f"unit {name}: called {len(places)} times; a unit is called once for an image")
    at = [places[0] for places in called.values()]
    if at != sorted(at):
        raise NetworkError(
            f"units are called in the order {', '.join(n for _, n in sorted(zip(at, units, strict=True)))}"
        )
    return at


def _besides(nodes: Sequence[fx.Node], at: Sequence[int]) -> list[list[fx.Node]]:
    """For every unit what is needed after it that was made before, its input among it if others use that too."""
    place = {node: index for index, node in enumerate(nodes)}
    found = []
    for unit in at:
        source = nodes[unit].args[0] if nodes[unit].args else None
        if not isinstance(source, fx.Node):
            raise NoChainError(
                str(nodes[unit].target), f"unit {nodes[unit].target}: is not called with one tensor first"
            )
        found.append(
            [
                node
                for node in nodes[:unit]
                if node.op != "get_attr" and any(place[user] >= unit + (node is source) for user in node.users)
            ]
        )
    return found


class _Recorder(fx.Interpreter):
    """Runs a graph and keeps the values of all its nodes."""

    def __init__(self, network: nn.Module, graph: fx.Graph) -> None:
        super().__init__(network, graph=graph)
        self.values: dict[fx.Node, Any] = {}

    def run_node(self, n: fx.Node) -> Any:
        self.values[n] = super().run_node(n)
        return self.values[n]


def _values(
    network: nn.Module, graph: fx.Graph, extra: Sequence[Sequence[fx.Node]], input_shape: tuple[int, int, int]
) -> dict[fx.Node, list[Any]]:
    """What is known beforehand of nodes that live beside the inputs of units, as a list of one value each."""
    runs = []
    was = network.training
    network.eval()
    for images in (2, 3):
        recorder = _Recorder(network, graph)
        with torch.no_grad():
            recorder.run(torch.zeros(images, *input_shape))
        runs.append(recorder.values)
    network.train(was)
    known = {}
    for node in {node for alive in extra for node in alive}:
        try:
            known[node] = [_foreseen(runs[0][node], runs[1][node])]
        except ValueError:
            continue
    return known


def _foreseen(two: Any, three: Any) -> Any:
    """The value for any number of images. Raises ValueError if it cannot be known."""
    if isinstance(two, Tensor):
        raise ValueError
    if isinstance(two, tuple | list):
        return tuple(_foreseen(a, b) for a, b in zip(two, three, strict=True))
    if type(two) is int and (two, three) == (2, 3):
        return BATCH
    if two != three:
        raise ValueError
    return two


def _not_a_chain(unit: fx.Node, node: fx.Node) -> str:
    users = ", ".join(str(user.target) for user in node.users)
    return (
        f"unit {unit.target}: the network is no chain there: {node.name} (made by {node.op} "
        f"{node.target}, used by {users}) is needed after it. Name other units by `units:`"
    )


def _segment(
    network: nn.Module, nodes: Sequence[fx.Node], first: int, last: int, known: Mapping[fx.Node, list[Any]]
) -> Segment | None:
    """The code between the nodes ``first`` (a unit, or -1) and ``last`` (a unit, or the output)."""
    graph = fx.Graph()
    begins = nodes[first] if first >= 0 else next(node for node in nodes if node.op == "placeholder")
    x = graph.placeholder("x")
    made: dict[fx.Node, fx.Node] = {begins: x}

    def copied(node: fx.Node) -> Any:
        if node not in made:
            if node.op == "get_attr":
                made[node] = graph.node_copy(node, copied)
            else:
                assert node in known, f"{node.name}: what lives beside the input of a unit is known, or refused by then"
                return _written(graph, x, known[node][0])
        return made[node]

    for node in nodes[first + 1 : last]:
        if node.op not in ("placeholder", "get_attr") or (node.op == "placeholder" and node is not begins):
            made[node] = graph.node_copy(node, copied)
    ends = nodes[last].args[0]
    if not isinstance(ends, fx.Node):
        raise NetworkError(f"{type(network).__name__}: must return one tensor, the logits")
    result = copied(ends)
    if result is x:
        return None
    graph.output(result)
    module = fx.GraphModule(network, graph)
    module.graph.eliminate_dead_code()
    module.recompile()
    called = tuple(str(node.target) for node in module.graph.nodes if node.op == "call_module")
    return Segment(type(module).forward, called)


def _written(graph: fx.Graph, x: fx.Node, value: Any) -> Any:
    """A known value as an argument in the graph of a segment whose input is ``x``."""
    if value is BATCH:
        return graph.call_method("size", (x, 0))
    if isinstance(value, tuple):
        return tuple(_written(graph, x, part) for part in value)
    return value


def _call(node: fx.Node, known: Mapping[fx.Node, list[Any]]) -> Call:
    """What the unit is given besides its input. Raises NetworkError if that is not known beforehand."""

    def value(argument: fx.Node) -> Any:
        found = known[argument][0] if argument in known else BATCH
        if found is BATCH:
            raise NetworkError(f"unit {node.target}: is given {argument.name} besides its input; it must be a constant")
        return found

    given = fx.map_arg((node.args[1:], dict(node.kwargs)), value)
    return Call(tuple(given[0]), dict(given[1]))


def _constants(network: nn.Module, nodes: Sequence[fx.Node]) -> dict[str, Tensor]:
    """Tensors that the code reads and that are neither parameters nor buffers."""
    there = {name for name, _ in (*network.named_parameters(), *network.named_buffers())}
    names = [str(node.target) for node in nodes if node.op == "get_attr" and node.target not in there]
    found = {name: value for name in names if isinstance(value := getattr(network, name, None), Tensor)}
    for name in found:
        delattr(network, name)
    return found
