"""Test accuracies at several costs, over seeds, as figures show them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from depthdial.figures.style import tell
from depthdial.statistics.intervals import share


def points(accuracies: pd.DataFrame) -> pd.DataFrame:
    """A row per network and cost: mean test accuracy over seeds, its 95 % interval, and the range of the seeds.

    ``accuracies`` are rows of ``accuracies.csv``; ``trained`` marks full networks as trained, the static
    ones among them. Of one seed the interval is that of its test images (Wilson's).
    """
    rows = []
    for (network, role, budget), part in accuracies.groupby(["network", "role", "budget"], sort=False):
        found = share(part["test_accuracy"])
        alone = part.iloc[0] if len(part) == 1 else found
        rows.append(
            {
                "network": network,
                "role": role,
                "budget": budget,
                "trained": budget == "as trained",
                "macs": part["macs"].mean(),
                "test_accuracy": found.value,
                "low": alone.low,
                "high": alone.high,
                "worst_seed": part["test_accuracy"].min(),
                "best_seed": part["test_accuracy"].max(),
                "seeds": found.n,
            }
        )
    return pd.DataFrame(rows).sort_values(["network", "macs"], ignore_index=True)


def line(axis: Axes, part: pd.DataFrame, colour: str, style: str, label: str) -> None:
    """The mean over seeds against MACs, with a band over the seeds, or bars of one; ``part`` has rows of ``points``."""
    part = part.drop_duplicates("macs").sort_values("macs")
    x = part["macs"] / 1e6
    axis.fill_between(x, part["worst_seed"], part["best_seed"], color=colour, alpha=0.2, linewidth=0)
    axis.plot(x, part["test_accuracy"], style, marker="o", markersize=3, color=colour, label=label)
    one = part[part["seeds"] == 1]
    bars = [one["test_accuracy"] - one["low"], one["high"] - one["test_accuracy"]]
    axis.errorbar(one["macs"] / 1e6, one["test_accuracy"], bars, fmt="none", ecolor=colour, elinewidth=0.8, capsize=1.5)
    for row in part.to_dict("records"):
        tell(axis, (row["macs"] / 1e6, row["test_accuracy"]), tooltip(row))


def tooltip(row: Mapping[Any, Any]) -> str:
    """What a point says of itself."""
    ends = f" [{100 * row['low']:.1f}, {100 * row['high']:.1f}]" if pd.notna(row["low"]) else ""
    at = f"{row['macs'] / 1e6:.3g} million MACs, {row['budget']}"
    return f"{row['network']}: {100 * row['test_accuracy']:.1f} %{ends}, {at}"
