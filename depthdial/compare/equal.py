"""Networks at equal cost: at equal MACs over seeds, at equal milliseconds on a device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from depthdial.compare.runs import Trained, bits
from depthdial.networks.configurations import ConfigurationSet
from depthdial.statistics.intervals import NOTHING, difference, mean, paired, same_images, share

Row = dict[Any, Any]


def accuracies(runs: Sequence[Trained]) -> pd.DataFrame:
    """Every test accuracy, a row per network, seed and budget: what the summary over seeds is computed from."""
    columns = ["budget", "budget_macs", "mask", "macs", "n_test", "test_accuracy", "low", "high"]
    parts = [
        run.tested[columns].assign(network=run.network, role=run.role, seed=run.seed)[
            ["network", "role", "seed", *columns]
        ]
        for run in runs
    ]
    return pd.concat(parts, ignore_index=True)


def equal_macs(dials: Sequence[Trained], controls: Sequence[Trained], statics: Sequence[Trained]) -> pd.DataFrame:
    """A row per budget, by falling MACs: the full network, shares of it, and each static network.

    ``dials`` and ``controls`` are one network each, with all seeds. Columns: budget, budget_macs, dial_macs (mean),
    seeds. Test accuracies as means over seeds: dial and control_skipped (the best mask of no more MACs), finetuned
    (the best configuration of no more MACs after fine-tuning, if there was any), static, stochastic and constant (full
    networks as trained). Differences in accuracy: to_static, finetuned_to_static, to_constant, to_skipped, and
    full_to_full of stochastic to constant (trained apart: Welch); finetuning_gain and to_stochastic (the same trained
    networks: paired).
    """
    by_name = {name: [run for run in statics if run.network == name] for name in {run.network for run in statics}}
    stochastic = [run.accuracy("as trained") for run in dials]
    constant = [run.accuracy("as trained") for run in controls]
    budgets = dials[0].tested[dials[0].tested["budget"] != "as trained"].sort_values("budget_macs", ascending=False)
    rows = []
    for budget, macs in zip(budgets["budget"], budgets["budget_macs"], strict=True):
        dial = [run.accuracy(budget) for run in dials]
        skipped = [run.accuracy(budget) for run in controls]
        static = [run.accuracy("as trained") for run in by_name.get(budget, [])]
        tuned = [run.finetuned_accuracy(macs) for run in dials if run.finetuned is not None]
        used = [run.tested.loc[run.tested["budget"] == budget, "macs"].mean() for run in dials]
        rows.append(
            {
                "budget": budget,
                "budget_macs": int(macs),
                "dial_macs": mean(used).value,
                "seeds": mean(dial).n,
                **share(dial).columns("dial"),
                **share(tuned).columns("finetuned"),
                **share(static).columns("static"),
                **share(stochastic).columns("stochastic"),
                **share(constant).columns("constant"),
                **share(skipped).columns("control_skipped"),
                **paired(tuned, dial if tuned else []).columns("finetuning_gain"),
                **difference(dial, static).columns("to_static"),
                **difference(tuned, static).columns("finetuned_to_static"),
                **difference(dial, constant).columns("to_constant"),
                **paired(dial, stochastic).columns("to_stochastic"),
                **difference(dial, skipped).columns("to_skipped"),
                **difference(stochastic, constant).columns("full_to_full"),
            }
        )
    return pd.DataFrame(rows)


def equal_time(
    latency: pd.DataFrame,
    chosen: ConfigurationSet,
    dial: Trained,
    control: Trained | None,
    statics: Sequence[Trained],
    shares: Sequence[float],
) -> pd.DataFrame:
    """The configuration that is most accurate on validation among those no slower than each budget, on one device.

    Budgets: the median latency of each static network, and shares of the full network's. All networks are of the seed
    that was deployed, so images are the repetitions: differences are on the same test images. Columns: budget,
    budget_ms, configuration, mask, latency_ms, speedup (against the full network), energy_share (of it), energy_source,
    dial, static, to_static, to_constant (against the constant-depth full network as trained), valid.
    """
    table = _by_name(latency)
    full = table[chosen.network, "c00"]
    validation = {c.name: c.validation_accuracy for c in chosen.configurations}
    if dial.finetuned is not None:
        validation = dict(zip(dial.finetuned["name"], dial.finetuned["after"], strict=True))
    budgets: dict[str, float] = {run.network: table[run.network, "c00"]["latency_ms"] for run in statics}
    budgets |= {f"{100 * part:g} %": part * full["latency_ms"] for part in shares}
    rows = []
    for budget, milliseconds in sorted(budgets.items(), key=lambda item: -item[1]):
        fitting = [c for c in chosen.configurations if table[chosen.network, c.name]["latency_ms"] <= milliseconds]
        row: Row = {"budget": budget, "budget_ms": milliseconds}
        if fitting:
            best = max(fitting, key=lambda c: (validation[c.name], -c.macs))
            static = next((run for run in statics if run.network == budget), None)
            row |= {"configuration": best.name, "mask": best.mask}
            row |= _timed(table[chosen.network, best.name], full) | _tested(best.name, dial, static, control)
        rows.append(row)
    return pd.DataFrame(rows)


def configurations(latency: pd.DataFrame, dial: Trained, control: Trained | None) -> pd.DataFrame:
    """Every configuration of the dial on one device against the constant-depth full network, as ``equal_time``."""
    table = _by_name(latency)
    full = table[dial.network, "c00"]
    rows = [
        {"configuration": name, "mask": row["mask"]} | _timed(row, full) | _tested(name, dial, None, control)
        for (network, name), row in table.items()
        if network == dial.network
    ]
    return pd.DataFrame(rows)


def _by_name(latency: pd.DataFrame) -> dict[tuple[str, str], Row]:
    """The rows of a device's table by network and configuration."""
    rows: list[Row] = latency.to_dict("records")
    return {(row["network"], row["configuration"]): row for row in rows}


def _timed(row: Row, full: Row) -> Row:
    return {
        "latency_ms": row["latency_ms"],
        "latency_ms_low": row["latency_low_ms"],
        "latency_ms_high": row["latency_high_ms"],
        "speedup": full["latency_ms"] / row["latency_ms"],
        "energy_share": row["energy_mj"] / full["energy_mj"],
        "energy_source": row["energy_source"],
        "valid": bool(row["valid"] and full["valid"]),
    }


def _tested(name: str, dial: Trained, static: Trained | None, control: Trained | None) -> Row:
    tested: Row = dial.read("test.parquet").query("name == @name").to_dict("records")[0]
    right = bits(tested["correct"], tested["n_test"])
    row: Row = {"dial": tested["test_accuracy"], "dial_low": tested["low"], "dial_high": tested["high"]}
    for rival, column in ((static, "static"), (control, "constant")):
        found = NOTHING
        if rival is not None:
            other: Row = rival.tested.query("budget == 'as trained'").to_dict("records")[0]
            row |= {column: other["test_accuracy"], f"{column}_low": other["low"], f"{column}_high": other["high"]}
            found = same_images(right, bits(other["correct"], other["n_test"]))
        row |= found.columns(f"to_{column}")
    return row
