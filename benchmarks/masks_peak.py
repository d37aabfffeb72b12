"""MB that evaluating many masks takes at its peak beyond what the process held before; run in a fresh process."""

from __future__ import annotations

import gc
import sys
from pathlib import Path

from benchmarks.masks_networks import IMAGES, Case
from depthdial.evaluate.engine import Engine
from depthdial.evaluate.tasks import calibration_tensor, load_tensors
from depthdial.networks.masks import all_masks
from depthdial.runs.torch_process import set_up_torch


def peak_growth(case: Case, n_validation: int, n_calibration: int, count: int) -> float:
    """MB by which ``count`` masks, spread over all of them, raise this process's peak above what it holds before."""
    set_up_torch(1)
    inputs, labels = (tensor[:n_validation] for tensor in load_tensors(IMAGES, "validation"))
    engine = Engine(case.net(), "survival", calibration_tensor(IMAGES, n_calibration))
    everything = list(all_masks(engine.net.description.n_units))
    masks = everything[:: max(1, len(everything) // count)]
    engine.evaluate(masks[-1:], inputs, labels)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew (Linux, proc(5))
    before = _status("VmRSS")
    engine.evaluate(masks, inputs, labels)
    return (_status("VmHWM") - before) / 1024


def _status(name: str) -> int:
    """A line of this process's status, in kB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


if __name__ == "__main__":
    depth, width, seed, *counts = map(int, sys.argv[1:])
    print(peak_growth(Case(depth, width, seed), *counts))  # noqa: T201
