"""How configurations are chosen among the evaluated masks."""

from __future__ import annotations

from pydantic import Field

from depthdial.config.base import Name, Section


class Select(Section):
    """Choice of the configurations of a dial."""

    cost: Name = "macs"
    """What accuracy is traded against: `macs`, or the name of a device of the benchmark, whose latency of every mask
    is predicted from a few dozen measured ones (`benchmark.cost_model`)."""
    configurations: int = Field(default=6, ge=1, le=60)
    """Number of configurations to deploy, the full network `c00` among them."""
    largest_drop: float = Field(default=0.05, gt=0, le=1)
    """Validation accuracy that a configuration may lose against the full network, as a fraction; the corner of
    the hypervolume lies there, at the cost of the full network."""
