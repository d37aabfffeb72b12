"""The rules of scaling compared on the same masks, with and without recalibration."""

from __future__ import annotations

import numpy as np
import pandas as pd

from depthdial.config.evaluate import Evaluate
from depthdial.evaluate.tasks import Path, evaluate_validation, load_engine
from depthdial.networks.dial import Scaling
from depthdial.networks.masks import Mask
from depthdial.networks.weights import load_weights

SCALINGS: tuple[Scaling, ...] = ("survival", "none", "inverse")


def ablate_scaling(weights: Path, images: Path, settings: Evaluate, count: int) -> pd.DataFrame:
    """The same masks under every rule of scaling, with and without recalibration.

    ``count`` masks: the full network and random ones, spread evenly over the numbers of kept blocks.
    Columns: scaling, recalibrated, and those of a mask table but the bits.
    """
    net, _ = load_weights(weights)
    n = net.description.n_units
    rng = np.random.default_rng(0)
    sizes = np.linspace(n, 0, count).round().astype(int)
    masks = sorted({Mask.from_kept(n, rng.permutation(n)[:size].tolist()) for size in sizes})
    parts = []
    for scaling in SCALINGS:
        for recalibrated in (True, False):
            engine = load_engine(weights, images, settings, scaling, recalibrated)
            table, _ = evaluate_validation(engine, images, masks)
            table.insert(0, "scaling", scaling)
            table.insert(1, "recalibrated", recalibrated)
            parts.append(table.drop(columns="correct"))
    return pd.concat(parts, ignore_index=True)
