"""Replayed traces: one day under the schedule, and all policies compared."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from depthdial.figures.style import canvas, mark_modelled

SCHEDULE = "schedule with feedback"
LINES = {SCHEDULE: ("dial", "-"), "full network": ("control", "--"), "oracle": ("oracle", ":")}


def trace_data(steps: pd.DataFrame, trace: str) -> pd.DataFrame:
    """The steps of one trace under the policies that the figure shows."""
    chosen = steps[(steps["trace"] == trace) & steps["policy"].isin(list(LINES))].copy()
    chosen["correct_in_time"] = chosen["accuracy"].fillna(0) * chosen["met"]
    return chosen


def draw_trace(data: pd.DataFrame, colours: Mapping[str, str], title: str, source: str, width_mm: float) -> Figure:
    """Conditions, chosen configuration, charge left and correct inferences over one trace."""
    with canvas(width_mm, 1.05, rows=4, sharex=True, height_ratios=[1, 1.3, 1, 1]) as (figure, axes):
        ours = data[data["policy"] == SCHEDULE]
        hours = ours["time_s"] / 3600
        axes[0].plot(hours, ours["deadline_ms"], color=colours["neutral"], linewidth=0.8)
        axes[0].set(ylabel="deadline\n/ ms", title=title, ylim=(0, None))
        if (ours["slowdown"] != 1).any():
            twin = axes[0].twinx()
            twin.plot(hours, ours["slowdown"], color=colours["static"], linewidth=0.8, linestyle="--")
            twin.set_ylabel("slowdown", color=colours["static"])
            twin.grid(visible=False)
        _configurations(axes[1], ours, colours["dial"])
        for policy, (colour, line) in LINES.items():
            run = data[data["policy"] == policy]
            look = {"color": colours[colour], "linestyle": line, "label": policy}
            axes[2].plot(run["time_s"] / 3600, 100 * run["battery"], **look)
            axes[3].plot(run["time_s"] / 3600, run["correct_in_time"].cumsum() / 1000, **look)
        axes[2].set(ylabel="charge left\n/ %", ylim=(0, 102))
        axes[3].set(ylabel="correct, in time\n/ 1000", xlabel="time / h", ylim=(0, None))
        axes[3].legend(loc="upper left")
        mark_modelled(axes[2], source, 0.98)
        return figure


def _configurations(axis: Axes, run: pd.DataFrame, colour: str) -> None:
    names = sorted({name for name in run["configuration"].astype(str) if name}, reverse=True)
    place = {name: index for index, name in enumerate(names)}
    at = run["configuration"].astype(str).map(place).astype(float)
    axis.scatter(run["time_s"] / 3600, at, s=2.5, color=colour, marker="|", linewidths=0.8)
    axis.set_yticks(range(len(names)), names)
    axis.set(ylabel="configuration", ylim=(-0.5, len(names) - 0.5))


def policies_data(summary: pd.DataFrame) -> pd.DataFrame:
    """Means over the held-out traces: a row per policy, the best in correct inferences last."""
    numbers = ["inferences_per_charge", "accuracy", "miss_rate", "accuracy_offered", "regret", "switches"]
    table = summary.groupby("policy", observed=True, sort=False)[numbers].mean().reset_index()
    low = summary.groupby("policy", observed=True)["accuracy_offered"].min()
    high = summary.groupby("policy", observed=True)["accuracy_offered"].max()
    table["offered_low"], table["offered_high"] = table["policy"].map(low), table["policy"].map(high)
    return table.sort_values("accuracy_offered", kind="stable").reset_index(drop=True)


def draw_policies(data: pd.DataFrame, colours: Mapping[str, str], title: str, source: str, width_mm: float) -> Figure:
    """Inferences per charge against accuracy; share of all inputs answered correctly and in time."""
    with canvas(width_mm, 0.5, 2, width_ratios=[1, 1.1]) as (figure, axes):
        for row in data.to_dict("records"):
            colour, marker = _look(row["policy"], colours)
            axes[0].plot(row["inferences_per_charge"] / 1000, row["accuracy"], marker, color=colour, ms=6)
        axes[0].set(xlabel="inferences per charge / 1000", ylabel="accuracy of those in time", title=title)
        mark_modelled(axes[0], source, 0.98)
        place = np.arange(len(data))
        for y, row in zip(place, data.to_dict("records"), strict=True):
            colour, marker = _look(row["policy"], colours)
            axes[1].plot([row["offered_low"], row["offered_high"]], [y, y], color=colour, linewidth=1)
            axes[1].plot(row["accuracy_offered"], y, marker, color=colour, ms=6)
        axes[1].set_yticks(place, data["policy"])
        axes[1].set(xlabel="correct and in time / share of inputs", title="mean and range over traces")
        return figure


def _look(policy: str, colours: Mapping[str, str]) -> tuple[str, str]:
    if policy == "oracle":
        return colours["oracle"], "P"
    if policy.startswith("schedule"):
        return colours["dial"], "o"
    if policy.startswith("static"):
        return colours["static"], "D"
    return (colours["control"], "s") if policy == "full network" else (colours["neutral"], "v")
