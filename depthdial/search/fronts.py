"""How good a measured set of masks is: exact hypervolume, and IGD+ against a true front.

Objectives are cost as a share of the full network's MACs (less is better) and accuracy (more is better).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import moocore
import numpy as np
from numpy.typing import NDArray

from depthdial.networks.description import Description
from depthdial.networks.masks import Mask
from depthdial.select.front import pareto_front

REFERENCE_COST = 1.1
"""The reference point's cost: a tenth beyond the full network, so that the full network counts too."""


@dataclass(frozen=True)
class Measure:
    """Indicators of one network: the reference point is (1.1 of the full MACs, the accuracy of chance)."""

    network: Description

    @property
    def reference(self) -> tuple[float, float]:
        """Cost and accuracy of the reference point."""
        return REFERENCE_COST, 1 / self.network.classes

    def points(self, accuracies: Mapping[Mask, float]) -> NDArray[np.float64]:
        """The front of measured masks as rows (cost, error), by ascending cost."""
        cost = costs(self.network, list(accuracies)) / self.network.full_macs
        accuracy = np.array(list(accuracies.values()))
        front = pareto_front(cost, accuracy)
        return np.column_stack([cost[front], 1 - accuracy[front]])

    def hypervolume(self, accuracies: Mapping[Mask, float]) -> float:
        """Area dominated by the measured masks up to the reference point, exactly (moocore)."""
        cost, accuracy = self.reference
        return float(moocore.hypervolume(self.points(accuracies), ref=[cost, 1 - accuracy]))

    def igd_plus(self, accuracies: Mapping[Mask, float], truth: NDArray[np.float64]) -> float:
        """Mean distance of the true front (rows of cost and error) to what the masks dominate (Ishibuchi 2015)."""
        return float(moocore.igd_plus(self.points(accuracies), ref=truth))


def front_of(network: Description, accuracies: Mapping[Mask, float]) -> list[Mask]:
    """The masks on the front, by ascending cost; of equal points the mask that sorts first."""
    masks: Sequence[Mask] = sorted(accuracies)
    accuracy = np.array([accuracies[mask] for mask in masks])
    return [masks[index] for index in pareto_front(costs(network, masks), accuracy)]


def costs(network: Description, masks: Sequence[Mask]) -> NDArray[np.float64]:
    """Multiply-accumulates of every mask."""
    gates = np.frombuffer("".join(mask.bits for mask in masks).encode(), np.uint8).reshape(len(masks), -1) == ord("1")
    return network.fixed_macs + gates @ np.array([block.macs for block in network.units], np.float64)
