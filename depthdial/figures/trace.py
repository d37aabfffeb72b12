"""One replayed day under the schedule, beside the full network and the oracle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from depthdial.artefacts import read_table
from depthdial.errors import ConfigError
from depthdial.figures.style import Drawing, Style, canvas, mark_modelled, tell
from depthdial.replay.names import FULL_NETWORK, ORACLE, SCHEDULE_WITH_FEEDBACK

MOST_MOMENTS = 96
"""Moments of a day that tell their figures, and at which the page can stop."""
LINES = {SCHEDULE_WITH_FEEDBACK: ("dial", "-"), FULL_NETWORK: ("control", "--"), ORACLE: ("oracle", ":")}


def draw(style: Style, *, steps: str, summary: str, trace: str) -> Drawing:
    """The replayed steps of the first held-out trace whose name begins with ``trace``; ConfigError if there is none."""
    sums = read_table(summary)
    names = list(dict.fromkeys(sums["trace"].astype(str)))
    name = next((name for name in names if name.startswith(trace)), None)
    if name is None:
        raise ConfigError(f"figures.trace: no held-out trace {trace!r}; there are {', '.join(names)}")
    data = trace_data(read_table(steps), name)
    source = str(sums["energy_source"].iloc[0])
    figure = picture(data, f"{style.title}, trace {name}", source, style)
    return Drawing(figure, data, f"replayed with measured latencies; energy {source}")


def trace_data(steps: pd.DataFrame, trace: str) -> pd.DataFrame:
    """The steps of one trace under the policies that the figure shows."""
    chosen = steps[(steps["trace"] == trace) & steps["policy"].isin(list(LINES))].copy()
    chosen["correct_in_time"] = chosen["accuracy"].fillna(0) * chosen["met"]
    return chosen


def moments(count: int) -> list[int]:
    """At most MOST_MOMENTS of ``count`` steps, evenly spread, the first and the last among them."""
    most = min(count, MOST_MOMENTS)
    return sorted({round(index * (count - 1) / max(1, most - 1)) for index in range(most)})


def tooltip(row: Mapping[Any, Any]) -> str:
    """What a moment of a day says of itself."""
    hours, minutes = divmod(round(row["time_s"] / 60), 60)
    run = row["configuration"] or "the charge is spent"
    left = f"charge left {100 * row['battery']:.0f} %"
    return f"{hours}:{minutes:02}: deadline {row['deadline_ms']:.3g} ms, {run}, {left}"


def picture(data: pd.DataFrame, title: str, source: str, style: Style) -> Figure:
    """Conditions, chosen configuration, charge left and correct inferences over one trace."""
    with canvas(1.3 * style.width_mm, 1.05, rows=4, sharex=True, height_ratios=[1, 1.3, 1, 1]) as (figure, axes):
        ours = data[data["policy"] == SCHEDULE_WITH_FEEDBACK]
        hours = ours["time_s"] / 3600
        axes[0].plot(hours, ours["deadline_ms"], color=style.colours["neutral"], linewidth=0.8)
        axes[0].set(ylabel="deadline\n/ ms", title=title, ylim=(0, None))
        if (ours["slowdown"] != 1).any():
            twin = axes[0].twinx()
            twin.plot(hours, ours["slowdown"], color=style.colours["static"], linewidth=0.8, linestyle="--")
            twin.set_ylabel("slowdown", color=style.colours["static"])
            twin.grid(visible=False)
        _configurations(axes[1], ours, style.colours["dial"])
        for row in ours.iloc[moments(len(ours))].to_dict("records"):
            tell(axes[2], (row["time_s"] / 3600, 100 * row["battery"]), tooltip(row))
        for policy, (colour, line) in LINES.items():
            run = data[data["policy"] == policy]
            marks = {"color": style.colours[colour], "linestyle": line, "label": policy}
            axes[2].plot(run["time_s"] / 3600, 100 * run["battery"], **marks)
            axes[3].plot(run["time_s"] / 3600, run["correct_in_time"].cumsum() / 1000, **marks)
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
