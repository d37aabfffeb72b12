"""The schedule as tables for figures: the curve over K, and the map of cells."""

from __future__ import annotations

import os

import pandas as pd

from depthdial.files import atomic_path
from depthdial.schedule.table import ScheduleTable


def curve_table(table: ScheduleTable) -> pd.DataFrame:
    """One row per K: resident, accuracy, misses, over_budget, configurations, chosen (the K of the schedule)."""
    return pd.DataFrame(
        [
            {
                "resident": point.resident,
                "accuracy": point.accuracy,
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
                "accuracy": configuration.accuracy,
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
