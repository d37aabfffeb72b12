"""A dial on one device as plain data: what the page shows, and what its script turns."""

from __future__ import annotations

from typing import Any

import pandas as pd

from depthdial.figures.trace import moments
from depthdial.schedule.explain import AXES_SAID, axis_value, explain, reasons
from depthdial.schedule.grid import Axis
from depthdial.schedule.table import ScheduleTable

Row = dict[Any, Any]
QUANTILES = {"median": "median", "p90": "90 % take at most", "p99": "99 % take at most"}


def turned(schedule: ScheduleTable, measured: pd.DataFrame) -> dict[str, Any]:
    """The schedule to turn; ``measured`` is the device's table.

    axes: name, meaning, named (with the unit), levels and texts (a level each, without and with the unit). start: the
    level of each axis to begin with. settings: the resident configurations, in the table's order. cells: the index of
    a setting for every cell, the last axis fastest; reasons: why, for every cell; unserved: cells not served in time.
    """
    rows: list[Row] = measured[measured["network"] == schedule.network].to_dict("records")
    by_name = {row["configuration"]: row for row in rows}
    return {
        "axes": [_axis(axis) for axis in schedule.grid.axes],
        "start": [start(axis, schedule) for axis in schedule.grid.axes],
        "settings": [setting(by_name[c.name], schedule.quantile, c.latency_ms) for c in schedule.configurations],
        "cells": list(schedule.cells),
        "reasons": [" ".join(reasons(schedule, explain(schedule, cell))) for cell in range(len(schedule.cells))],
        "unserved": [cell.cell for cell in schedule.unserved],
    }


def _axis(axis: Axis) -> dict[str, Any]:
    bound = "at least" if axis.is_floor else "at most"
    meaning, unit = AXES_SAID[axis.name]
    return {
        "name": axis.name,
        "meaning": meaning,
        "named": f"{axis.name} / {unit}" if unit else axis.name,
        "levels": [f"{value:.3g}" for value in axis.values.tolist()],
        "bound": bound,
        "texts": [axis_value(axis.name, value) for value in axis.values.tolist()],
    }


def start(axis: Axis, schedule: ScheduleTable) -> int:
    """Where the page begins: on plan, with the deadline that the full network would just meet, undisturbed."""
    values = axis.values.tolist()
    wanted = {"reserve": 1.0, "battery": 1.0, "deadline": schedule.full_latency_ms, "slowdown": 1.0}.get(axis.name)
    if wanted is None:
        return len(values) // 2
    return min(range(len(values)), key=lambda index: abs(values[index] - wanted))


def setting(row: Row, quantile: str, late_ms: float) -> dict[str, Any]:
    """A configuration as measured: name, mask, and its figures as texts."""
    late = "" if quantile == "median" else f"; {QUANTILES[quantile]} {late_ms:.3g} ms"
    source = "" if row["energy_source"] == "measured" else f" ({row['energy_source']})"
    return {
        "name": row["configuration"],
        "mask": row["mask"],
        "accuracy": plus_minus(row, "test_accuracy"),
        "latency": f"{row['latency_ms']:.3g} ms{late}",
        "energy": f"{row['energy_mj']:.3g} mJ{source}" if pd.notna(row["energy_mj"]) else "not valid",
    }


def plus_minus(row: Row, name: str) -> str:
    """A share in per cent with the longer side of its interval."""
    half = 100 * max(row[f"{name}_high"] - row[name], row[name] - row[f"{name}_low"])
    return f"{100 * row[name]:.1f} ± {half:.1f} %"


def day(steps: pd.DataFrame, ours: str, full: str) -> list[dict[str, Any]]:
    """A replayed day at the moments that its picture tells.

    ``steps`` are those of one trace: hour, deadline (text), configuration, charge left (share), and the inputs answered
    rightly and in time up to then, by the policy ``ours`` and by ``full``.
    """
    run, other = (_summed(steps, policy) for policy in (ours, full))
    found = []
    for index in moments(len(run)):
        row, rival = run[index], other[min(index, len(other) - 1)]
        found.append(
            {
                "hour": row["time_s"] / 3600,
                "deadline": f"{row['deadline_ms']:.3g} ms",
                "configuration": row["configuration"] or "none: the charge is spent",
                "battery": row["battery"],
                "correct": round(row["sum"]),
                "battery_full": rival["battery"],
                "correct_full": round(rival["sum"]),
            }
        )
    return found


def _summed(steps: pd.DataFrame, policy: str) -> list[Row]:
    run = steps[steps["policy"] == policy].copy()
    run["configuration"] = run["configuration"].astype(object).fillna("").astype(str)
    run["sum"] = (run["accuracy"].fillna(0) * run["met"]).cumsum()
    return run.to_dict("records")
