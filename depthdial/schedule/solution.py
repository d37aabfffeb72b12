"""What a solver hands over: a table and the proof of its optimality."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Solution:
    """A table and the proof of its optimality. ``choice`` indexes the problem's configurations."""

    choice: NDArray[np.intp]
    missed: NDArray[np.bool_]
    residents: tuple[int, ...]
    accuracy: float
    """Expected accuracy of an inference, missed ones counted as wrong."""
    bound: float
    """No table that misses as few cells and keeps the budgets has a higher expected accuracy."""
    misses: float
    """Expected share of inferences in cells that are not served in time."""
    switches: float
    """Expected switches per inference."""
    limits_mj: NDArray[np.float64]
    """The budgets as they were kept: where one yields to the cheapest table, its energy."""
    energy_mj: NDArray[np.float64]
    """Mean energy of an inference under each budget."""
    seconds: float

    @property
    def gap(self) -> float:
        """Relative distance of the proven bound from what was reached."""
        return max(0.0, self.bound - self.accuracy) / max(self.accuracy, 1e-12)
