"""What deployment on this machine comes to: the figures that are compared with goals, and the page that shows them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

Json = dict[str, Any]
TOP = """\
# Deployment, measured on hosts

Written by `make bench-deploy`, a section for each kind of processor; do not edit. One image at a time, float32, random
weights. Libraries are called through their Python interfaces, configurations by IREE's benchmark tool, as on devices.
Ratios are of medians within a round, the median of them over rounds: what the machine does between rounds is in both.
What a section says holds for its processor.

"""


def summary(found: Json, peers: Sequence[str]) -> Json:
    """The figures that are compared with goals; ``peers`` are those that compute with the same vectors."""

    def paired_ratio(key: str) -> float:
        rows = found["latencies"][key]
        return float(max(rows[peer]["ours_over_it"] for peer in peers))

    def least_ratio(key: str) -> float:
        rows = found["latencies"][key]
        return float(rows["depthdial"]["least_ms"] / min(rows[peer]["least_ms"] for peer in peers))

    def against_one(bundle: str, key: str) -> float:
        return float(found["storage"][bundle][key] / found["storage"]["one"][key])

    rows = found["configurations"]
    keys = {
        f"latency_ratio{network}{suffix}_{threads}t": ratio(f"resnet{depth} {threads}t")
        for network, depth in (("", 56), ("_resnet20", 20))
        for threads in (1, 2)
        for suffix, ratio in (("", paired_ratio), ("_least", least_ratio))
    }
    return {
        **keys,
        "macs_proportionality_error": max(abs(row["latency_share"] / row["macs_share"] - 1) for row in rows.values()),
        "macs_proportionality_error_least": max(
            abs(row["least_latency_share"] / row["macs_share"] - 1) for row in rows.values()
        ),
        "disk_ratio_k12": against_one("packed", "bytes"),
        "disk_ratio_k12_apart": against_one("apart", "bytes"),
        "pss_ratio_k12": against_one("packed", "pss_kb"),
        "pss_ratio_k12_apart": against_one("apart", "pss_kb"),
        "pss_own_ratio_k12": against_one("packed", "own_pss_kb"),
        "switch_overhead": found["switch"]["packed"],
        "switch_overhead_apart": found["switch"]["apart"],
        "p99_over_median_worst": max(row["p99_over_median"] for row in rows.values()),
        "share_of_gemm_peak": found["share_of_gemm_peak"],
        "throughput_ratio_streams": found["streams_per_s"]["depthdial"]
        / max(found["streams_per_s"][peer] for peer in peers),
    }


def page(before: str, name: str, text: str) -> str:
    """The page with the section ``name`` written anew and all others as they were."""
    sections = re.split(r"^(?=## )", before, flags=re.MULTILINE)[1:]
    others = [one for one in sections if not one.startswith(f"## {name}\n")]
    return TOP + "\n".join(one.rstrip() + "\n" for one in sorted([*others, f"## {name}\n\n{text}"]))


def section(found: Json, figures: Json, about: Json) -> str:
    """What was measured on one kind of processor."""
    core = about["processor"]
    width = f"{core['registers']} vector registers of {core['floats']} floats"
    lines = [
        f"Compiled for `{core['cpu']}`: {width}, {core['cores']} cores. Load average {about['load']} at the start,",
        f"commit {about['commit']}; {', '.join(f'{name} {version}' for name, version in about['versions'].items())}.",
    ]
    if about["held"]:
        lines += [
            f"OpenVINO is held to the same vectors (`ONEDNN_MAX_CPU_ISA={about['held']}`). ONNX Runtime cannot be: it",
            "uses all that this processor has, so it is shown and not part of ratios. No processor without wider",
            "vectors was at hand: another one has other units behind the same instructions.",
        ]
    lines += [
        "",
        "### Full networks: median (least) latency in ms; ours over it, paired by round",
        "",
        "| network, threads | " + " | ".join(next(iter(found["latencies"].values()))) + " |",
        "|---|" + "---:|" * len(next(iter(found["latencies"].values()))),
    ]
    for key, rows in found["latencies"].items():
        cells = " | ".join(
            f"{row['median_ms']:.2f} ({row['least_ms']:.2f}); {row['ours_over_it']:.2f}" for row in rows.values()
        )
        lines.append(f"| {key} | {cells} |")
    lines += ["", "### Twelve configurations of ResNet-56, packed", ""]
    lines += [
        "| configuration | MACs | latency | least latency | median ms | p99 / median |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {name} | {row['macs_share']:.1%} | {row['latency_share']:.1%} | {row['least_latency_share']:.1%} | "
        f"{row['median_ms']:.3f} | {row['p99_over_median']:.2f} |"
        for name, row in found["configurations"].items()
    ]
    lines += ["", "### Twelve configurations: a module each, or packed as functions of one module", ""]
    lines += ["| | bytes | PSS kB | own PSS kB | own anonymous kB | load ms |", "|---|---:|---:|---:|---:|---:|"]
    for name, key in (
        ("one configuration", "one"),
        ("twelve, a module each", "apart"),
        ("twelve, packed", "packed"),
    ):
        row = found["storage"][key]
        lines.append(
            f"| {name} | {row['bytes']:,} | {row['pss_kb']:.0f} | {row['own_pss_kb']:.0f} | "
            f"{row['own_anonymous_kb']:.0f} | {row['load_ms']:.1f} |"
        )
    lines += [
        "",
        "PSS, and so `pss_ratio_k12`, is of the whole process: Python and IREE's runtime for the most part. Own is",
        "what opening and running the bundle adds; by that measure twelve configurations, packed, take",
        f"{figures['pss_own_ratio_k12']:.2f} times what one takes.",
    ]
    lines += ["", "### As many streams of one thread as cores, ResNet-56: inferences per second", ""]
    lines += [f"- {name}: {rate:.0f}" for name, rate in found["streams_per_s"].items()]
    lines += [
        "",
        "OpenVINO's threads are not pinned here: pinned, as they are by default, all streams would be on one core.",
        "",
        "### Figures",
        "",
        "`share_of_gemm_peak`: MACs per second of ResNet-56 on one thread over those of a product of matrices,",
        "measured in the same rounds, of the size that is fastest; the product uses all that the processor has.",
        "",
    ]
    lines += ["| figure | value |", "|---|---:|"]
    lines += [f"| {key} | {value:.3f} |" for key, value in figures.items()]
    return "\n".join([*lines, ""])
