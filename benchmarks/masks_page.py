"""docs/benchmarks/masks.md from what `make bench-masks` has measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from benchmarks.masks_search import DEEP_BUDGET, DEEP_SEEDS, SEARCH_SEEDS, SHARES, WIDE
from depthdial.devices.processors import this_processor
from depthdial.search.evolution import Evolution
from depthdial.search.surrogate import Surrogate

TEXT = """# Mask evaluation and search

Written by `make bench-masks`. {machine}.
All networks are trained with Stochastic Depth (p_L = 0.5) on scikit-learn's digits, 8 x 8 pixels; BatchNorm is
recalibrated for every mask. Everything runs on one thread; times are its processor time. Engine, loop and plain passes
take turns, shard by shard, in one run. The loop is the same code on one mask at a time: same kernels, same batches.

## All masks together against one after the other

{speeds}

n / 2 is the ratio of block evaluations. The loop also repeats the stem for every mask, and the engine runs the last
blocks most often, which are the cheapest here; so the speed-up can be larger. "Identical" compares every image of
every mask with the loop, and the logits of 32 random masks, bit for bit, with plain modules whose BatchNorm
statistics PyTorch's own training mode took. "Of a plain pass" is the engine's rate, recalibration and classifiers
included, against that of the same blocks, equally often, at the times they have in plain passes of the full network in
evaluation mode. The engine takes several prefixes to a call, as many as make up 512 images, which is the default;
with few images that is more than a plain pass reaches.
Memory is the peak, above what the process held before, of evaluating 64 masks spread over the tree, and of all masks,
beside the engine's own bound on the same: activations of the prefixes of a call, a bit per mask and image, and the
masks in order.

Of other families, random weights, one part of all masks together against each of its masks alone. The bound is what
segments leave: the masks one after the other over all together, both at the times of plain passes.

{families}

Several prefixes in one call (24 + 24 images, 16 prefixes): {batching} times as fast as one prefix to a call, and the
correctness is {batching_same}.

bfloat16 (emulated where the processor lacks it: {bf_time_ratio:.2f} times the time of float32 here), {bf_masks} masks:
accuracy differs by {bf_mean:+.5f} in the mean, {bf_mean_absolute:.5f} in absolute value, {bf_largest:.5f} at most.

## Search against the true front

Block evaluations needed for 95, 99 and 99.9 % of the true hypervolume, as a share of those of all masks: median over
two trained networks (of 15 blocks: not those that the surrogate was designed on) and, for random strategies, {seeds}
search seeds each; the worst run in brackets. A generation of the surrogate is {batch} masks here, of NSGA-II
{population}; the surrogate with generations of {wide}, as clusters want them, is a row of its own. The reference point
is (1.1 of the full network's MACs, accuracy of chance). "Never" means not within the budget. Gradients for Fisher
information and the Hessian are charged as block evaluations.

### 9 blocks, 512 masks, budget 50 %

2 % of these block evaluations are 10, one more than the full network alone takes.

{quality9}

### 15 blocks, 32,768 masks, budget 10 %

{quality15}

## 54 blocks, ResNet-110 of width 4, {budget} block evaluations each

The true front is unknown; hypervolumes are shares of that of everything measured here together. On the right, the best
validation accuracy found at a given share of the full network's MACs. Strategies that draw lots have {deep_seeds}
search seeds: the median run by hypervolume is shown, the worst in brackets.

![The fronts that all strategies find with the same budget](../images/masks-n54.png)

{deep}
"""


def page(
    speeds: Sequence[dict[str, Any]],
    families: Sequence[dict[str, Any]],
    grouped: dict[str, Any],
    rounded: dict[str, Any],
    quality9: Sequence[dict[str, Any]],
    quality15: Sequence[dict[str, Any]],
    deepest: Sequence[dict[str, Any]],
) -> str:
    """docs/benchmarks/masks.md."""
    speed_rows = [
        [
            r["n"],
            r["network"],
            r["images"],
            r["masks"],
            f"{r['engine_s']:.1f}",
            f"{r['loop_s']:.1f}",
            f"{r['speedup']:.2f}",
            f"{r['bound']:.1f}",
            "yes" if r["identical"] else "NO",
            f"{r['gmacs']:.1f}",
            f"{100 * r['rate_share']:.0f} %",
            f"{r['memory_few_mb']:.1f}; {r['memory_mb']:.1f} / {r['bound_mb']:.1f}",
        ]
        for r in speeds
    ]
    family_rows = [
        [
            r["network"],
            r["n"],
            r["masks"],
            f"{r['speedup']:.2f}",
            f"{r['bound']:.2f}",
            f"{100 * r['speedup'] / r['bound']:.0f} %",
            "yes" if r["identical"] else "NO",
        ]
        for r in families
    ]
    deep_rows = [
        [
            r["strategy"],
            r["masks"],
            r["generations"],
            f"{r['block_evaluations']:.0f}",
            f"{r['seconds_evaluating']:.2f}",
            f"{r['seconds_proposing']:.2f}",
            f"{100 * r['share_of_union']:.2f} % ({100 * r['worst_of_union']:.2f} %)",
            *("none" if np.isnan(value) else f"{value:.3f}" for value in r["best_at"]),
        ]
        for r in deepest
    ]
    speed_head = "blocks|network|images (validation + calibration)|masks|engine, s|loop, s|speed-up|n / 2|identical|"
    speed_head += "GMAC/s|of a plain pass|memory: 64 masks; all / bound, MB"
    deep_head = "strategy|masks|generations|block evaluations|evaluating, s per generation|"
    deep_head += "proposing, s per generation|hypervolume, of the union|≤ 15 % MACs|≤ 25 %|≤ 50 %|≤ 100 %"
    return TEXT.format(
        machine=f"{this_processor()}, one thread; PyTorch {torch.__version__}",
        speeds=markdown(speed_head, speed_rows),
        families=markdown("network|units|masks|speed-up|bound|of the bound|identical", family_rows),
        batching=f"{grouped['speedup']:.2f}",
        batching_same="the same" if grouped["identical"] else "NOT the same",
        **{f"bf_{key}": value for key, value in rounded.items()},
        quality9=quality_table(quality9),
        quality15=quality_table(quality15),
        seeds=SEARCH_SEEDS,
        deep_seeds=DEEP_SEEDS,
        batch=Surrogate.BATCH,
        population=Evolution.POPULATION,
        wide=WIDE,
        budget=DEEP_BUDGET,
        deep=markdown(deep_head, deep_rows),
    )


def quality_table(rows: Sequence[dict[str, Any]]) -> str:
    """Needed shares: median and, in brackets, the worst run."""

    def cell(row: dict[str, Any], share: float) -> str:
        median, worst = (
            "never" if np.isinf(row[f"{key}_{share}"]) else f"{100 * row[f'{key}_{share}']:.2f} %"
            for key in ("share", "worst")
        )
        return f"{median} ({worst})"

    table = [
        [
            r["strategy"],
            r["runs"],
            *(cell(r, share) for share in SHARES),
            f"{100 * r['hypervolume']:.2f} %",
            f"{r['igd_plus']:.4f}",
        ]
        for r in rows
    ]
    return markdown("strategy|runs|95 %|99 %|99.9 %|hypervolume at the end|IGD+ at the end", table)


def markdown(head: str, rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    names = head.split("|")
    lines = [names, ["---"] * len(names), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
