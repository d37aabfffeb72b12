"""The engine that shares prefixes between masks: its speed, memory and exactness, for `make bench-masks`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.masks_networks import CALIBRATION, IMAGES, Case
from benchmarks.timing import timed
from depthdial.evaluate.engine import Engine
from depthdial.evaluate.shards import shard
from depthdial.evaluate.tasks import calibration_tensor, load_tensors
from depthdial.networks.masks import Mask, all_masks

Times = NDArray[np.float64]


def speed(case: Case, n_validation: int, n_calibration: int, turns: int) -> dict[str, Any]:
    """All masks by the engine, one after the other, and plain passes, shard by shard in turn, on the first images."""
    inputs, labels = (tensor[:n_validation] for tensor in load_tensors(IMAGES, "validation"))
    engine = Engine(case.net(), "survival", calibration_tensor(IMAGES, n_calibration))
    network = engine.network
    n, unit_macs = network.n_units, [unit.macs for unit in network.units]
    together, alone, plain, macs, identical = 0.0, 0.0, 0.0, 0.0, True
    engine.evaluate([Mask.full(n)], inputs, labels)
    for turn in range(turns):
        masks = shard(all_masks(n), turn, turns)
        found, seconds = timed(partial(engine.evaluate, masks, inputs, labels))
        together += seconds
        single, seconds = timed(partial(one_by_one, engine, masks, inputs, labels))
        alone += seconds
        identical &= bool(np.array_equal(found.packed, np.vstack(single)))
        macs += prefix_cost(masks, unit_macs, network.segments)
        plain += prefix_cost(masks, *pass_seconds(engine, inputs, 10)) / n_validation
    images = n_validation + n_calibration
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
        "gmacs": macs * images / together / 1e9,
        "rate_share": plain * images / together,
        "memory_mb": peak_growth(case, n_validation, n_calibration, 2**n),
        "memory_few_mb": peak_growth(case, n_validation, n_calibration, 64),
        "bound_mb": engine.bound_bytes(2**n, n_validation) / 2**20,
    }


def peak_growth(case: Case, n_validation: int, n_calibration: int, masks: int) -> float:
    """MB by which so many masks together raise the peak of a fresh process that has evaluated one mask."""
    numbers = case.depth, case.width, case.seed, n_validation, n_calibration, masks
    command = [sys.executable, "-m", "benchmarks.masks_peak", *map(str, numbers)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def one_by_one(engine: Engine, masks: Sequence[Mask], images: torch.Tensor, labels: torch.Tensor) -> list[Any]:
    """Packed correctness of each mask, evaluated alone."""
    return [engine.evaluate([mask], images, labels).packed for mask in masks]


def prefix_cost(masks: Sequence[Mask], units: Sequence[float], segments: Sequence[float]) -> float:
    """What the masks cost together: a segment once for every prefix before it, a unit for those that keep it."""
    total = segments[0]
    for level, unit in enumerate(units[: len(segments) - 1]):
        prefixes = {mask.bits[: level + 1] for mask in masks}
        total += unit * sum(prefix[-1] == "1" for prefix in prefixes) + segments[level + 1] * len(prefixes)
    return float(total)


def pass_seconds(engine: Engine, images: torch.Tensor, repeats: int) -> Times:
    """Processor time of every unit, and of every segment, (2, n + 1), in plain passes of the full network."""
    net, n = engine.net, engine.network.n_units
    found = np.zeros((2, n + 1))
    with torch.inference_mode():
        for turn in range(repeats + 1):
            x = images.contiguous(memory_format=torch.channels_last)
            for level in range(n + 1):
                x, segment = timed(partial(net.run_segment, level, x))
                x, unit = timed(partial(net.run_unit, level, x)) if level < n else (x, 0.0)
                if turn:  # the first pass prepares the kernels
                    found[:, level] += unit / repeats, segment / repeats
    return found


def identical_to_modules(engine: Engine, inputs: torch.Tensor, labels: torch.Tensor, count: int = 32) -> bool:
    """Whether random masks get the logits, bit for bit, of plain modules with PyTorch's own BatchNorm."""
    rng = np.random.default_rng(0)
    n = engine.net.description.n_units
    masks = sorted({Mask("".join(rng.choice(["0", "1"], n))) for _ in range(count)})
    logits = engine.logits(masks, inputs)
    assert engine.calibration is not None
    same = True
    for mask in masks:
        static = engine.net.extract(mask, engine.scaling)
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
    masks = list(all_masks(net.description.n_units))
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
    masks = list(all_masks(net.description.n_units))[::8]
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
