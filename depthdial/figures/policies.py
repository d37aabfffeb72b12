"""All policies compared on the held-out traces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from depthdial.artefacts import read_table
from depthdial.figures.style import Drawing, Style, canvas, in_percent, mark_modelled, tell
from depthdial.replay.names import FULL_NETWORK, ORACLE, SCHEDULE, SCHEDULE_WITH_FEEDBACK


def draw(style: Style, *, summary: str) -> Drawing:
    """The summary of the replays: a point per policy."""
    table = read_table(summary)
    data, source = policies_data(table), str(table["energy_source"].iloc[0])
    traces = ", ".join(dict.fromkeys(table["trace"].astype(str)))
    return Drawing(picture(data, source, style), data, f"traces {traces}; energy {source}")


def policies_data(summary: pd.DataFrame) -> pd.DataFrame:
    """Means over the held-out traces: a row per policy, the best in correct inferences last."""
    numbers = ["inferences_per_charge", "accuracy", "miss_rate", "accuracy_offered", "regret", "switches"]
    table = summary.groupby("policy", observed=True, sort=False)[numbers].mean().reset_index()
    low = summary.groupby("policy", observed=True)["accuracy_offered"].min()
    high = summary.groupby("policy", observed=True)["accuracy_offered"].max()
    table["offered_low"], table["offered_high"] = table["policy"].map(low), table["policy"].map(high)
    return table.sort_values("accuracy_offered", kind="stable").reset_index(drop=True)


def picture(data: pd.DataFrame, source: str, style: Style) -> Figure:
    """Inferences per charge against accuracy; share of all inputs answered correctly and in time."""
    with canvas(1.9 * style.width_mm, 0.5, 2, width_ratios=[1, 1.1]) as (figure, axes):
        for row in data.to_dict("records"):
            colour, marker = _style(row["policy"], style.colours)
            axes[0].plot(row["inferences_per_charge"] / 1000, row["accuracy"], marker, color=colour, ms=6)
            tell(axes[0], (row["inferences_per_charge"] / 1000, row["accuracy"]), tooltip(row))
        axes[0].set(xlabel="inferences per charge / 1000", ylabel="accuracy of those in time / %", title=style.title)
        axes[0].margins(y=0.15)
        mark_modelled(axes[0], source, 0.98)
        place = np.arange(len(data))
        for y, row in zip(place, data.to_dict("records"), strict=True):
            colour, marker = _style(row["policy"], style.colours)
            axes[1].plot([row["offered_low"], row["offered_high"]], [y, y], color=colour, linewidth=1)
            axes[1].plot(row["accuracy_offered"], y, marker, color=colour, ms=6)
            tell(axes[1], (row["accuracy_offered"], float(y)), tooltip(row))
        axes[1].set_yticks(place, data["policy"])
        axes[1].set(xlabel="correct and in time / % of inputs", title="mean and range over traces")
        in_percent(axes[0].yaxis)
        in_percent(axes[1].xaxis)
        return figure


def tooltip(row: Mapping[Any, Any]) -> str:
    """What the point of a policy says of itself."""
    right = f"{100 * row['accuracy_offered']:.1f} % of all inputs right and in time"
    low, high = 100 * row["offered_low"], 100 * row["offered_high"]
    return (
        f"{row['policy']}: {right} [{low:.1f}, {high:.1f}], {row['inferences_per_charge']:,.0f} inferences per charge"
    )


def _style(policy: str, colours: Mapping[str, str]) -> tuple[str, str]:
    if policy == ORACLE:
        return colours["oracle"], "P"
    if policy in (SCHEDULE, SCHEDULE_WITH_FEEDBACK):
        return colours["dial"], "o"
    if policy.startswith("static"):
        return colours["static"], "D"
    return (colours["control"], "s") if policy == FULL_NETWORK else (colours["neutral"], "v")
