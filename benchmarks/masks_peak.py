"""MB by which evaluating many masks raises the peak of a process that has evaluated one; run in a fresh process."""

from __future__ import annotations

import resource
import sys
from itertools import islice

import torch

from benchmarks.masks_networks import IMAGES, Case
from depthdial.evaluate.engine import Engine
from depthdial.evaluate.tasks import calibration_tensor, load_tensors
from depthdial.masks import all_masks


def peak_growth(case: Case, n_validation: int, n_calibration: int, count: int) -> float:
    """MB by which the first ``count`` masks together raise this process's peak."""
    torch.set_num_threads(1)
    inputs, labels = (tensor[:n_validation] for tensor in load_tensors(IMAGES, "validation"))
    engine = Engine(case.net(), "survival", calibration_tensor(IMAGES, n_calibration), batch_size=n_validation)
    masks = list(islice(all_masks(engine.net.arch.n_blocks), count))
    engine.evaluate(masks[-1:], inputs, labels)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    engine.evaluate(masks, inputs, labels)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


if __name__ == "__main__":
    depth, width, seed, *counts = map(int, sys.argv[1:])
    print(peak_growth(Case(depth, width, seed), *counts))  # noqa: T201
