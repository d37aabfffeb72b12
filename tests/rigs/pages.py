"""Pages without a run: schedules that are really solved, replayed and drawn; only the measurements are made up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from depthdial.compare.files import write_csv
from depthdial.config.schedule import Grid, Schedule
from depthdial.config.traces import Regime, TraceSpec
from depthdial.deploy.manifest import CompiledFor
from depthdial.figures import curve, dial, policies, trace
from depthdial.figures.catalogue import CAPTIONS
from depthdial.figures.style import Style, write
from depthdial.replay.compare import Comparison, compare
from depthdial.replay.tables import curve_table, write_table
from depthdial.report.page import Place, Section, render
from depthdial.report.pictures import Picture, picture
from depthdial.report.places import Measured, place
from depthdial.report.sections import made
from depthdial.schedule.build import describe, full_choice, state_problem
from depthdial.schedule.choices import choices_of
from depthdial.schedule.solve import solve
from depthdial.schedule.table import ScheduleTable
from depthdial.traces.trace import Trace, generate
from tests.rigs.schedules import latency_table, scores_of

COLOURS = {"dial": "#0072B2", "control": "#D55E00", "static": "#009E73", "oracle": "#CC79A7", "neutral": "#6E6E6E"}
DIAL = "resnet20-sd"
HOSTILE = (
    '</script><script>document.documentElement.dataset.owned = 1</script><img src=x onerror="1"> {{ 7 }} $x$ &amp;'
)
"""A title that would run, were it more than text."""


def configurations(latency: pd.DataFrame) -> pd.DataFrame:
    """configurations.csv of a device whose latency table this is; every configuration loses a point against c00."""
    table = latency.assign(
        mask=[f"{(1 << 9) - (1 << index):09b}" for index in range(len(latency))],
        n_test=200,
        test_accuracy=latency["val_accuracy"] - 0.01,
        speedup=latency["latency_ms"].iloc[0] / latency["latency_ms"],
    )
    ends = {"test_accuracy": (0.02, 0.01), "to_full": (0.02, 0.02)}
    table["to_full"] = -0.01
    for name, (below, above) in ends.items():
        table[f"{name}_low"], table[f"{name}_high"] = table[name] - below, table[name] + above
    for quantity, unit in (("latency", "ms"), ("energy", "mj")):
        for end in ("low", "high"):
            table[f"{quantity}_{unit}_{end}"] = latency[f"{quantity}_{end}_{unit}"]
    return table


def equal_time(table: pd.DataFrame) -> pd.DataFrame:
    """equal_time.csv: the fastest configuration against each static network, and the network of constant depth."""
    fastest = table[table["network"] == DIAL].sort_values("latency_ms").iloc[0]["configuration"]
    same = {"configuration": fastest, "n_test": 200, "constant": 0.97, "constant_low": 0.95, "constant_high": 0.98}
    same |= {"to_static": -0.02, "to_static_low": -0.04, "to_static_high": -0.005}
    return pd.DataFrame([{"budget": name} | same for name in table.loc[table["network"] != DIAL, "network"]])


def day(full_ms: float) -> Trace:
    """A short day, with deadlines from too short to long."""
    deadlines = tuple(Regime(value=value, dwell_s=2400) for value in (0.2, 0.6, 1.2))
    return generate("drain", TraceSpec(duration_h=6, deadlines=deadlines), full_ms, 1)


def solved(latency: pd.DataFrame, axes: dict[str, tuple[float, ...]]) -> tuple[ScheduleTable, Comparison]:
    """The schedule of the dial over a grid of these axes, and its replay."""
    settings = Schedule.model_validate({"grid": Grid.model_validate(axes), "resident": 4, "horizon_h": 6})
    choices = choices_of(latency, DIAL)
    traces = (day(full_choice(choices).latency(settings.quantile)),)
    problem = state_problem(settings, choices, traces)
    schedule = describe(problem, solve(problem, 30), settings, "made-up")
    return schedule, compare(latency, scores_of(latency), schedule, settings, traces, traces)


def compiled_for(**changes: Any) -> CompiledFor:
    """What a manifest says of a target."""
    about = {"name": "host", "backend": "llvm-cpu", "triple": "x86_64-unknown-linux-gnu", "cpu": "x86-64-v3"}
    return CompiledFor.model_validate(about | {"features": (), "flags": (), "compiler": "3.13.0"} | changes)


def made_up_place(folder: Path, key: str, title: str, scale_ms: float, axes: dict[str, tuple[float, ...]]) -> Place:
    """A dial on a device whose full network takes ``scale_ms``."""
    latency = latency_table(scale_ms=scale_ms)
    schedule, replayed = solved(latency, axes)
    on_device = configurations(latency)
    folder = folder / key
    folder.mkdir(parents=True)
    write_csv(folder / "configurations.csv", on_device)
    write_csv(folder / "equal_time.csv", equal_time(on_device))
    for name, table in {"steps": replayed.steps, "summary": replayed.summary, "curve": curve_table(schedule)}.items():
        write_table(folder / f"{name}.parquet", table)
    shown = trace.trace_data(replayed.steps, str(replayed.steps["trace"].iloc[0]))
    tables = Measured(
        on_device, equal_time(on_device), schedule, replayed.summary, shown, compiled_for(), "a made-up processor"
    )
    return place(key, {"title": title, "network": DIAL, "easy": True}, tables, drawn(folder, key, title))


def drawn(folder: Path, key: str, title: str) -> dict[str, Picture]:
    """The pictures of a place whose tables lie in ``folder``."""
    style = Style(title, COLOURS, 88.0)
    files = {name: str(folder / name) for name in ("configurations.csv", "equal_time.csv")}
    replayed = {name: str(folder / f"{name}.parquet") for name in ("steps", "summary", "curve")}
    of_dial = {"configurations": files["configurations.csv"], "equal_time": files["equal_time.csv"]}
    found = {
        "dial": dial.draw(style, **of_dial, network=DIAL, constant=["resnet20-cd"]),
        "trace": trace.draw(style, steps=replayed["steps"], summary=replayed["summary"], trace="drain"),
        "policies": policies.draw(style, summary=replayed["summary"]),
        "curve": curve.draw(style, curve=replayed["curve"]),
    }
    for name, drawing in found.items():
        write(drawing, [str(folder / f"{name}.{suffix}") for suffix in ("svg", "csv")], 72)
    return {name: picture(folder / f"{name}.svg", CAPTIONS, COLOURS, key) for name in found}


def two_by_two(folder: Path, title: str = "Two dials on two devices") -> str:
    """A page of two dials on two devices, whose schedules have different axes; ``title`` names one of the dials too."""
    grids: list[dict[str, tuple[float, ...]]] = [
        {"reserve": (0.6, 0.8, 1.0, 1.2), "deadline_relative": (0.3, 0.6, 0.9, 1.2)},
        {"battery": (0.0, 0.5), "slowdown": (1.0, 1.5), "deadline_relative": (0.4, 0.8, 1.2)},
    ]
    names = [("first", 0.5), ("second", 20.0)]
    places = [
        made_up_place(folder, f"place{2 * i + j}", f"{title if i + j == 0 else name} on device {j}", scale, grids[j])
        for i, (name, scale) in enumerate(names)
        for j in range(2)
    ]
    sections: list[Section] = [made({"experiment": title, "commit": "0123456789ab"}, {"title": title})]
    return render(title, places, sections, "made up")
