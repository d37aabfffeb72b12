"""Put the page together from figures, tables and sentences."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from depthdial.compare.files import read_comparison
from depthdial.compare.tables import cells, columns_of, shown
from depthdial.report.findings import Row, accuracy, energy_notice, headline, percent, scheduled
from depthdial.schedule.table import ScheduleTable

NOISY = (
    "The device was too noisy while it was measured: the rows marked as not valid did not hold up (the log says why), "
    "and the schedule is no better than they are. Measure again on an idle machine."
)


@dataclass(frozen=True)
class Picture:
    """A figure on the page: its name, its SVG in base 64 and the caption."""

    name: str
    svg: str
    caption: str


@dataclass(frozen=True)
class Table:
    """A table on the page."""

    title: str
    columns: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class Section:
    """A part of the page: a notice, sentences, tables, then pictures."""

    title: str
    sentences: list[str]
    pictures: list[Picture]
    tables: list[Table] = field(default_factory=list)
    notice: str = ""


def picture(path: str | Path, captions: Mapping[str, str]) -> Picture:
    """Embed an SVG file; its stem is its name and finds its caption."""
    path = Path(path)
    return Picture(path.stem, base64.b64encode(path.read_bytes()).decode("ascii"), captions[path.stem])


def comparison(title: str, path: str | Path) -> Table:
    """A comparison table from its CSV."""
    path = Path(path)
    table = read_comparison(path)
    columns = shown(table, columns_of(path.stem, table))
    return Table(title, [column.title for column in columns], cells(table, columns))


def device_section(
    title: str,
    dial: str,
    configurations: pd.DataFrame,
    equal_time: pd.DataFrame,
    schedule: ScheduleTable,
    summary: pd.DataFrame,
    pictures: list[Picture],
) -> Section:
    """What was measured and scheduled on one device; ``configurations`` and ``equal_time`` are its tables."""
    policies = policy_means(summary)
    sentences = headline(configurations, equal_time, dial) + scheduled(schedule, policies)
    if not configurations["valid"].all():
        sentences.insert(0, NOISY)
    tables = [configuration_table(configurations, dial), policy_table(policies)]
    return Section(title, sentences, pictures, tables, energy_notice(str(configurations["energy_source"].iloc[0])))


def configuration_table(configurations: pd.DataFrame, dial: str) -> Table:
    """The configurations, then the static networks, as measured."""
    records: list[Row] = configurations.to_dict("records")
    rows = []
    for row in sorted(records, key=lambda row: (row["network"] != dial, row["configuration"], -row["macs"])):
        ours = row["network"] == dial
        energy: str = f"{row['energy_mj']:.3g} ({row['energy_source']})" if pd.notna(row["energy_mj"]) else "not valid"
        rows.append(
            [
                row["configuration"] if ours else row["network"],
                row["mask"] if ours else "static",
                f"{row['macs'] / 1e6:.2f}",
                percent(row["val_accuracy"]),
                accuracy(row, "test_accuracy"),
                f"{row['latency_ms']:.3g} [{row['latency_ms_low']:.3g}, {row['latency_ms_high']:.3g}]",
                f"{row['latency_p99_ms']:.3g}",
                energy,
                "yes" if row["valid"] else "no",
            ]
        )
    columns = ["name", "mask", "million MACs", "validation accuracy", "test accuracy", "median latency / ms"]
    columns += ["p99 / ms", "energy / mJ", "valid"]
    return Table("Configurations and static networks (with 95 % intervals)", columns, rows)


def policy_means(summary: pd.DataFrame) -> list[Row]:
    """Means over the held-out traces for each policy, the best first."""
    numbers = ["accuracy_offered", "accuracy", "miss_rate", "inferences_per_charge", "switches", "regret"]
    means = summary.groupby("policy", observed=True)[numbers].mean().reset_index()
    return means.sort_values("accuracy_offered", ascending=False).to_dict("records")


def policy_table(policies: list[Row]) -> Table:
    """The policies on the held-out traces."""
    columns = {
        "accuracy_offered": "correct and in time, of all inputs",
        "accuracy": "accuracy of those in time",
        "miss_rate": "late, of those served",
        "inferences_per_charge": "inferences per charge",
        "switches": "switches",
        "regret": "behind the oracle",
    }
    counts = {"inferences_per_charge", "switches"}
    rows = [
        [str(row["policy"]), *(f"{row[c]:,.0f}" if c in counts else percent(row[c]) for c in columns)]
        for row in policies
    ]
    return Table("Policies, mean over the held-out traces (replayed)", ["policy", *columns.values()], rows)


def render(title: str, sections: Sequence[Section], provenance: dict[str, str], settings: dict[str, Any]) -> str:
    """The page as HTML with everything inside it."""
    environment = Environment(loader=PackageLoader("depthdial.report", "."), autoescape=True, undefined=StrictUndefined)
    template = environment.get_template("page.html")
    return template.render(
        title=title, sections=sections, provenance=provenance, settings=json.dumps(settings, indent=2)
    )
