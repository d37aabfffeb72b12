"""The configurations to choose from, as they were measured on a device."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from depthdial.artefacts import read_table
from depthdial.errors import ArtefactError, ScheduleError

COLUMNS = (
    "network",
    "configuration",
    "val_accuracy",
    "latency_ms",
    "latency_p90_ms",
    "latency_p99_ms",
    "energy_mj",
    "energy_source",
    "resident_bytes",
    "valid",
)


@dataclass(frozen=True)
class Choice:
    """One configuration on one device. Accuracy is on the validation split; latencies are measured quantiles."""

    name: str
    network: str
    accuracy: float
    latency_ms: float
    latency_p90_ms: float
    latency_p99_ms: float
    energy_mj: float
    energy_source: str
    resident_bytes: int
    noisy: bool = False
    """The device was too noisy for its figures to hold up; they are used and marked."""

    def __post_init__(self) -> None:
        positive = (self.latency_ms, self.latency_p90_ms, self.latency_p99_ms, self.energy_mj)
        if not all(math.isfinite(value) and value > 0 for value in positive):
            raise ScheduleError(
                f"{self.network}/{self.name}: latencies {positive[:3]} ms and energy {positive[3]} mJ must be "
                "finite and above 0; measure the device again"
            )
        if not self.latency_ms <= self.latency_p90_ms <= self.latency_p99_ms:
            raise ScheduleError(
                f"{self.network}/{self.name}: latency quantiles must ascend, got median {self.latency_ms}, "
                f"p90 {self.latency_p90_ms}, p99 {self.latency_p99_ms} ms"
            )
        if not 0 <= self.accuracy <= 1:  # also refuses NaN
            raise ScheduleError(f"{self.network}/{self.name}: accuracy is a fraction in [0, 1], got {self.accuracy}")
        if self.resident_bytes < 0:
            raise ScheduleError(f"{self.network}/{self.name}: resident bytes {self.resident_bytes} are negative")

    def latency(self, quantile: str) -> float:
        """Latency in ms at ``median``, ``p90`` or ``p99``."""
        return {"median": self.latency_ms, "p90": self.latency_p90_ms, "p99": self.latency_p99_ms}[quantile]

    def _quantiles(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Latencies and the shares of inferences that take at most as long; shape (5,) each."""
        below = max(0.0, 2 * self.latency_ms - self.latency_p90_ms)
        above = 2 * self.latency_p99_ms - self.latency_p90_ms
        points = np.array([below, self.latency_ms, self.latency_p90_ms, self.latency_p99_ms, above])
        # Equal quantiles are a step; np.interp wants them apart.
        return np.maximum.accumulate(points) * (1 + 1e-12 * np.arange(5)), np.array([0.0, 0.5, 0.9, 0.99, 1.0])

    def met(self, limit_ms: NDArray[np.float64]) -> NDArray[np.float64]:
        """The shares of inferences that take at most ``limit_ms``: the measured quantiles, joined by lines."""
        latencies, shares = self._quantiles()
        return np.interp(limit_ms, latencies, shares, left=0.0, right=1.0)

    def drawn(self, uniform: NDArray[np.float64]) -> NDArray[np.float64]:
        """The latencies in ms below which shares ``uniform`` of the inferences stay."""
        latencies, shares = self._quantiles()
        return np.interp(uniform, shares, latencies)


def read_latency_table(path: str | os.PathLike[str]) -> pd.DataFrame:
    """The table of measured configurations. Raises ArtefactError that names the file and the columns it lacks."""
    table = read_table(path, again="measure the device again")
    if missing := [column for column in COLUMNS if column not in table.columns]:
        raise ArtefactError(f"{path}: the latency table lacks {', '.join(missing)}; measure the device again")
    return table


def choices_of(table: pd.DataFrame, network: str) -> tuple[Choice, ...]:
    """The valid configurations of one network, by name; c00, if there is one, comes first.

    A device that was too noisy has no valid row at all (``benchmark.too_noisy: mark``): then all are taken, marked.
    Raises ScheduleError if there is none, or if a row holds NaN, negative or contradictory numbers.
    """
    noisy = not table["valid"].any()
    rows = table[(table["network"] == network) & (table["valid"] | noisy)].sort_values("configuration")
    if rows.empty:
        raise ScheduleError(
            f"{network}: the latency table has no valid measurement of it; it holds valid rows of "
            f"{sorted(set(table.loc[table['valid'], 'network']))}"
        )
    return tuple(
        Choice(
            name=str(row["configuration"]),
            network=network,
            accuracy=float(row["val_accuracy"]),
            latency_ms=float(row["latency_ms"]),
            latency_p90_ms=float(row["latency_p90_ms"]),
            latency_p99_ms=float(row["latency_p99_ms"]),
            energy_mj=float(row["energy_mj"]),
            energy_source=str(row["energy_source"]),
            resident_bytes=int(row["resident_bytes"]) if pd.notna(row["resident_bytes"]) else 0,
            noisy=noisy,
        )
        for row in rows.to_dict("records")
    )
