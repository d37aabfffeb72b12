"""Tables beside the replay: test accuracies that it is scored by; the schedule's curve over K and its map of cells."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from depthdial.artefacts import read_table
from depthdial.errors import ArtefactError
from depthdial.files import atomic_path
from depthdial.schedule.choices import Choice
from depthdial.schedule.table import ScheduleTable


@dataclass(frozen=True)
class Scores:
    """Test accuracies by network and configuration: they score what was chosen, and choose nothing."""

    accuracies: dict[tuple[str, str], float]

    def of(self, choices: Sequence[Choice]) -> NDArray[np.float64]:
        """The test accuracy of every choice; shape (choices,). Raises ArtefactError that names those without one."""
        keys = [(choice.network, choice.name) for choice in choices]
        if missing := [" ".join(key) for key in keys if key not in self.accuracies]:
            raise ArtefactError(f"no test accuracy of {', '.join(missing)}; read the test split of their network again")
        return np.array([self.accuracies[key] for key in keys])


def read_scores(paths: Iterable[str | os.PathLike[str]]) -> Scores:
    """The test accuracies out of the ``test.parquet`` of several networks."""
    found = pd.concat([read_table(path, ["network", "name", "test_accuracy"]) for path in paths])
    keys = zip(found["network"], found["name"], strict=True)
    return Scores(dict(zip(keys, found["test_accuracy"], strict=True)))


def curve_table(table: ScheduleTable) -> pd.DataFrame:
    """One row per K: resident, val_accuracy, misses, over_budget, configurations, chosen (the K of the schedule)."""
    return pd.DataFrame(
        [
            {
                "resident": point.resident,
                "val_accuracy": point.accuracy,
                "misses": point.misses,
                "over_budget": point.over_budget,
                "configurations": " ".join(point.configurations),
                "used": point.resident == len(table.configurations),
            }
            for point in table.curve
        ]
    )


def cell_table(table: ScheduleTable) -> pd.DataFrame:
    """One row per cell: the level of every axis in physical units, configuration, its numbers, unserved."""
    unserved = {cell.cell for cell in table.unserved}
    rows = []
    for cell, index in enumerate(table.cells):
        configuration = table.configurations[index]
        rows.append(
            {
                "cell": cell,
                **table.grid.describe(cell),
                "configuration": configuration.name,
                "index": index,
                "val_accuracy": configuration.accuracy,
                "latency_ms": configuration.latency_ms,
                "energy_mj": configuration.energy_mj,
                "unserved": cell in unserved,
                "energy_source": table.energy_source,
            }
        )
    return pd.DataFrame(rows)


def write_table(path: str | os.PathLike[str], table: pd.DataFrame) -> None:
    """Write a Parquet file, whole or not at all."""
    with atomic_path(path) as temporary:
        table.to_parquet(temporary, index=False)
