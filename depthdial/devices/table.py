"""The table of a device: latency, energy and memory of every configuration, derived from records."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pandera.pandas as pa
from numpy.typing import NDArray
from scipy.stats import t as student

from depthdial.config.benchmark import Benchmark
from depthdial.deploy.manifest import Manifest
from depthdial.devices.records import Window
from depthdial.errors import MeasurementError

MOST_DRAWN = 400
SCHEMA = pa.DataFrameSchema(
    {
        "network": pa.Column(str),
        "configuration": pa.Column(str, pa.Check.str_matches(r"^c\d\d$")),
        "mask": pa.Column(str, pa.Check.str_matches(r"^[01]+$")),
        "macs": pa.Column("int64", pa.Check.gt(0)),
        "val_accuracy": pa.Column(float, pa.Check.in_range(0, 1)),
        "n_inferences": pa.Column("int64", pa.Check.gt(0)),
        "latency_ms": pa.Column(float, pa.Check.gt(0)),
        "latency_low_ms": pa.Column(float, pa.Check.gt(0)),
        "latency_high_ms": pa.Column(float, pa.Check.gt(0)),
        "latency_p90_ms": pa.Column(float, pa.Check.gt(0)),
        "latency_p99_ms": pa.Column(float, pa.Check.gt(0)),
        "latency_mad_ms": pa.Column(float, pa.Check.ge(0)),
        "energy_mj": pa.Column(float, pa.Check.gt(0), nullable=True),
        "energy_low_mj": pa.Column(float, pa.Check.gt(0), nullable=True),
        "energy_high_mj": pa.Column(float, pa.Check.gt(0), nullable=True),
        "energy_source": pa.Column(str, pa.Check.isin(["rapl", "hwmon", "command", "nvml", "modelled"])),
        "resident_bytes": pa.Column("Int64", pa.Check.gt(0), nullable=True),
        "valid": pa.Column(bool),
    },
    strict=True,
    ordered=True,
    unique=["network", "configuration"],
)
"""Columns of latency.parquet. Latencies are of single inferences; intervals are 95 % bootstrap intervals of medians.
Energy is null where it is not valid. The accuracy is the one that choices are made by, on the validation split."""


def latency_table(windows: Sequence[Window], manifests: Sequence[Manifest], settings: Benchmark) -> pd.DataFrame:
    """One row per configuration, from the windows that hold up (from all, marked, on a device that is too noisy).

    Raises MeasurementError if a configuration of a manifest has no window.
    """
    generator = np.random.default_rng(settings.seed)
    valid = any(window.valid for window in windows)
    rows = []
    for manifest in manifests:
        for configuration in manifest.configurations:
            own = [
                window
                for window in windows
                if (window.network, window.configuration) == (manifest.network, configuration.name)
                and window.valid == valid
            ]
            if not own:
                raise MeasurementError(f"{manifest.network} {configuration.name} has no measurement; measure again")
            rows.append(
                {
                    "network": manifest.network,
                    "configuration": configuration.name,
                    "mask": configuration.mask,
                    "macs": configuration.macs,
                    "val_accuracy": configuration.validation_accuracy,
                    **_latency(own, settings.resamples, generator),
                    **_energy(own, settings.resamples, generator),
                    "resident_bytes": max((w.resident_bytes for w in own if w.resident_bytes), default=None),
                    "valid": valid,
                }
            )
    table = pd.DataFrame(rows).astype({"resident_bytes": "Int64"})
    return SCHEMA.validate(table)


def _latency(windows: Sequence[Window], resamples: int, generator: np.random.Generator) -> dict[str, float | int]:
    groups = [np.asarray(window.latencies_ms) for window in windows]
    pooled = np.concatenate(groups)
    median = float(np.median(pooled))
    low, high = median_interval(groups, resamples, generator)
    p90, p99 = np.quantile(pooled, (0.9, 0.99))
    return {
        "n_inferences": len(pooled),
        "latency_ms": median,
        "latency_low_ms": low,
        "latency_high_ms": high,
        "latency_p90_ms": float(p90),
        "latency_p99_ms": float(p99),
        "latency_mad_ms": float(np.median(np.abs(pooled - median))),
    }


def _energy(windows: Sequence[Window], resamples: int, generator: np.random.Generator) -> dict[str, float | str]:
    """Median over windows with its interval; null unless every window's energy is valid."""
    source = windows[0].energy.source
    values = [w.energy.energy_mj for w in windows if w.energy.valid and w.energy.energy_mj is not None]
    if len(values) < len(windows):
        return {"energy_mj": np.nan, "energy_low_mj": np.nan, "energy_high_mj": np.nan, "energy_source": source}
    low, high = median_interval([np.array([value]) for value in values], resamples, generator)
    return {
        "energy_mj": float(np.median(values)),
        "energy_low_mj": low,
        "energy_high_mj": high,
        "energy_source": source,
    }


def median_interval(
    groups: Sequence[NDArray[np.float64]], resamples: int, generator: np.random.Generator
) -> tuple[float, float]:
    """95 % bootstrap interval of the median of positive samples that come in two groups or more.

    Groups are drawn with replacement and samples within each (two-stage cluster bootstrap; Davison and Hinkley 1997,
    section 3.8): inferences of one window share its state, so they are no independent draws. The spread of the
    resampled medians' logarithms is their standard error, too small by sqrt((k - 1) / k) where there are k groups; the
    interval reaches as many of them as Student's t asks for, because percentiles are too narrow where groups are few
    (Hesterberg 2015, "What teachers should know about the bootstrap", sections 3 and 4). Of a longer group
    ``MOST_DRAWN`` evenly spaced quantiles are drawn from, which is quicker and makes the interval no narrower.
    """
    places = np.linspace(0, 1, MOST_DRAWN)
    pooled = np.median(np.concatenate(groups))
    groups = [np.quantile(group, places) if len(group) > MOST_DRAWN else group for group in groups]
    medians = np.empty(resamples)
    for index in range(resamples):
        drawn = [groups[group] for group in generator.integers(len(groups), size=len(groups))]
        again = [group[generator.integers(len(group), size=len(group))] for group in drawn]
        medians[index] = np.median(np.concatenate(again))
    more = len(groups) - 1
    factor = np.exp(student.ppf(0.975, more) * np.sqrt((more + 1) / more) * np.log(medians).std())
    return float(pooled / factor), float(pooled * factor)
