"""Mask evaluation against the loop over masks, and searches against true fronts: `make bench-masks`.

Trains its own small networks on scikit-learn's digits and keeps them, and the tables of all masks, under
results/bench-masks. Writes docs/benchmarks/masks.md; the last line of output is JSON. Everything runs on one
thread, and what is compared takes turns, so that a busy machine slows both alike; times are processor time.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from threadpoolctl import threadpool_limits
from torch import nn

from depthdial.arch import Architecture
from depthdial.config.data import Dataset
from depthdial.config.networks import Survival
from depthdial.config.search import STRATEGIES
from depthdial.config.search import Search as SearchSettings
from depthdial.config.training import Recipe
from depthdial.data.prepare import prepare
from depthdial.evaluate.engine import Engine
from depthdial.evaluate.shards import shard
from depthdial.evaluate.tables import mask_table, masks_of, read_masks, write_masks
from depthdial.evaluate.tasks import calibration_tensor, load_tensors
from depthdial.files import write_text
from depthdial.images import load_info, load_split, save_images
from depthdial.masks import Mask, all_masks
from depthdial.network import ResNet, extract, load_weights, save_weights
from depthdial.search.fronts import Measure, front_of
from depthdial.search.runs import needed, run
from depthdial.search.strategies import RANDOM, Importance, make_search
from depthdial.search.tasks import compare_on, load_importance
from depthdial.train.loop import train

ROOT = Path("results/bench-masks")
IMAGES = ROOT / "images.safetensors"
SHARES = (0.95, 0.99, 0.999)
CALIBRATION = 256
SEARCH_SEEDS = 5
DEEP_BUDGET = 6000


@dataclass(frozen=True)
class Case:
    """A trained network of the benchmark."""

    depth: int
    width: int
    seed: int

    @property
    def folder(self) -> Path:
        """Where its files are kept between runs."""
        return ROOT / f"resnet{self.depth}-w{self.width}-seed{self.seed}"

    @property
    def weights(self) -> Path:
        """Its weights, trained with Stochastic Depth on the digits if they are not there."""
        path = self.folder / "weights.safetensors"
        if not path.exists():
            info = load_info(IMAGES)
            arch = Architecture(self.depth, self.width, *info.shape[:2], len(info.classes))
            splits = load_split(IMAGES, "train"), load_split(IMAGES, "validation")
            survival = Survival(last=0.5).probabilities(arch.n_blocks)
            path.parent.mkdir(parents=True, exist_ok=True)
            net, _ = train(arch, survival, Recipe(), self.seed, info, splits, self.folder / "state.safetensors", "")
            save_weights(path, net, {})
        return path

    def net(self) -> ResNet:
        """The trained network."""
        return load_weights(self.weights)[0]

    def truth(self) -> pd.DataFrame:
        """The table of all its masks on all validation images."""
        path = self.folder / "masks.parquet"
        if not path.exists():
            engine = Engine(self.net(), "survival", calibration_tensor(IMAGES, CALIBRATION))
            evaluation = engine.evaluate(list(all_masks(engine.net.arch.n_blocks)), *load_tensors(IMAGES, "validation"))
            write_masks(
                path, mask_table(engine.net.arch, evaluation), {"seconds": 0, "block_evaluations": 0, "dropped": 0}
            )
        return read_masks(path)[0]


def timed(action: Callable[[], Any]) -> tuple[Any, float]:
    """What ``action`` returns, and the processor time that it took in seconds."""
    start = time.process_time()
    result = action()
    return result, time.process_time() - start


def speed(case: Case, n_validation: int, n_calibration: int, turns: int) -> dict[str, Any]:
    """All masks by the engine and one after the other, shard by shard in turn, on the first images."""
    inputs, labels = (tensor[:n_validation] for tensor in load_tensors(IMAGES, "validation"))
    engine = Engine(case.net(), "survival", calibration_tensor(IMAGES, n_calibration), batch_size=n_validation)
    n = engine.net.arch.n_blocks
    together, alone, identical = 0.0, 0.0, True
    engine.evaluate([Mask.full(n)], inputs, labels)
    for turn in range(turns):
        masks = shard(all_masks(n), turn, turns)
        found, seconds = timed(partial(engine.evaluate, masks, inputs, labels))
        together += seconds
        single, seconds = timed(partial(one_by_one, engine, masks, inputs, labels))
        alone += seconds
        identical &= bool(np.array_equal(found.packed, np.vstack(single)))
    rate = macs_together(engine) * (n_validation + n_calibration) / together
    return {
        "n": n,
        "network": f"ResNet-{case.depth}, width {case.width}",
        "images": f"{n_validation} + {n_calibration}",
        "masks": 2**n,
        "engine_s": together,
        "loop_s": alone,
        "speedup": alone / together,
        "bound": n / 2,
        "identical": identical and identical_to_modules(engine, inputs, labels),
        "gmacs": rate / 1e9,
        "rate_share": rate / plain_rate(engine, inputs),
        "memory_mb": peak_growth(case, n_validation, n_calibration),
        "bound_mb": engine.live_bytes * (n_validation + n_calibration) / 2**20,
    }


def peak_growth(case: Case, n_validation: int, n_calibration: int, masks: int = 4096) -> float:
    """MB by which the first masks together raise the peak of a fresh process that has evaluated one mask."""
    code = (
        f"from benchmarks.masks import Case, print_peak; print_peak({case!r}, {n_validation}, {n_calibration}, {masks})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def print_peak(case: Case, n_validation: int, n_calibration: int, count: int) -> None:
    """What ``peak_growth`` runs."""
    torch.set_num_threads(1)
    inputs, labels = (tensor[:n_validation] for tensor in load_tensors(IMAGES, "validation"))
    engine = Engine(case.net(), "survival", calibration_tensor(IMAGES, n_calibration), batch_size=n_validation)
    masks = list(islice(all_masks(engine.net.arch.n_blocks), count))
    engine.evaluate(masks[-1:], inputs, labels)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    engine.evaluate(masks, inputs, labels)
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)  # noqa: T201


def one_by_one(engine: Engine, masks: Sequence[Mask], images: torch.Tensor, labels: torch.Tensor) -> list[Any]:
    """Packed correctness of each mask, evaluated alone."""
    return [engine.evaluate([mask], images, labels).packed for mask in masks]


def macs_together(engine: Engine) -> int:
    """Multiply-accumulates per image of all masks with shared prefixes: block l runs 2^l times."""
    arch = engine.net.arch
    heads = 2**arch.n_blocks * arch.blocks[-1].out_channels * arch.classes
    return sum(2**block.index * block.macs for block in arch.blocks) + heads


def plain_rate(engine: Engine, inputs: torch.Tensor) -> float:
    """MACs per second of the same blocks, weighted as the engine runs them, in plain forward passes."""
    net, arch = engine.net, engine.net.arch
    total = 0.0
    with torch.inference_mode():
        x = net.stem(inputs.contiguous(memory_format=torch.channels_last))
        for block, module in zip(arch.blocks, net.blocks, strict=True):
            module(x)
            _, seconds = timed(lambda module=module, x=x: [module(x) for _ in range(50)])
            total += seconds / 50 / len(inputs) * 2**block.index
            x = module(x)
    return macs_together(engine) / total


def identical_to_modules(engine: Engine, inputs: torch.Tensor, labels: torch.Tensor, count: int = 32) -> bool:
    """Whether random masks get the logits, bit for bit, of plain modules with PyTorch's own BatchNorm."""
    rng = np.random.default_rng(0)
    n = engine.net.arch.n_blocks
    masks = sorted({Mask("".join(rng.choice(["0", "1"], n))) for _ in range(count)})
    logits = engine.logits(masks, inputs)
    assert engine.calibration is not None
    same = True
    for mask in masks:
        static = extract(engine.net, mask, engine.scaling)
        for module in static.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1.0
        with torch.inference_mode():
            static.train()(engine.calibration.contiguous(memory_format=torch.channels_last))
            expected = static.eval()(inputs.contiguous(memory_format=torch.channels_last))
        same &= torch.equal(logits[mask], expected)
    return same


