"""The rules of scaling compared on the same masks, with and without recalibration, and what that is worth."""

from __future__ import annotations

import numpy as np
import pandas as pd

from depthdial.artefacts import read_table
from depthdial.config.evaluate import Evaluate
from depthdial.evaluate.norms import has_statistics
from depthdial.evaluate.tasks import Path, evaluate_validation, load_engine
from depthdial.networks.dial import Scaling
from depthdial.networks.masks import Mask
from depthdial.networks.weights import load_weights

SCALINGS: tuple[Scaling, ...] = ("survival", "none", "inverse")


def ablate_scaling(weights: Path, images: Path, settings: Evaluate, count: int) -> pd.DataFrame:
    """The same masks under every rule of scaling, with and without recalibration.

    ``count`` masks: the full network and random ones, spread evenly over the numbers of kept blocks.
    Columns: scaling, recalibrated (the share of BatchNorm statistics taken anew), and those of a mask table but the
    bits.
    """
    net, _ = load_weights(weights)
    n = net.description.n_units
    rng = np.random.default_rng(0)
    sizes = np.linspace(n, 0, count).round().astype(int)
    masks = sorted({Mask.from_kept(n, rng.permutation(n)[:size].tolist()) for size in sizes})
    parts = []
    # Networks of other families have branches as they are; they may be adopted, and then a blend may be best.
    scalings = SCALINGS if net.description.scalable else ("none",)
    shares: tuple[bool | float, ...] = (True, False) if net.description.scalable else (1.0, 0.5, 0.0)
    for scaling in scalings:
        for recalibrated in shares if has_statistics(net) else shares[-1:]:
            engine = load_engine(weights, images, settings, scaling, recalibrated)
            table, _ = evaluate_validation(engine, images, masks)
            table.insert(0, "scaling", scaling)
            table.insert(1, "recalibrated", recalibrated)
            parts.append(table.drop(columns="correct"))
    return pd.concat(parts, ignore_index=True)


def found_best(ablation: Path, scaling: Scaling) -> bool | float:
    """The share of statistics taken anew with the highest mean accuracy over those masks that keep half the units.

    Thinner ones of ``ablate_scaling`` gain most by it, and nobody deploys them. Of equal ones the least: own
    statistics need no calibration.
    """
    table = read_table(ablation)
    table = table[2 * table["kept"] >= table["kept"].max()]
    means = table[table["scaling"] == scaling].groupby("recalibrated")["val_accuracy"].mean()
    share = float(means.index[int(means.to_numpy().argmax())])
    return bool(share) if share in (0, 1) else share
