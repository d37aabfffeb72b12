"""An exported program of torch on its way to a graph: names, constants and weights."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.fx import Node as FxNode

from depthdial.deploy.graph.nodes import INPUT, Graph, Node, Tensor, live
from depthdial.errors import DeployError

Handler = Callable[["Tracer", FxNode], "Node | str"]
"""What an operation of torch is: a node, or the name of the value that it leaves as it is."""


class UnsupportedError(Exception):
    """An operation that there is no kernel for; says which, and where in the network."""


class Tracer:
    """An exported program on its way to a graph."""

    def __init__(
        self,
        exported: torch.export.ExportedProgram,
        units: Sequence[str],
        shape: tuple[int, ...],
        handlers: Mapping[str, Handler],
    ) -> None:
        self.exported, self.units, self.shape, self.handlers = exported, list(units), shape, handlers
        self.constants: dict[str, tuple[str, torch.Tensor]] = {}
        self.alias: dict[str, str] = {}
        self.nodes: dict[str, Node] = {}
        self.weights: dict[str, Tensor] = {}
        self.values: dict[str, torch.Tensor] = {}
        self.normalised: dict[str, int] = {}

    def graph(self) -> tuple[Graph, dict[str, torch.Tensor]]:
        """Everything, translated."""
        self._name_constants()
        problems, last = [], INPUT
        for node in self.exported.graph.nodes:
            if node.op == "call_function" and not self._folded(node):
                try:
                    self._translate(node)
                except UnsupportedError as error:
                    problems.append(str(error))
            elif node.op == "output":
                last = self.name(node.args[0][0]) if not problems else INPUT
        if problems:
            raise DeployError("operations that are not supported: " + "; ".join(dict.fromkeys(problems)))
        nodes = live(self.nodes.values(), last)
        used = {key for node in nodes for role, key in node.parameters.items() if role != "norm"}
        graph = Graph(
            input_shape=self.shape,
            nodes=tuple(nodes),
            weights={key: self.weights[key] for key in sorted(used)},
            normalised=self.normalised,
            units=len(self.units),
        )
        return graph, {key: self.values[key] for key in sorted(used)}

    def _name_constants(self) -> None:
        signature, state = self.exported.graph_signature, self.exported.state_dict
        held = {**state, **self.exported.constants}
        names = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
        names |= signature.inputs_to_lifted_tensor_constants
        for node in self.exported.graph.nodes:
            if node.op == "placeholder":
                if node.name in names:
                    self.constants[node.name] = (names[node.name], held[names[node.name]].detach())
                else:
                    self.alias[node.name] = INPUT

    def _folded(self, node: FxNode) -> bool:
        """Whether a node depends on nothing but constants: then it is one itself."""
        if str(node.target).startswith("aten.new_zeros"):  # reads the type of its source alone
            size = [int(one) for one in node.args[1]]  # type: ignore[union-attr,arg-type]
            self.constants[node.name] = (f"folded.{node.name}", torch.zeros(size))
            return True
        sources = node.all_input_nodes
        if any(source.name not in self.constants for source in sources):
            return False
        values = {source: self.constants[source.name][1] for source in sources}
        args, kwargs = torch.fx.node.map_arg((node.args, node.kwargs), lambda one: values[one])
        self.constants[node.name] = (f"folded.{node.name}", node.target(*args, **kwargs))  # type: ignore[operator]
        return True

    def _translate(self, node: FxNode) -> None:
        packet = getattr(node.target, "_overloadpacket", node.target)
        name = "getitem" if packet is operator.getitem else str(packet).removeprefix("aten.")
        if name not in self.handlers:
            raise UnsupportedError(f"{name} in {self.where(node) or 'the network itself'}")
        made = self.handlers[name](self, node)
        if isinstance(made, str):
            self.alias[node.name] = made
        else:
            self.nodes[node.name] = made

    @staticmethod
    def where(node: FxNode) -> str:
        """The innermost module that a node is of."""
        stack = list((node.meta.get("nn_module_stack") or {"": ("",)}).values())
        return str(stack[-1][0])

    def unit(self, node: FxNode) -> int | None:
        """The unit that a node is of."""
        paths = [path for path, _ in (node.meta.get("nn_module_stack") or {}).values()]
        return next((self.units.index(path) for path in paths if path in self.units), None)

    def name(self, node: Any) -> str:
        """The value of a node of torch, by its name here; a constant becomes a node."""
        if node.name in self.alias:
            return self.alias[node.name]
        if node.name in self.constants and node.name not in self.nodes:
            key, value = self.constants[node.name]
            weight = self.weight(key, value.float(), "plain")
            parts = {"name": node.name, "op": "constant", "inputs": (), "shape": tuple(value.shape)}
            self.nodes[node.name] = Node(**parts, parameters={"value": weight}, where=self.where(node))
        return str(node.name)

    def weight(self, key: str, value: torch.Tensor, layout: str, groups: int = 1) -> str:
        """Keep a tensor of the archive, in one layout."""
        tensor = Tensor(shape=tuple(value.shape), layout=layout, groups=groups)
        if self.weights.setdefault(key, tensor) != tensor:
            key = f"{key}.{layout}"
            self.weights[key] = tensor
        self.values[key] = value
        return key

    def parameter(self, node: Any, layout: str = "plain", groups: int = 1) -> str:
        """The name of a weight that an operation is given. Raises if it is none."""
        if node.name not in self.constants:
            raise UnsupportedError(f"weights that are computed from the image, in {self.where(node)}")
        key, value = self.constants[node.name]
        return self.weight(key, value, layout, groups)

    def node(
        self, node: FxNode, op: str, *inputs: Any, parameters: dict[str, str] | None = None, **attributes: Any
    ) -> Node:
        """A node of ours for one of torch's."""
        return Node(
            name=node.name,
            op=op,
            inputs=tuple(self.name(one) for one in inputs),
            shape=tuple(node.meta["val"].shape),
            parameters=parameters or {},
            attributes=attributes,
            unit=self.unit(node),
            where=self.where(node),
        )