def batching(case: Case) -> dict[str, Any]:
    """Few images: one prefix to a call against many, in turn."""
    inputs, labels = (tensor[:24] for tensor in load_tensors(IMAGES, "validation"))
    net, calibration = case.net(), calibration_tensor(IMAGES, 24)
    masks = list(all_masks(net.arch.n_blocks))
    single = Engine(net, "survival", calibration, batch_size=48)
    many = Engine(net, "survival", calibration, batch_size=48 * 16)
    seconds = np.zeros(2)
    for _ in range(3):
        first, a = timed(lambda: single.evaluate(masks, inputs, labels))
        second, b = timed(lambda: many.evaluate(masks, inputs, labels))
        seconds += a, b
    return {"speedup": seconds[0] / seconds[1], "identical": bool(np.array_equal(first.packed, second.packed))}


def precision(case: Case) -> dict[str, Any]:
    """Accuracy of every eighth mask in bfloat16 against float32."""
    inputs, labels = load_tensors(IMAGES, "validation")
    net, calibration = case.net(), calibration_tensor(IMAGES, CALIBRATION)
    masks = list(all_masks(net.arch.n_blocks))[::8]
    exact, exact_s = timed(lambda: Engine(net, "survival", calibration).evaluate(masks, inputs, labels))
    half = Engine(net, "survival", calibration, precision="bfloat16")
    rounded, rounded_s = timed(lambda: half.evaluate(masks, inputs, labels))
    difference = rounded.accuracies - exact.accuracies
    return {
        "masks": len(masks),
        "mean": float(difference.mean()),
        "mean_absolute": float(np.abs(difference).mean()),
        "largest": float(np.abs(difference).max()),
        "time_ratio": rounded_s / exact_s,
    }


