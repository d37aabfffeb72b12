"""Networks of other families than He's at 224 pixels, on one thread: against peers, when units are skipped, and packed.

A part of ``make bench-deploy``; alone, ``python -m benchmarks.deploy_general [network ...]`` prints its figures.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.deploy import configurations_in_turn, in_turn, paired, peers, same_logits, storage, together
from benchmarks.deploy_bundles import make_bundle, make_packed, skipping
from benchmarks.deploy_page import Json
from depthdial.config.networks import Network
from depthdial.deploy.runtime import Bundle
from depthdial.networks.masks import Mask

NETWORKS = {
    "resnet18": ("torchvision", "resnet18"),
    "resnet50": ("torchvision", "resnet50"),
    "mobilenet_v3_large": ("torchvision", "mobilenet_v3_large"),
    "efficientnet_lite0": ("timm", "efficientnet_lite0"),
    "convnext_tiny": ("torchvision", "convnext_tiny"),
    "vit_small": ("timm", "vit_small_patch16_224"),
}
SKIPPING = ("resnet50", "efficientnet_lite0")
CONFIGURATIONS = 8
ROUNDS, SAMPLES = 12, 4


def bundle_of(name: str, folder: Path, target: str) -> Path:
    """The bundle of a network with random weights, with several configurations if it is one of ``SKIPPING``."""
    from depthdial.networks.describe import describe

    family, model = NETWORKS[name]
    settings = Network(name="net", role="dial", family=family, model=model, weights="random", recipe="none")
    network = describe(settings, (3, 224, 224), 1000)
    masks = skipping(network, CONFIGURATIONS) if name in SKIPPING else [Mask.full(network.n_units)]
    return make_bundle(folder, network, masks, target)


def measure_general(work: Path, target: str, names: Sequence[str] = tuple(NETWORKS)) -> Json:
    """By network: latencies against peers, and of configurations with what they take on disk and in memory."""
    found: Json = {}
    for name in names:
        folder = work / name
        bundle = bundle_of(name, folder, target)
        row: Json = {}
        if name in SKIPPING:
            packed = make_packed(folder, CONFIGURATIONS, target)
            row["storage"] = storage({"one": make_packed(folder, 1, target), "packed": packed})
            row["configurations"] = configurations_in_turn(packed, ROUNDS, SAMPLES, 1)
        image = np.load(bundle / "gate" / "input0.npy")
        ours = Bundle(bundle)
        calls = {"depthdial": lambda b=ours, x=image[0]: b.logits(x, "c00")} | peers(folder, image, 1)
        same_logits(calls)
        taken = in_turn(calls, ROUNDS, SAMPLES)
        row["latencies"] = {
            library: {
                "median_ms": statistics.median(together(rounds)) * 1e3,
                "least_ms": min(together(rounds)) * 1e3,
                "ours_over_it": paired(taken["depthdial"], rounds),
            }
            for library, rounds in taken.items()
        }
        found[name] = row
    return found


def summary_general(found: Json, libraries: Sequence[str]) -> Json:
    """The figures that are compared with goals; ``libraries`` are those that compute with the same vectors."""
    figures: Json = {}
    for name, row in found.items():
        rows = row["latencies"]
        figures[f"general_latency_ratio_{name}"] = max(rows[one]["ours_over_it"] for one in libraries)
    skipped = {name: row for name, row in found.items() if "configurations" in row}
    for name, row in skipped.items():
        errors = [abs(one["latency_share"] / one["macs_share"] - 1) for one in row["configurations"].values()]
        figures[f"general_proportionality_error_{name}"] = max(errors)
        for key, size in (("disk", "bytes"), ("pss", "pss_kb")):
            ratio = row["storage"]["packed"][size] / row["storage"]["one"][size]
            figures[f"general_{key}_ratio_k8"] = max(ratio, figures.get(f"general_{key}_ratio_k8", 0.0))
    return figures


def section_general(found: Json) -> list[str]:
    """Lines for the page."""
    libraries = list(next(iter(found.values()))["latencies"])
    lines = [
        "",
        "### Other families at 224 pixels, one thread: median (least) latency in ms; ours over it, paired by round",
        "",
        f"| network | {' | '.join(libraries)} |",
        "|---|" + "---:|" * len(libraries),
    ]
    for name, row in found.items():
        cells = (f"{one['median_ms']:.2f} ({one['least_ms']:.2f}); {one['ours_over_it']:.2f}"
                 for one in row["latencies"].values())  # fmt: skip
        lines.append(f"| {name} | {' | '.join(cells)} |")
    for name, row in found.items():
        if "configurations" in row:
            shares = ", ".join(f"{one['macs_share']:.1%}: {one['latency_share']:.1%}"
                               for one in row["configurations"].values())  # fmt: skip
            lines += [
                "",
                f"{name}, {CONFIGURATIONS} configurations, packed; MACs: latency, of the full network: {shares}.",
            ]
    return lines


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as work:
        found = measure_general(Path(work), "host", sys.argv[1:] or tuple(NETWORKS))
    print("\n".join(section_general(found)))  # noqa: T201
    print(json.dumps(summary_general(found, ("ONNX Runtime", "OpenVINO"))))  # noqa: T201


if __name__ == "__main__":
    main()
