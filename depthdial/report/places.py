"""A dial on a device for the page, from its tables: nothing here reads a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from depthdial.compare.tables import Column
from depthdial.deploy.manifest import CompiledFor
from depthdial.replay.names import FULL_NETWORK, SCHEDULE_WITH_FEEDBACK
from depthdial.report.dial import day, turned
from depthdial.report.findings import (
    Row,
    badges,
    energy_notice,
    first_sentence,
    further_sentences,
    loops_cut,
    scheduled,
    worth,
)
from depthdial.report.page import Place, Section
from depthdial.report.pictures import Picture
from depthdial.report.tables import Table, table
from depthdial.schedule.table import DeadlinePrice, ScheduleTable

CONFIGURATIONS = [
    Column("name", "name", "text"),
    Column("blocks", "mask", "text"),
    Column("million MACs", "macs", "millions"),
    Column("validation / %", "val_accuracy"),
    Column("test accuracy / %", "test_accuracy"),
    Column("test, to c00 / points", "to_full", "points"),
    Column("median / ms", "latency_ms", "milliseconds"),
    Column("99 % take at most / ms", "latency_p99_ms", "milliseconds"),
    Column("energy / mJ", "energy_mj", "milliseconds"),
    Column("source of energy", "energy_source", "text"),
    Column("device quiet enough", "valid", "text"),
]
BUDGETS = [
    Column("charge", "name", "text"),
    Column("at most / mJ", "limit_mj", "milliseconds"),
    Column("table draws / mJ", "energy_mj", "milliseconds"),
    Column("binds", "binding", "text"),
    Column("had to yield", "yielded", "text"),
    Column("further correct answers for a joule more", "correct_per_joule", "count"),
]
DEADLINES = [
    Column("deadline / ms", "deadline_ms", "milliseconds"),
    Column("what would gain most", "configuration", "text"),
    Column("time that it lacks / ms", "next_ms", "milliseconds"),
    Column("gain / points per ms", "accuracy_per_ms", "points"),
]
POLICIES = [
    Column("policy", "policy", "text"),
    Column("right and in time, of all inputs / %", "accuracy_offered"),
    Column("accuracy of those in time / %", "accuracy"),
    Column("late, of those served / %", "miss_rate"),
    Column("inferences per charge", "inferences_per_charge", "count"),
    Column("switches", "switches", "count"),
    Column("behind the oracle / %", "regret"),
]


DAY = (
    "One held-out day, replayed with what was measured: as the charge falls behind or ahead of plan and the deadline "
    "changes, so does the configuration."
)


@dataclass(frozen=True)
class Measured:
    """The tables of a dial on a device, as the workflow writes them."""

    configurations: pd.DataFrame
    """configurations.csv of the comparisons"""
    equal_time: pd.DataFrame
    """equal_time.csv of the comparisons"""
    schedule: ScheduleTable
    summary: pd.DataFrame
    """summary.parquet of the replay"""
    trace: pd.DataFrame
    """The steps that are drawn (trace.csv)"""
    target: CompiledFor
    """What the dial was compiled for (the manifest of its bundle)"""
    processor: str
    """What measured it, so that it can be told from others"""
    known_gain: float | None = None
    """Share of the convolutions' time that tuning on the device would save, where earlier runs found it"""


def place(key: str, about: Mapping[str, Any], tables: Measured, pictures: Mapping[str, Picture]) -> Place:
    """The place of ``about`` (title, network, easy); ``pictures`` are its figures by name."""
    policies = policy_means(tables.summary)
    network, configurations = about["network"], tables.configurations
    source = str(configurations["energy_source"].iloc[0])
    ours = configurations[configurations["network"] == network]
    return Place(
        key=key,
        title=about["title"],
        sentence=first_sentence(configurations, network, policies),
        sentences=further_sentences(configurations, tables.equal_time, network, about["easy"]),
        badges=badges(source, bool(configurations["valid"].all())),
        hero=pictures["dial"],
        dial=turned(tables.schedule, configurations),
        front=list(zip(ours["latency_ms"], ours["test_accuracy"], strict=True)),
        day=pictures.get("trace"),
        day_lead=DAY,
        day_samples=day(tables.trace, SCHEDULE_WITH_FEEDBACK, FULL_NETWORK),
        sections=sections(key, tables, policies, pictures, source, network),
    )


def sections(
    key: str,
    tables: Measured,
    policies: Sequence[Row],
    pictures: Mapping[str, Picture],
    source: str,
    network: str,
) -> list[Section]:
    """The folded parts about a device."""
    schedule = tables.schedule
    return [
        Section(
            f"{key}-configurations",
            "Configurations",
            "What each configuration keeps, reaches and costs, beside the static networks.",
            [f"Measured on {tables.processor}.", energy_notice(source), loops_cut(tables.target, tables.known_gain)],
            [configuration_table(tables.configurations, network)],
            _those(pictures, "latency"),
        ),
        Section(
            f"{key}-schedule",
            "The schedule and what binds",
            "Where a little more charge, time or memory would buy most.",
            scheduled(schedule),
            [
                table("Budgets of energy", "budgets", _rows(schedule.budgets), BUDGETS),
                table("What more time would buy", "deadlines", more_time(schedule.deadlines), DEADLINES),
            ],
            _those(pictures, "curve"),
        ),
        Section(
            f"{key}-policies",
            "Policies",
            "What the schedule is worth beside simpler rules and beside an oracle that knows the future.",
            worth(policies),
            [table("Means over the held-out days (replayed)", "policies", pd.DataFrame(policies), POLICIES)],
            _those(pictures, "policies"),
        ),
    ]


def _those(pictures: Mapping[str, Picture], *names: str) -> list[Picture]:
    return [pictures[name] for name in names if name in pictures]


def _rows(parts: Sequence[Any]) -> pd.DataFrame:
    return pd.DataFrame([part.model_dump() for part in parts])


def more_time(deadlines: Sequence[DeadlinePrice]) -> pd.DataFrame:
    """What more time would buy at each deadline; nothing is named where it would buy nothing."""
    rows = _rows(deadlines)
    gains = ["configuration", "next_ms", "accuracy_per_ms"]
    return rows.assign(**{name: rows[name].astype(object).where(rows["accuracy_per_ms"] > 0) for name in gains})


def configuration_table(configurations: pd.DataFrame, network: str) -> Table:
    """The configurations, then the static networks, as measured."""
    ours = configurations["network"] == network
    data = configurations.assign(
        ours=ours,
        name=configurations["configuration"].where(ours, configurations["network"]),
        mask=configurations["mask"].where(ours, "static"),
    ).sort_values(["ours", "configuration", "macs"], ascending=[False, True, False])
    csv = configurations.to_csv(index=False)
    return table("Configurations and static networks", "configurations", data, CONFIGURATIONS, csv=csv)


def policy_means(summary: pd.DataFrame) -> list[Row]:
    """Means over the held-out traces for each policy, the best first."""
    numbers = ["accuracy_offered", "accuracy", "miss_rate", "inferences_per_charge", "switches", "regret"]
    means = summary.groupby("policy", observed=True)[numbers].mean().reset_index()
    return means.sort_values("accuracy_offered", ascending=False).to_dict("records")


def said(title: str, places: Sequence[Place]) -> dict[str, Any]:
    """What the page says first, for the command line and for programs: title, and of each place the result in words."""
    return {
        "title": title,
        "places": [
            {
                "title": place.title,
                "sentence": place.sentence,
                "sentences": list(place.sentences),
                "warnings": [badge.text for badge in place.badges],
            }
            for place in places
        ],
    }