def search_quality(cases: Sequence[Case], budget: float) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
    """For every strategy the shares of the exhaustive block evaluations needed, over networks and seeds."""
    parts = []
    for case in cases:
        table = case.truth()
        truth = dict(zip(masks_of(table), table["val_accuracy"], strict=True))
        importance = load_importance(case.weights, IMAGES, SearchSettings(), "survival")
        steps, _ = compare_on(truth, importance, STRATEGIES, SEARCH_SEEDS, budget)
        steps.insert(0, "network_seed", case.seed)
        parts.append(steps)
    steps = pd.concat(parts, ignore_index=True)
    exhaustive = 2 ** ((cases[0].depth - 2) // 2) - 1
    rows = []
    for name, group in steps.groupby("strategy", sort=False):
        runs = [part for _, part in group.groupby(["network_seed", "search_seed"])]
        row: dict[str, Any] = {"strategy": name, "runs": len(runs)}
        for share in SHARES:
            costs = [needed(part, share) / exhaustive for part in runs]
            row |= {f"share_{share}": float(np.median(costs)), f"worst_{share}": max(costs)}
        row["hypervolume"] = float(np.median([part["hypervolume_share"].iloc[-1] for part in runs]))
        row["igd_plus"] = float(np.median([part["igd_plus"].iloc[-1] for part in runs]))
        rows.append(row)
    return steps, sorted(rows, key=lambda row: (row["share_0.99"], -row["hypervolume"]))


def deep(case: Case) -> list[dict[str, Any]]:
    """All strategies on a network of 54 blocks at equal budget, measured by the engine."""
    engine = Engine(case.net(), "survival", calibration_tensor(IMAGES, 128))
    inputs, labels = load_tensors(IMAGES, "validation")
    settings = SearchSettings()
    importance: Callable[[], Importance] = lambda: load_importance(case.weights, IMAGES, settings, "survival")  # noqa: E731
    measure = Measure(engine.net.arch)
    known: dict[Mask, float] = {}
    rows = []
    for name in STRATEGIES:
        search = make_search(name, engine.net.arch, 0, importance, 48 if name in RANDOM else None)
        measured = 0.0

        def evaluate(masks: Sequence[Mask]) -> dict[Mask, float]:
            nonlocal measured
            found, seconds = timed(lambda: engine.evaluate(masks, inputs, labels))
            measured += seconds
            return dict(zip(found.masks, found.accuracies, strict=True))

        history, seconds = timed(lambda: run(search, evaluate, DEEP_BUDGET))  # noqa: B023
        accuracies = {mask: value for generation in history for mask, value in generation.accuracies.items()}
        known |= accuracies
        generations = max(len(history), 1)
        rows.append(
            {
                "strategy": name,
                "masks": len(accuracies),
                "generations": len(history),
                "block_evaluations": search.overhead + sum(g.block_evaluations for g in history),
                "hypervolume": measure.hypervolume(accuracies),
                "seconds_evaluating": measured / generations,
                "seconds_proposing": (seconds - measured) / generations,
                "best_at": [best_at(engine.net.arch, accuracies, share) for share in (0.15, 0.25, 0.5, 1.0)],
            }
        )
    union = measure.hypervolume(known)
    for row in rows:
        row["share_of_union"] = row["hypervolume"] / union
    return sorted(rows, key=lambda row: -row["hypervolume"])


def best_at(arch: Architecture, accuracies: dict[Mask, float], share: float) -> float:
    """The best accuracy on the front at no more than ``share`` of the full network's MACs."""
    affordable = [mask for mask in front_of(arch, accuracies) if arch.macs(mask) <= share * arch.full_macs]
    return max((accuracies[mask] for mask in affordable), default=float("nan"))


def prepare_images() -> None:
    """The digits, split as in the default experiment."""
    if not IMAGES.exists():
        settings = Dataset(name="digits", source="digits", validation_fraction=0.2, test_fraction=0.2)
        classes, splits = prepare(settings)
        save_images(IMAGES, settings.name, classes, splits)


def main() -> None:
    """Run everything, write the page, print the JSON."""
    torch.set_num_threads(1)
    prepare_images()
    shallow, middle = Case(20, 16, 0), [Case(32, 8, seed) for seed in (0, 1)]
    with threadpool_limits(1):
        nine = speed(shallow, 357, CALIBRATION, 8)
        fifteen = speed(middle[0], 48, 32, 16)
        grouped, rounded = batching(shallow), precision(shallow)
        _, quality9 = search_quality([shallow, Case(20, 16, 1)], 0.5)
        _, quality15 = search_quality(middle, 0.1)
        deepest = deep(Case(110, 4, 0))
    best = quality15[0]
    summary = {
        "exhaustive_speedup_n9": round(nine["speedup"], 3),
        "exhaustive_speedup_n15": round(fifteen["speedup"], 3),
        "speedup_bound_n9": 4.5,
        "speedup_bound_n15": 7.5,
        "identical": nine["identical"] and fifteen["identical"] and grouped["identical"],
        "rate_share_n9": round(nine["rate_share"], 3),
        "rate_share_n15": round(fifteen["rate_share"], 3),
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
    write_text("docs/benchmarks/masks.md", page([nine, fifteen], grouped, rounded, quality9, quality15, deepest))
    print(json.dumps(summary))  # noqa: T201


def page(
    speeds: Sequence[dict[str, Any]],
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
            f"{r['memory_mb']:.0f} / {r['bound_mb']:.0f}",
        ]
        for r in speeds
    ]
    deep_rows = [
        [
            r["strategy"],
            r["masks"],
            r["generations"],
            f"{r['block_evaluations']:.0f}",
            f"{r['seconds_evaluating']:.2f}",
            f"{r['seconds_proposing']:.2f}",
            f"{100 * r['share_of_union']:.2f} %",
            *("none" if np.isnan(value) else f"{value:.3f}" for value in r["best_at"]),
        ]
        for r in deepest
    ]
    speed_head = "blocks|network|images (validation + calibration)|masks|engine, s|loop, s|speed-up|n / 2|identical|"
    speed_head += "GMAC/s|of a plain pass|memory / bound, MB"
    deep_head = "strategy|masks|generations|block evaluations|evaluating, s per generation|"
    deep_head += "proposing, s per generation|hypervolume, of the union|≤ 15 % MACs|≤ 25 %|≤ 50 %|≤ 100 %"
    return TEXT.format(
        machine=f"{platform.machine()}, {os.cpu_count()} cores, one thread; PyTorch {torch.__version__}",
        speeds=markdown(speed_head, speed_rows),
        batching=f"{grouped['speedup']:.2f}",
        batching_same="the same" if grouped["identical"] else "NOT the same",
        **{f"bf_{key}": value for key, value in rounded.items()},
        quality9=quality_table(quality9),
        quality15=quality_table(quality15),
        seeds=SEARCH_SEEDS,
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


TEXT = """# Mask evaluation and search

Written by `make bench-masks`. {machine}.
All networks are trained with Stochastic Depth (p_L = 0.5) on scikit-learn's digits, 8 x 8 pixels; BatchNorm is
recalibrated for every mask. Times are processor time of one thread; engine and loop take turns, shard by shard, in one
run. The loop is the same code on one mask at a time: same kernels, same batches.

## All masks together against one after the other

{speeds}

n / 2 is the ratio of block evaluations. The loop also repeats the stem for every mask, and the engine runs the last
blocks most often, which are the cheapest here; so the speed-up can be larger. "Identical" compares every image of
every mask with the loop, and the logits of 32 random masks, bit for bit, with plain modules whose BatchNorm
statistics PyTorch's own training mode took. "Of a plain pass" is the engine's arithmetic rate, recalibration and
classifiers included, against that of the same blocks, equally often, in a plain forward pass in evaluation mode.
Memory is what evaluating up to 4,096 masks adds to the peak of a fresh process that has evaluated one, results
included, beside the engine's own bound on activations; only the results grow with the number of masks.

Several prefixes in one call (24 + 24 images, 16 prefixes): {batching} times as fast as one prefix to a call, and the
correctness is {batching_same}.

bfloat16 (emulated where the processor lacks it: {bf_time_ratio:.2f} times the time of float32 here), {bf_masks} masks:
accuracy differs by {bf_mean:+.5f} in the mean, {bf_mean_absolute:.5f} in absolute value, {bf_largest:.5f} at most.

## Search against the true front

Block evaluations needed for 95, 99 and 99.9 % of the true hypervolume, as a share of those of all masks: median over
two trained networks and, for random strategies, {seeds} search seeds each; the worst run in brackets. The reference
point is (1.1 of the full network's MACs, accuracy of chance). "Never" means not within the budget. Gradients for Fisher
information and the Hessian are charged as block evaluations.

### 9 blocks, 512 masks, budget 50 %

{quality9}

### 15 blocks, 32,768 masks, budget 10 %

{quality15}

## 54 blocks, ResNet-110 of width 4, {budget} block evaluations each

The true front is unknown; hypervolumes are shares of that of everything measured here together. On the right, the best
validation accuracy found at a given share of the full network's MACs.

{deep}
"""


if __name__ == "__main__":
    main()
