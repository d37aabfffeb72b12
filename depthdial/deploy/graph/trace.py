"""From a PyTorch module to a graph: torch.export, and each of its operations in words of our own."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from depthdial.deploy.graph.nodes import Graph
from depthdial.deploy.graph.operations import HANDLERS
from depthdial.deploy.graph.tracer import Tracer


def trace(net: nn.Module, example: torch.Tensor, units: Sequence[str] = ()) -> tuple[Graph, dict[str, torch.Tensor]]:
    """The graph of a module in evaluation mode for one image like ``example``, and its weights by name.

    ``units`` are the names of the modules that can be skipped, in forward order. Weights have the names of the
    module's own; what is computed from weights alone is computed here, once. Raises DeployError that names every
    operation that is not supported, and where in the network it is.
    """
    with torch.no_grad():
        exported = torch.export.export(net.eval(), (example,)).run_decompositions({})
        return Tracer(exported, units, tuple(example.shape), HANDLERS).graph()
