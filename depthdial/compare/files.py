"""Comparison tables as CSV files."""

from __future__ import annotations

import os

import pandas as pd

from depthdial.artefacts import read_csv
from depthdial.files import atomic_path


def write_csv(path: str | os.PathLike[str], table: pd.DataFrame) -> None:
    """Write a table, whole or not at all; eight digits are more than any comparison carries."""
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.8g")


def read_comparison(path: str | os.PathLike[str]) -> pd.DataFrame:
    """A comparison table; what looks like a number but is a name stays text."""
    return read_csv(path, text=("skipped", "mask", "budget", "commit", "torch"))
