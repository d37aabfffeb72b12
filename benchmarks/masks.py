"""Mask evaluation against the loop over masks, and searches against true fronts: `make bench-masks`.

Trains its own small networks (benchmarks/masks_networks.py) and writes docs/benchmarks/masks.md; the last line of
output is JSON. Everything runs on one thread, and what is compared takes turns, so that a busy machine slows both
alike; times are processor time.
"""

from __future__ import annotations

import json
import math

from threadpoolctl import threadpool_limits

from benchmarks.masks_engine import batching, precision, speed
from benchmarks.masks_general import general
from benchmarks.masks_networks import CALIBRATION, Case, prepare_images
from benchmarks.masks_page import page
from benchmarks.masks_search import deep, draw_deep, search_quality
from depthdial.files import write_text
from depthdial.runs.torch_process import set_up_torch


def main() -> None:
    """Run everything, write the page, print the JSON."""
    set_up_torch(1)
    prepare_images()
    shallow, middle = Case(20, 16, 0), [Case(32, 8, seed) for seed in (2, 3)]
    with threadpool_limits(1):
        nine = speed(shallow, 357, CALIBRATION, 8)
        fifteen = speed(middle[0], 48, 32, 16)
        grouped, rounded = batching(shallow), precision(shallow)
        others = general()
        _, quality9 = search_quality([shallow, Case(20, 16, 1)], 0.5)
        _, quality15 = search_quality(middle, 0.1)
        deepest = deep(Case(110, 4, 0))
    best = quality15[0]
    summary = {
        "exhaustive_speedup_n9": round(nine["speedup"], 3),
        "exhaustive_speedup_n15": round(fifteen["speedup"], 3),
        "speedup_bound_n9": 4.5,
        "speedup_bound_n15": 7.5,
        "identical": all(row["identical"] for row in (nine, fifteen, grouped, *others)),
        "rate_share_n9": round(nine["rate_share"], 3),
        "rate_share_n15": round(fifteen["rate_share"], 3),
        "general_engine_share": round(min(row["speedup"] / row["bound"] for row in others), 3),
        "general_engine_speedups": {
            row["network"]: [round(row["speedup"], 3), round(row["bound"], 3)] for row in others
        },
        "peak_memory_mb_n15": round(fifteen["memory_mb"], 1),
        "memory_bound_mb_n15": round(fifteen["bound_mb"], 1),
        "prefix_batching_speedup": round(grouped["speedup"], 3),
        "bfloat16_mean_absolute_accuracy_difference": round(rounded["mean_absolute"], 5),
        "best_strategy": best["strategy"],
        "share_of_evaluations_for_95hv_n15": round(best["share_0.95"], 5),
        "share_of_evaluations_for_99hv_n15": round(best["share_0.99"], 5),
        "worst_share_of_evaluations_for_99hv_n15": round(best["worst_0.99"], 5),
        "share_of_evaluations_for_99hv_n9": round(quality9[0]["share_0.99"], 5),
        "best_strategy_n9": quality9[0]["strategy"],
        "best_strategy_n54": deepest[0]["strategy"],
    }
    draw_deep(deepest, "docs/images/masks-n54.png")
    write_text(
        "docs/benchmarks/masks.md", page([nine, fifteen], others, grouped, rounded, quality9, quality15, deepest)
    )
    print(json.dumps({key: None if value == math.inf else value for key, value in summary.items()}))  # noqa: T201


if __name__ == "__main__":
    main()
