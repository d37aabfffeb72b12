"""Networks at equal cost: at equal MACs over seeds, at equal milliseconds on a device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from depthdial.compare.runs import TRAINED, Trained
from depthdial.compare.tested import accuracies_of, between, on_same_images, over
from depthdial.networks.configurations import FULL
from depthdial.statistics.intervals import NAN, Interval, mean, measured_ratio, paired

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
    networks: paired). Of one seed the test images are the repetitions: Wilson's intervals, and differences on the same
    images. seeds_off_front: those in which a mask of fewer MACs is at least as accurate on validation, which only
    befalls the full network, since the others were chosen.
    """
    by_name = {name: [run for run in statics if run.network == name] for name in {run.network for run in statics}}
    stochastic = [run.tested_at(TRAINED) for run in dials]
    constant = [run.tested_at(TRAINED) for run in controls]
    budgets = dials[0].tested[dials[0].tested["budget"] != TRAINED].sort_values("budget_macs", ascending=False)
    rows = []
    for budget, macs in zip(budgets["budget"], budgets["budget_macs"], strict=True):
        dial = [run.tested_at(budget) for run in dials]
        skipped = [run.tested_at(budget) for run in controls]
        static = [run.tested_at(TRAINED) for run in by_name.get(budget, [])]
        tuned = [run.finetuned_at(macs) for run in dials if run.finetuned is not None]
        used = [run.tested.loc[run.tested["budget"] == budget, "macs"].mean() for run in dials]
        rows.append(
            {
                "budget": budget,
                "budget_macs": int(macs),
                "dial_macs": mean(used).value,
                "seeds": mean(accuracies_of(dial)).n,
                "seeds_off_front": sum(run.off_front(budget) for run in dials),
                **over(dial).columns("dial"),
                **over(tuned).columns("finetuned"),
                **over(static).columns("static"),
                **over(stochastic).columns("stochastic"),
                **over(constant).columns("constant"),
                **over(skipped).columns("control_skipped"),
                **between(tuned, dial if tuned else [], paired).columns("finetuning_gain"),
                **between(dial, static).columns("to_static"),
                **between(tuned, static).columns("finetuned_to_static"),
                **between(dial, constant).columns("to_constant"),
                **between(dial, stochastic, paired).columns("to_stochastic"),
                **between(dial, skipped).columns("to_skipped"),
                **between(stochastic, constant).columns("full_to_full"),
            }
        )
    return pd.DataFrame(rows)


def equal_time(
    latency: pd.DataFrame, dial: Trained, control: Trained | None, statics: Sequence[Trained], shares: Sequence[float]
) -> pd.DataFrame:
    """The configuration that is most accurate on validation among those no slower than each budget, on one device.

    Budgets: the median latency of each static network, and shares of the full network's. All networks are of the seed
    that was deployed, so images are the repetitions: differences are on the same test images. Columns: budget,
    budget_ms, configuration, mask, latency_ms, speedup (against the full network), energy_share (of it), energy_source,
    valid, n_test (images), dial, static, to_static, to_constant (against the constant-depth full network as trained).
    """
    table = _by_name(latency)
    full = table[dial.network, FULL]
    budgets: dict[str, float] = {run.network: table[run.network, FULL]["latency_ms"] for run in statics}
    budgets |= {f"{100 * part:g} %": part * full["latency_ms"] for part in shares}
    times = {name: row["latency_ms"] for (network, name), row in table.items() if network == dial.network}
    rows = []
    for budget, milliseconds in sorted(budgets.items(), key=lambda item: -item[1]):
        row: Row = {"budget": budget, "budget_ms": milliseconds}
        best = dial.deployed.best(lambda one, most=milliseconds: times[one.name] <= most)  # type: ignore[misc]
        if best:
            row |= {"configuration": best.name, "mask": best.mask} | _timed(table[dial.network, best.name], full)
            tested = dial.tested_configuration(best.name)
            static = next((run for run in statics if run.network == budget), None)
            row |= {"n_test": tested["n_test"]} | _accuracy(tested, "dial")
            for rival, column in ((static, "static"), (control, "constant")):
                other = None if rival is None else rival.as_trained
                row |= (_accuracy(other, column) if other else {}) | on_same_images(tested, other).columns(
                    f"to_{column}"
                )
        rows.append(row)
    return pd.DataFrame(rows)


def configurations(
    latency: pd.DataFrame, dial: Trained, control: Trained | None, statics: Sequence[Trained]
) -> pd.DataFrame:
    """Every configuration of the dial, then every static network: measured on one device, scored on the test images.

    Columns: network, configuration, mask, macs, on_front (of the dial's masks on validation; empty for a static
    network), val_accuracy, n_test (images), test_accuracy, those of ``equal_time`` that say what was measured,
    latency_p99_ms, energy_mj, n_inferences (timed ones), and of the dial the differences to_full (its full network) and
    to_constant, on the same images.
    """
    table = _by_name(latency)
    full, constant = table[dial.network, FULL], None if control is None else control.as_trained
    runs = {run.network: run for run in (dial, *statics)}
    whole = dial.tested_configuration(FULL)
    rows = []
    for (network, name), row in table.items():
        tested = runs[network].tested_configuration(name)
        ours = network == dial.network
        rows.append(
            {key: row[key] for key in ("network", "configuration", "mask", "macs")}
            | {"on_front": dial.configurations.named(name).on_front if ours else None}
            | {"val_accuracy": row["val_accuracy"], "n_test": tested["n_test"]}
            | _accuracy(tested, "test_accuracy")
            | _timed(row, full)
            | {"latency_p99_ms": row["latency_p99_ms"], "n_inferences": row["n_inferences"]}
            | _measured(row, "energy", "mj").columns("energy_mj")
            | on_same_images(tested, whole if ours and name != FULL else None).columns("to_full")
            | on_same_images(tested, constant if ours else None).columns("to_constant")
        )
    return pd.DataFrame(rows)


def _by_name(latency: pd.DataFrame) -> dict[tuple[str, str], Row]:
    """The rows of a device's table by network and configuration."""
    rows: list[Row] = latency.to_dict("records")
    return {(row["network"], row["configuration"]): row for row in rows}


def _measured(row: Row, quantity: str, unit: str) -> Interval:
    """A measured median with its interval; NaN where it is not valid."""
    value, low, high = (float(row[f"{quantity}{end}_{unit}"]) for end in ("", "_low", "_high"))
    return Interval(value, low, high, int(row["n_inferences"]))


def _timed(row: Row, full: Row) -> Row:
    """What a configuration takes, by itself and against the full network."""
    latency, energy = _measured(row, "latency", "ms"), _measured(row, "energy", "mj")
    speedup = energy_share = Interval(1.0, NAN, NAN, 0)
    if row is not full:
        speedup = measured_ratio(_measured(full, "latency", "ms"), latency)
        energy_share = measured_ratio(energy, _measured(full, "energy", "mj"))
    return {
        **latency.columns("latency_ms"),
        **speedup.columns("speedup"),
        **energy_share.columns("energy_share"),
        "energy_source": row["energy_source"],
        "valid": bool(row["valid"] and full["valid"]),
    }


def _accuracy(tested: Row, name: str) -> Row:
    """Test accuracy with Wilson's interval."""
    return {name: tested["test_accuracy"], f"{name}_low": tested["low"], f"{name}_high": tested["high"]}
