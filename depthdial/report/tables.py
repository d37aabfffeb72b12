"""Tables on the page: short at first look, exact on demand, with the CSV beside them."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from depthdial.compare.files import read_comparison
from depthdial.compare.tables import STYLES, Column, columns_of, shown

Row = dict[Any, Any]
MOST_COLUMNS = 8
FIRST = {
    "configurations": ("name", "mask", "macs", "val_accuracy", "test_accuracy", "to_full", "latency_ms", "energy_mj"),
    "equal_macs": ("budget", "dial_macs", "dial", "static", "to_static", "to_constant", "to_skipped"),
    "equal_time": ("budget", "configuration", "latency_ms", "speedup", "dial", "static", "to_static", "to_constant"),
    "skipping": ("skipped", "masks", "dial_best", "dial_mean", "dial_worst", "control_best", "control_mean",
                 "control_worst"),
    "recipes": ("network", "differs", "seconds", "full", "at_75", "at_50", "at_25", "hypervolume"),
}  # fmt: skip
"""The columns that wide tables show at first look; the others come on demand."""

DECIMALS = {"milliseconds": 9, "seconds": 1, "number": 4}
"""Styles whose decimals follow from the interval, and how many there are at most."""


@dataclass(frozen=True)
class Cell:
    """A cell: what is shown, and what is behind it to every digit."""

    brief: str
    exact: str
    mask: bool = False
    """It is a mask, to be drawn as blocks."""


@dataclass(frozen=True)
class Table:
    """A table on the page; ``further`` are the columns that come on demand."""

    title: str
    name: str
    columns: list[str]
    rows: list[list[Cell]]
    further: frozenset[int]
    csv: str

    @property
    def exact(self) -> bool:
        """Whether any cell has more behind it than it shows."""
        return any(cell.exact != cell.brief for row in self.rows for cell in row)


def data_link(text: str) -> str:
    """A CSV file as a link that needs no other file."""
    return "data:text/csv;base64," + base64.b64encode(text.encode()).decode("ascii")


def table(title: str, name: str, data: pd.DataFrame, columns: Sequence[Column], *, csv: str = "") -> Table:
    """``data`` as a table; ``name`` says which columns come first, and names the file of the CSV."""
    columns = shown(data, columns)
    first = FIRST.get(name) or tuple(column.name for column in columns[:MOST_COLUMNS])
    records: list[Row] = data.to_dict("records")
    return Table(
        title=title,
        name=name,
        columns=[column.title for column in columns],
        rows=[[cell(column, row) for column in columns] for row in records],
        further=frozenset(index for index, column in enumerate(columns) if column.name not in first),
        csv=csv or data.to_csv(index=False),
    )


def comparison(title: str, path: str | Path) -> Table:
    """A comparison table from its CSV."""
    path = Path(path)
    data = read_comparison(path)
    return table(title, path.stem, data, columns_of(path.stem, data), csv=path.read_text(encoding="utf-8"))


def cell(column: Column, row: Row) -> Cell:
    """The cell of a column in a row."""
    exact = column.cell(row)
    return Cell(brief(column, row), exact, column.name == "mask" and bool(exact) and set(exact) <= {"0", "1"})


def brief(column: Column, row: Row) -> str:
    """The text of a cell with the longer side of its interval, to no more digits than that has a meaning for."""
    value = row.get(column.name)
    ends = [row.get(f"{column.name}_{end}", float("nan")) for end in ("low", "high")]
    if column.style == "text" or not isinstance(value, int | float) or pd.isna(value):
        return column.cell(row)
    factor, form = STYLES[column.style]
    if column.style in ("percent", "points"):
        form = form.replace(".2f", ".1f")
    if any(pd.isna(end) for end in ends):
        return form.format(value * factor)
    half = max(value - ends[0], ends[1] - value) * factor
    if column.style in DECIMALS and half > 0:  # two digits of the interval, and as many decimals
        form = f"{{:.{min(DECIMALS[column.style], max(0, 1 - math.floor(math.log10(half))))}f}}"
    return f"{form.format(value * factor)} ± {form.replace('+', '').format(half)}"
