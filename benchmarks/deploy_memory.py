"""What one process needs to run some configurations of a bundle: memory and time to load, as JSON."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

from depthdial.deploy.runtime import Bundle

ROUNDS = 3
"""Inferences of each configuration: after its first the C library keeps the memory of activations for the next."""


def proportional_set_kb() -> dict[str, int]:
    """This process's proportional set size: all of it, and the part that no file backs."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    found = {line.split(":")[0]: int(line.split()[1]) for line in lines[1:]}
    return {"pss_kb": found["Pss"], "anonymous_kb": found["Pss_Anon"]}


def main(folder: str) -> None:
    """Open a bundle, load and run all its configurations, print what it took."""
    import iree.runtime

    iree.runtime.Config("local-sync")
    image = np.load(f"{folder}/gate/input0.npy")[0]
    before = proportional_set_kb()
    bundle = Bundle(folder)
    names = [one.name for one in bundle.manifest.configurations]
    started = time.perf_counter()
    for name in names:
        bundle.load(name)
    loaded = time.perf_counter() - started
    for name in names * ROUNDS:
        bundle.logits(image, name)
    after = proportional_set_kb()
    own = {f"own_{key}": after[key] - before[key] for key in after}
    print(json.dumps({**after, **own, "load_ms": loaded * 1e3}))  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1])
