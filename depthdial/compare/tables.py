"""Comparison tables as people read them: columns, units and decimals of each CSV, on the page and in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

STYLES = {
    "text": (1.0, "{}"),
    "count": (1.0, "{:.0f}"),
    "percent": (100.0, "{:.2f}"),
    "points": (100.0, "{:+.2f}"),
    "millions": (1e-6, "{:.2f}"),
    "thousands": (1e-3, "{:.3f}"),
    "milliseconds": (1.0, "{:.4g}"),
    "seconds": (1.0, "{:.1f}"),
    "number": (1.0, "{:.4f}"),
    "times": (1.0, "{:.2f}"),
}
"""Style to factor and format."""


@dataclass(frozen=True)
class Column:
    """A column: its title with the unit, the CSV's column, its style; ``_low`` and ``_high`` beside it in brackets."""

    title: str
    name: str
    style: str = "percent"

    def cell(self, row: dict[Any, Any]) -> str:
        """The text of one cell; a dash where there is no value."""
        value = row.get(self.name)
        if value is None or value == "" or pd.isna(value):
            return "–"
        factor, form = STYLES[self.style]
        if isinstance(value, bool | np.bool_):
            return "yes" if value else "no"
        if self.style == "text":
            return form.format(value)
        ends: list[float] = [row.get(f"{self.name}_{end}", float("nan")) for end in ("low", "high")]
        shown = form.format(value * factor)
        if any(pd.isna(end) for end in ends):
            return shown
        return f"{shown} [{', '.join(form.format(end * factor) for end in ends)}]"


def cells(table: pd.DataFrame, columns: Sequence[Column]) -> list[list[str]]:
    """The texts of all cells."""
    return [[column.cell(row) for column in columns] for row in table.to_dict("records")]


def shown(table: pd.DataFrame, columns: Sequence[Column]) -> list[Column]:
    """The columns that hold anything in ``table``."""
    return [column for column in columns if any(column.cell(row) != "–" for row in table.to_dict("records"))]


MARKDOWN = str.maketrans({**{mark: f"\\{mark}" for mark in "\\`*_<>|$~"}, "&": "&amp;", "\n": " ", "\r": " "})


def escaped(text: str) -> str:
    """A text as Markdown and the HTML in it show it: a name or a title is no markup, and stays on its line."""
    return text.translate(MARKDOWN).replace("](", "]\\(")


def markdown(table: pd.DataFrame, columns: Sequence[Column]) -> str:
    """A Markdown table."""
    columns = shown(table, columns)
    lines = [[column.title for column in columns], ["---"] * len(columns), *cells(table, columns)]
    return "\n".join("| " + " | ".join(escaped(cell) for cell in line) + " |" for line in lines)


