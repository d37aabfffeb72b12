"""The most accurate mask that a number of MACs buys, chosen on the validation split and read once on the test split."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from depthdial.config.evaluate import Evaluate
from depthdial.evaluate.tables import read_masks
from depthdial.evaluate.tasks import load_engine, load_tensors, test_table
from depthdial.networks.masks import Mask

Path = str | os.PathLike[str]
FULL, TRAINED = "full", "as trained"


def best_within(table: pd.DataFrame, macs: float) -> Mask | None:
    """The mask of a mask table with the highest validation accuracy among those of at most ``macs``.

    Ties go to the cheaper mask, then to the string that sorts first; None if no mask is that cheap.
    """
    fitting = table[table["macs"] <= macs].sort_values(["val_accuracy", "macs", "mask"], ascending=[False, True, True])
    return Mask(str(fitting["mask"].iloc[0])) if len(fitting) else None


def score_budgets(
    weights: Path,
    images: Path,
    masks: Path,
    settings: Evaluate,
    shares: Sequence[float],
    statics: Mapping[str, int],
) -> pd.DataFrame:
    """Test accuracy of a searched network at several budgets of MACs.

    ``statics`` gives the MACs of the static networks, which are budgets too. Rows: ``full`` (all blocks,
    evaluated as masks are); ``as trained`` (all blocks, with the BatchNorm statistics of the training);
    shares of the full network's MACs (``50 %``); names of static networks. Columns: budget, budget_macs, macs,
    val_accuracy (not for ``as trained``), then those of ``test.parquet`` but the name.
    """
    table, about = read_masks(masks)
    engine = load_engine(weights, images, settings, about["scaling"], about["recalibrated"])
    network = engine.net.description
    budgets = {f"{100 * share:g} %": int(share * network.full_macs) for share in shares}
    budgets |= statics
    full = Mask.full(network.n_units)
    chosen = {FULL: full} | {name: mask for name, macs in budgets.items() if (mask := best_within(table, macs))}
    inputs, labels = load_tensors(images, "test")
    found = test_table(list(chosen), list(chosen.values()), engine.evaluate(list(chosen.values()), inputs, labels))
    trained = load_engine(weights, images, settings, about["scaling"], False).evaluate([full], inputs, labels)
    found = pd.concat([found, test_table([TRAINED], [full], trained)], ignore_index=True)
    known = table.set_index("mask")["val_accuracy"].to_dict()
    rows: list[dict[Any, Any]] = found.to_dict("records")
    first = {
        "budget": [row["name"] for row in rows],
        "budget_macs": [budgets.get(row["name"], network.full_macs) for row in rows],
        "macs": [network.macs(Mask(row["mask"])) for row in rows],
        "val_accuracy": [None if row["name"] == TRAINED else known[row["mask"]] for row in rows],
    }
    return pd.concat([pd.DataFrame(first), found.drop(columns="name")], axis=1)
