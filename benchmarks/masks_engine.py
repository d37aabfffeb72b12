"""The engine that shares prefixes between masks: its speed, memory and exactness, for `make bench-masks`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.masks_networks import CALIBRATION, IMAGES, Case
from benchmarks.timing import timed
from depthdial.evaluate.engine import Engine
from depthdial.evaluate.shards import shard
from depthdial.evaluate.tasks import calibration_tensor, load_tensors
from depthdial.networks.masks import Mask, all_masks


def speed(case: Case, n_validation: int, n_calibration: int, turns: int) -> dict[str, Any]:
    """All masks by the engine, one after the other, and plain passes, shard by shard in turn, on the first images."""
    inputs, labels = (tensor[:n_validation] for tensor in load_tensors(IMAGES, "validation"))
    engine = Engine(case.net(), "survival", calibration_tensor(IMAGES, n_calibration))
    n = engine.net.description.n_units
    together, alone, plain, identical = 0.0, 0.0, 0.0, True
    engine.evaluate([Mask.full(n)], inputs, labels)
    for turn in range(turns):
        masks = shard(all_masks(n), turn, turns)
        found, seconds = timed(partial(engine.evaluate, masks, inputs, labels))
        together += seconds
        single, seconds = timed(partial(one_by_one, engine, masks, inputs, labels))
        alone += seconds
        identical &= bool(np.array_equal(found.packed, np.vstack(single)))
        plain += plain_seconds(engine, inputs) / turns
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
        "rate_share": rate * plain / macs_together(engine),
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


def macs_together(engine: Engine) -> int:
    """Multiply-accumulates per image of all masks: unit l runs 2^l times, and what stands before it as often."""
    network = engine.net.description
    units = sum(2**unit.index * unit.macs for unit in network.units)
    return units + sum(2**place * macs for place, macs in enumerate(network.segments))


def plain_seconds(engine: Engine, inputs: torch.Tensor, repeats: int = 10) -> float:
    """Processor time per image of the same units and segments, as often as the engine runs them, in a plain pass."""
    net, total = engine.net, 0.0
    n = net.description.n_units

    def spent(part: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> float:
        part(x)
        _, seconds = timed(lambda: [part(x) for _ in range(repeats)])
        return seconds / repeats / len(inputs)

    with torch.inference_mode():
        x = inputs.contiguous(memory_format=torch.channels_last)
        for level in range(n + 1):
            total += 2**level * spent(partial(net.run_segment, level), x)
            x = net.run_segment(level, x)
            if level < n:
                total += 2**level * spent(partial(net.run_unit, level), x)
                x = net.run_unit(level, x)
    return total


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
