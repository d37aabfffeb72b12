"""The engine on networks of other families: its speed over the bound that segments leave, for `make bench-masks`."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch

from benchmarks.masks_engine import pass_seconds, prefix_cost
from benchmarks.timing import timed
from depthdial.config.networks import Network
from depthdial.evaluate.engine import Engine
from depthdial.evaluate.shards import shard
from depthdial.networks.build import dial
from depthdial.networks.describe import describe
from depthdial.networks.masks import all_masks

CASES = (("timm", "efficientnet_lite0", 224, 8, 8), ("timm", "convnext_atto", 160, 8, 32))
"""Family, model, side in pixels, images, and of how many parts of all masks one is evaluated."""
TURNS = 3


def general() -> list[dict[str, Any]]:
    """A row per network: the masks of one part together, and each alone, in turn; weights and images are random.

    Time is taken for multiply-accumulates at the rate of plain passes through each unit and segment, one after the
    other: what masks together cost is the sum over prefixes, what each alone costs the sum over masks.
    """
    return [_speed(*case) for case in CASES]


def _speed(family: str, model: str, side: int, images: int, parts: int) -> dict[str, Any]:
    network = describe(Network(name="n", role="dial", family=family, model=model, survival={}), (3, side, side), 1000)
    torch.manual_seed(0)
    engine = Engine(dial(network).eval(), "none", batch_size=images)
    inputs, labels = torch.randn(images, 3, side, side), torch.zeros(images, dtype=torch.int64)
    masks = shard(all_masks(network.n_units), parts // 2, parts)
    few = masks[:: max(1, len(masks) // 16)]
    engine.evaluate(masks[:2], inputs, labels)
    together, alone, identical, costs = 0.0, 0.0, True, np.zeros((2, network.n_units + 1))
    for _ in range(TURNS):
        found, seconds = timed(partial(engine.evaluate, masks, inputs, labels))
        together += seconds / TURNS
        single, seconds = timed(lambda: [engine.evaluate([mask], inputs, labels).packed for mask in few])
        alone += seconds / TURNS / len(few) * len(masks)
        rows = [found.masks.index(mask) for mask in few]
        identical &= bool(np.array_equal(found.packed[rows], np.vstack(single)))
        costs += pass_seconds(engine, inputs, 2) / TURNS
    units, segments = costs
    shared = prefix_cost(masks, units, segments)
    each = sum(segments.sum() + units[list(mask.kept)].sum() for mask in masks)
    return {
        "network": f"{model}, {side} px",
        "n": network.n_units,
        "masks": len(masks),
        "engine_s": together,
        "loop_s": alone,
        "speedup": alone / together,
        "bound": each / shared,
        "share": shared / together,
        "identical": identical,
    }
