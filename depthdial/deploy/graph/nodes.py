"""What a network computes, as a graph of few operations, described without torch."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from depthdial.artefacts import read_json, reading
from depthdial.files import write_json
from depthdial.networks.masks import Mask

INPUT = "input"


class Node(BaseModel):
    """One operation on values of one image: inputs and the result are named, the result has the name of the node."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    op: str
    inputs: tuple[str, ...]
    shape: tuple[int, ...]
    """As in PyTorch, the 1 of a batch of one included."""
    parameters: dict[str, str] = {}
    """Names of tensors in the archives, by what they are to the operation."""
    attributes: dict[str, Any] = {}
    unit: int | None = None
    """The unit that it is skipped with."""
    where: str = ""
    """The module of the network that it came from."""


class Tensor(BaseModel):
    """How a tensor of the archive of weights lies: as PyTorch has it, or as kernels read it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    shape: tuple[int, ...]
    layout: str
    """``dense`` and ``depthwise`` for filters (out, in, rows, columns), ``plain``."""
    groups: int = 1


class Graph(BaseModel):
    """A network: nodes in an order in which they can be computed, the last of which gives the logits."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: int = 1
    input_shape: tuple[int, ...]
    nodes: tuple[Node, ...]
    weights: dict[str, Tensor]
    normalised: dict[str, int]
    """Channels of each BatchNorm, by its name."""
    units: int

    @property
    def sha256(self) -> str:
        """A digest of all that it says."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    def keeping(self, mask: Mask) -> Graph:
        """The graph of one configuration: a skipped unit leaves its input, or what changes the shape of it.

        Raises ValueError for a mask of another length, and for a unit that cannot be skipped.
        """
        if mask.n != self.units:
            raise ValueError(f"mask {mask} has {mask.n} units, the network has {self.units}")
        nodes = {node.name: node for node in self.nodes}
        renamed: dict[str, str] = {}
        for unit in set(range(self.units)) - set(mask.kept):
            inside = [node for node in self.nodes if node.unit == unit]
            if inside:
                old, new, bypass = self._skip(unit, inside)
                renamed[old] = new
                for node in inside:
                    del nodes[node.name]
                nodes |= bypass
        order = [node.name for node in self.nodes]
        rebuilt = []
        for name in sorted(nodes, key=order.index):
            node = nodes[name]
            rebuilt.append(node.model_copy(update={"inputs": tuple(_resolve(one, renamed) for one in node.inputs)}))
        last = _resolve(self.nodes[-1].name, renamed)
        return self.model_copy(update={"nodes": tuple(live(rebuilt, last))})

    def _skip(self, unit: int, inside: list[Node]) -> tuple[str, str, dict[str, Node]]:
        """The value that a unit gives, what stands for it when it is skipped, and the nodes that this needs."""
        names = {node.name for node in inside}
        shapes = {INPUT: self.input_shape} | {node.name: node.shape for node in self.nodes}
        constants = {node.name for node in self.nodes if node.op == "constant"}
        given = {one for node in inside for one in node.inputs if one not in names} - constants
        used = {one for node in self.nodes if node.name not in names for one in node.inputs} & names
        used |= names & {self.nodes[-1].name}
        if len(given) != 1 or len(used) != 1:
            raise ValueError(f"unit {unit} reads {sorted(given)} and gives {sorted(used)}; expected one of each")
        source, result = given.pop(), used.pop()
        if shapes[source] == shapes[result]:
            return result, source, {}
        by_name = {node.name: node for node in inside}
        shortcut, path = _shortcut(by_name, result, source)
        if shapes[shortcut] != shapes[result]:
            raise ValueError(f"unit {unit} makes {shapes[result]} of {shapes[source]}: it cannot be skipped")
        return result, shortcut, {name: by_name[name].model_copy(update={"unit": None}) for name in path}


RESHAPING = ("slice", "pad", "reshape", "permute")


def _shortcut(inside: Mapping[str, Node], result: str, source: str) -> tuple[str, list[str]]:
    """The branch of a unit's sum that only changes shapes: its last value, and its nodes."""
    node = inside[result]
    while node.op not in ("add", *RESHAPING) and len(node.inputs) == 1 and node.inputs[0] in inside:
        node = inside[node.inputs[0]]
    for branch in node.inputs:
        path, at = [], branch
        while at in inside and inside[at].op in RESHAPING:
            path.append(at)
            at = inside[at].inputs[0]
        if at == source:
            return branch, path
    return source, []


def _resolve(name: str, renamed: Mapping[str, str]) -> str:
    while name in renamed:
        name = renamed[name]
    return name


def live(nodes: Iterable[Node], last: str) -> list[Node]:
    """The nodes that ``last`` needs, which comes last."""
    by_name = {node.name: node for node in nodes}
    needed, stack = set(), [last]
    while stack:
        name = stack.pop()
        if name not in needed and name != INPUT:
            needed.add(name)
            stack += by_name[name].inputs
    return [node for name, node in by_name.items() if name in needed]


def write_graph(path: str | os.PathLike[str], graph: Graph) -> None:
    """Write a graph as JSON."""
    write_json(path, graph.model_dump(mode="json"))


def read_graph(path: str | os.PathLike[str]) -> Graph:
    """Read and check. Raises ArtefactError that names the file."""
    with reading(path, "the graph of a network"):
        return Graph.model_validate(read_json(path))