NAMES = {
    "equal_macs": [
        Column("budget", "budget", "text"),
        Column("million MACs at most", "budget_macs", "millions"),
        Column("million MACs of the mask", "dial_macs", "millions"),
        Column("dial / %", "dial"),
        Column("fine-tuned / %", "finetuned"),
        Column("gain by it / points", "finetuning_gain", "points"),
        Column("static / %", "static"),
        Column("dial - static / points", "to_static", "points"),
        Column("fine-tuned - static / points", "finetuned_to_static", "points"),
        Column("constant depth, full / %", "constant"),
        Column("dial - constant / points", "to_constant", "points"),
        Column("dial as trained, full / %", "stochastic"),
        Column("dial - full / points", "to_stochastic", "points"),
        Column("constant depth, skipped / %", "control_skipped"),
        Column("dial - constant, skipped / points", "to_skipped", "points"),
    ],
    "equal_time": [
        Column("budget", "budget", "text"),
        Column("at most / ms", "budget_ms", "milliseconds"),
        Column("configuration", "configuration", "text"),
        Column("median / ms", "latency_ms", "milliseconds"),
        Column("times as fast as c00", "speedup", "times"),
        Column("test images", "n_test", "count"),
        Column("dial / %", "dial"),
        Column("static / %", "static"),
        Column("dial - static / points", "to_static", "points"),
        Column("dial - constant / points", "to_constant", "points"),
        Column("energy, share of c00 / %", "energy_share"),
        Column("source of energy", "energy_source", "text"),
        Column("device quiet enough", "valid", "text"),
    ],
    "skipping": [
        Column("blocks skipped", "skipped", "text"),
        Column("masks", "masks", "count"),
        Column("drawn at random", "sampled", "text"),
        Column("dial, best / %", "dial_best"),
        Column("dial, median / %", "dial_median"),
        Column("dial, mean / %", "dial_mean"),
        Column("dial, worst / %", "dial_worst"),
        Column("dial, best - worst / points", "dial_spread", "points"),
        Column("constant depth, best / %", "control_best"),
        Column("constant depth, median / %", "control_median"),
        Column("constant depth, mean / %", "control_mean"),
        Column("constant depth, worst / %", "control_worst"),
        Column("constant depth, best - worst / points", "control_spread", "points"),
        Column("dial - constant, mean / points", "difference_mean", "points"),
    ],
    "rankings": [
        Column("strategy", "strategy", "text"),
        Column("block evaluations, of those of all masks / %", "share_of_exhaustive"),
        Column("block evaluations", "block_evaluations", "count"),
        Column("hypervolume, of the true front's / %", "hypervolume"),
        Column("hypervolume, of that of all together / %", "hypervolume_together"),
        Column("IGD+", "igd_plus", "number"),
        Column("hypervolume at the cost of sensitivity / %", "at_cost"),
        Column("sensitivity - this / points", "behind_sensitivity", "points"),
    ],
    "training": [
        Column("network", "network", "text"),
        Column("role", "role", "text"),
        Column("recipe", "recipe", "text"),
        Column("begins with", "begins_with", "text"),
        Column("epochs", "epochs", "count"),
        Column("branches that ran / %", "open_share"),
        Column("training, GMACs per image", "mmacs", "thousands"),
        Column("processor time / s", "seconds", "seconds"),
        Column("time, of constant depth's / %", "time_share"),
    ],
    "claims": [
        Column("claim", "claim", "text"),
        Column("network", "subject", "text"),
        Column("source", "source", "text"),
        Column("here", "here", "text"),
        Column("verdict", "verdict", "text"),
    ],
    "networks": [
        Column("network", "network", "text"),
        Column("role", "role", "text"),
        Column("seed", "seed", "count"),
        Column("recipe", "recipe", "text"),
        Column("lowest survival probability", "survival_lowest", "times"),
        Column("validation accuracy / %", "validation_accuracy"),
        Column("commit", "commit", "text"),
    ],
}
"""The columns shown of each table."""


def recipe_columns(table: pd.DataFrame) -> list[Column]:
    """The columns of the ablation of recipes, one for each share of MACs in ``table``."""
    names = [str(name) for name in table]
    shares = [n.removeprefix("at_") for n in names if n.startswith("at_") and not n.endswith(("_low", "_high"))]
    return [
        Column("dial", "network", "text"),
        Column("trained by", "differs", "text"),
        Column("training, GMACs per image", "mmacs", "thousands"),
        Column("processor time / s", "seconds", "seconds"),
        Column("all blocks / %", "full"),
        *(Column(f"at {share} % of MACs / %", f"at_{share}") for share in sorted(shares, key=float, reverse=True)),
        Column("hypervolume", "hypervolume", "number"),
        Column("mean of all masks / %", "all_masks"),
        Column("sampled masks, recalibrated / %", "recalibrated"),
        Column("as trained / %", "as_trained"),
        Column("gain / points", "gain", "points"),
        Column("fine-tuning, mean of configurations / points", "finetuning", "points"),
    ]


def columns_of(name: str, table: pd.DataFrame) -> list[Column]:
    """The columns shown of the table of that name."""
    return recipe_columns(table) if name == "recipes" else NAMES[name]
