"""Deployment, measured on this machine: against ONNX Runtime and OpenVINO, in time, on disk and in memory.

``make bench-deploy`` runs it, ``make bench-deploy TARGET=x86-64-v3`` with what is compiled for another target that
this machine runs; OpenVINO is held to the same vectors then, ONNX Runtime cannot be. What is compared is measured in
turn, in rounds; latencies are of single inferences of one image, float32, random weights. Figures and tables go to a
section of docs/benchmarks/deploy.md, one for each kind of processor and target, JSON to the last line of output.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.deploy_bundles import ROOT, he, make_bundle, make_packed, skipping, target_here
from benchmarks.deploy_page import Json, page, section, summary
from depthdial.deploy.calls import BENCHMARK, parse_report, timing_arguments
from depthdial.deploy.core import Processor
from depthdial.deploy.gate import run
from depthdial.deploy.manifest import device_arguments, module_arguments, read_manifest
from depthdial.deploy.processor import processor
from depthdial.deploy.runtime import Bundle
from depthdial.deploy.tools import installed_tools
from depthdial.devices.processors import this_processor
from depthdial.files import write_text
from depthdial.networks.masks import Mask
from depthdial.runs.provenance import git_commit, versions

DEPTHS = (20, 56, 110)
CONFIGURATIONS = 12
ROUNDS = 40
SAMPLES = 16
SETTLING_S = 0.05
REST_S = 60
"""Between compiling and timing: processors that were busy a minute ago are slower, two of them most."""
GEMM_SIDES = (256, 384, 768)
"""Sides of square matrices whose product is timed; the fastest is the machine's peak."""
Call = Callable[[], Any]
Rounds = list[list[float]]
"""Latencies of single inferences, a list for each round."""


def in_turn(calls: Mapping[str, Call], rounds: int = ROUNDS, samples: int = SAMPLES) -> dict[str, Rounds]:
    """Seconds of single calls, all of one name together in every round, after some that do not count."""
    for call in calls.values():
        _settle(call, 5 * SETTLING_S)
    taken: dict[str, Rounds] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            _settle(call, SETTLING_S)
            taken[name].append([_timed(call) for _ in range(samples)])
    return taken


def _settle(call: Call, seconds: float) -> None:
    """Call until the workers of the library before it have stopped spinning."""
    end = time.perf_counter() + seconds
    call()
    while time.perf_counter() < end:
        call()


def together(rounds: Rounds) -> list[float]:
    """The latencies of all rounds."""
    return [value for values in rounds for value in values]


def paired(ours: Rounds, theirs: Rounds) -> float:
    """Ratio of medians within a round, the median of it over rounds.

    A machine whose clock changes between rounds changes both in each of them.
    """
    pairs = zip(ours, theirs, strict=True)
    return statistics.median(statistics.median(one) / statistics.median(other) for one, other in pairs)


def peers(folder: Path, image: np.ndarray[Any, Any], threads: int, pinned: bool = True) -> dict[str, Call]:
    """ONNX Runtime and OpenVINO on the same weights, float32, with the stated number of threads; they return logits.

    OpenVINO pins its threads, as it does by default, unless ``pinned`` is false: it pins those of every model from
    the first core on, and models that run side by side would share one.
    """
    import onnxruntime
    import openvino

    model = folder / "network.onnx"
    if not model.exists():
        _write_onnx(folder, model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    hints = {
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "ENABLE_CPU_PINNING": pinned,
        "INFERENCE_PRECISION_HINT": "f32",
    }
    request = openvino.Core().compile_model(str(model), "CPU", hints).create_infer_request()
    return {
        "ONNX Runtime": lambda: session.run(None, {name: image})[0][0],
        "OpenVINO": lambda: request.infer({0: image})[0][0],
    }


def _write_onnx(folder: Path, model: Path) -> None:
    import torch

    from depthdial.networks.weights import load_weights

    net, _ = load_weights(folder / "weights.safetensors")
    example = torch.zeros(1, *net.description.input_shape)
    torch.onnx.export(net.extract(Mask.full(net.description.n_units)), (example,), str(model), dynamo=False)


def against_peers(folders: Mapping[int, Path]) -> Json:
    """The full networks by depth, threads and library: latency in ms, and against ours by rounds."""
    found: Json = {}
    for depth, folder in folders.items():
        image = np.load(folder / "bundle" / "gate" / "input0.npy")
        for threads in (1, 2):
            ours = Bundle(folder / "bundle", threads)
            calls: dict[str, Call] = {
                "depthdial": lambda b=ours, x=image[0]: b.logits(x, "c00"),
            }
            calls |= peers(folder, image, threads)
            same_logits(calls)
            products = {f"GEMM {side}": gemm(side) for side in GEMM_SIDES} if (depth, threads) == (56, 1) else {}
            taken = in_turn(calls | products)
            found[f"resnet{depth} {threads}t"] = {
                name: {
                    "median_ms": statistics.median(together(rounds)) * 1e3,
                    "least_ms": min(together(rounds)) * 1e3,
                    "ours_over_it": paired(taken["depthdial"], rounds),
                }
                for name, rounds in taken.items()
            }
    return found


def same_logits(calls: Mapping[str, Call]) -> None:
    """Raises AssertionError that names the library unless all compute the same: nothing else is worth timing."""
    logits = {name: call() for name, call in calls.items()}
    for name, found in logits.items():
        np.testing.assert_allclose(found, logits["depthdial"], rtol=1e-3, atol=1e-3, err_msg=name)


def gemm(side: int) -> Call:
    """A product of single-precision matrices on one core: the rate of arithmetic that a network is held against."""
    import torch

    torch.set_num_threads(1)
    left, right = torch.randn(side, side), torch.randn(side, side)
    return lambda: left @ right


def streams(folder: Path, count: int, seconds: float = 2.0) -> dict[str, float]:
    """Inferences per second of ``count`` independent streams of one thread each, by library."""
    image = np.load(folder / "bundle" / "gate" / "input0.npy")
    makers: dict[str, Callable[[], Call]] = {
        "depthdial": lambda: _own_stream(folder, image),
        "ONNX Runtime": lambda: peers(folder, image, 1)["ONNX Runtime"],
        "OpenVINO": lambda: peers(folder, image, 1, pinned=False)["OpenVINO"],
    }
    rates: dict[str, list[float]] = {name: [] for name in makers}
    for _ in range(3):
        for name, make in makers.items():
            rates[name].append(_throughput([make() for _ in range(count)], seconds))
    return {name: max(values) for name, values in rates.items()}


def _own_stream(folder: Path, image: np.ndarray[Any, Any]) -> Call:
    bundle = Bundle(folder / "bundle")
    return lambda: bundle.logits(image[0], "c00")


def _throughput(calls: list[Call], seconds: float) -> float:
    counts = [0] * len(calls)
    stop = threading.Event()

    def loop(index: int) -> None:
        while not stop.is_set():
            calls[index]()
            counts[index] += 1

    for call in calls:
        call()
    threads = [threading.Thread(target=loop, args=(index,)) for index in range(len(calls))]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    stop.set()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - started)


def single_inferences(arguments: Sequence[str], folder: Path, about: str, count: int, warm_up: int = 10) -> list[float]:
    """Latencies in ms of ``count`` single inferences by IREE's benchmark tool, after a warm-up."""
    command = [str(installed_tools()[BENCHMARK]), *arguments, *timing_arguments(warm_up + count)]
    report = parse_report(run(command, folder, about))
    return [one.real_time for one in report.benchmarks[warm_up:]]


def configurations_in_turn(folder: Path, rounds: int = 63, count: int = 32, warm_up: int = 10) -> Json:
    """Latency of every configuration of a bundle against its MACs; how far the worst 1 % lie above the median.

    By the runtime's own tool, as on devices: calls from Python would add some 20 us to each configuration. The full
    network runs right before each of them: within a round the machine has time to change.
    """
    manifest = read_manifest(folder)
    names = {one.name: one for one in manifest.configurations}
    taken: dict[str, Rounds] = {name: [] for name in names}
    before: dict[str, Rounds] = {name: [] for name in names}

    def inferences(name: str) -> list[float]:
        arguments = [*device_arguments(1), *module_arguments(manifest, name)]
        return single_inferences(arguments, folder, name, count, warm_up)

    for _ in range(rounds):
        for name in names:
            before[name].append(inferences("c00"))
            taken[name].append(inferences(name))
    least = min(together(taken["c00"]))
    full = names["c00"].macs
    rows = {}
    for name, by_round in taken.items():
        values = together(by_round)
        median = statistics.median(values)
        rows[name] = {
            "macs_share": names[name].macs / full,
            "latency_share": paired(by_round, before[name]),
            "least_latency_share": min(values) / least,
            "median_ms": median,
            "p99_over_median": float(np.quantile(values, 0.99)) / median,
        }
    return rows


def switching(folder: Path, rounds: int = 300, runs: int = 3) -> float:
    """What it costs to change the configuration at every inference, as a share of not changing it.

    Twelve inferences, one by each configuration in turn, against the same twelve with each configuration's
    run in one piece; both over many rounds, so that each configuration is called equally often.
    """
    bundle = Bundle(folder)
    image = np.load(folder / "gate" / "input0.npy")[0]
    names = [one.name for one in bundle.manifest.configurations]
    for name in names:
        bundle.load(name)
    shares = []
    for _ in range(rounds):
        stay = switch = 0.0
        for name in names:
            bundle.logits(image, name)
            for _ in range(runs):
                stay += _timed(lambda n=name: bundle.logits(image, n))
        for _ in range(runs):
            for name in names:
                switch += _timed(lambda n=name: bundle.logits(image, n))
        shares.append(switch / stay - 1)
    return statistics.median(shares)


def _timed(call: Call) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def memory(bundle: Path) -> dict[str, float]:
    """What a fresh process takes to load and run all configurations; medians of five processes."""
    command = [sys.executable, "-m", "benchmarks.deploy_memory", str(bundle)]
    runs = [
        json.loads(subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout)
        for _ in range(5)
    ]
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def storage(bundles: Mapping[str, Path]) -> Json:
    """Bytes that running takes, without the gate's inputs and outputs, and memory, of some bundles."""

    def size(folder: Path) -> int:
        code = {".irpa", ".vmfb"}
        return sum(path.stat().st_size for path in folder.rglob("*") if path.suffix in code)

    return {name: {"bytes": size(folder), **memory(folder)} for name, folder in bundles.items()}


def measure(work: Path, target: str) -> Json:
    """Everything, on ResNet-20, -56 and -110 for images of 32 x 32 x 3, compiled for a target of targets.yaml."""
    folders = {}
    for depth in DEPTHS:
        folders[depth] = work / f"resnet{depth}"
        masks = skipping(he(depth), CONFIGURATIONS) if depth == 56 else [Mask.full(he(depth).n_units)]
        make_bundle(folders[depth], he(depth), masks, target)
    folder = folders[56]
    bundles = {
        "one": make_packed(folder, 1, target),
        "apart": folder / "bundle",
        "packed": make_packed(folder, CONFIGURATIONS, target),
    }
    stored = storage(bundles)  # before this process maps the weights too, and shares their pages
    time.sleep(REST_S)
    latencies = against_peers(folders)
    products = {side: latencies["resnet56 1t"].pop(f"GEMM {side}") for side in GEMM_SIDES}
    return {
        "latencies": latencies,
        "configurations": configurations_in_turn(bundles["packed"]),
        "switch": {name: switching(bundles[name]) for name in ("packed", "apart")},
        "storage": stored,
        "streams_per_s": streams(folder, os.cpu_count() or 1),
        "share_of_gemm_peak": min(he(56).full_macs / side**3 / row["ours_over_it"] for side, row in products.items()),
    }


def held_to(target: Processor, host: Processor) -> str | None:
    """To what oneDNN, which OpenVINO computes with, must be held to have no wider vectors than the target.

    oneDNN reads it from ``ONEDNN_MAX_CPU_ISA``. ONNX Runtime's MLAS asks the processor alone; it has no such switch.
    """
    if target.floats >= host.floats:
        return None
    return {4: "SSE41", 8: "AVX2" if target.fused else "AVX"}[target.floats]


def main() -> None:
    """Measure, write the section, print JSON."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--target", default="host", help="name of a target in config/targets.yaml that runs here")
    name = parser.parse_args().target
    core = processor(target_here(name))
    if held := held_to(core, processor(target_here("host"))):
        os.environ["ONEDNN_MAX_CPU_ISA"] = held
    about = {
        "title": this_processor() + ("" if name == "host" else f"; compiled for {name}"),
        "processor": core.model_dump(),
        "held": held,
        "load": round(os.getloadavg()[0], 1),
        "commit": git_commit(),
        "versions": versions("iree-base-runtime", "onnxruntime", "openvino"),
    }
    from benchmarks.deploy_general import measure_general, section_general, summary_general  # which imports this module

    with tempfile.TemporaryDirectory() as work:
        found = measure(Path(work), name)
        general = measure_general(Path(work), name)
    libraries = ("OpenVINO",) if held else ("ONNX Runtime", "OpenVINO")
    figures = summary(found, libraries) | summary_general(general, libraries)
    path = ROOT / "docs" / "benchmarks" / "deploy.md"
    write_text(
        path,
        page(
            path.read_text(),
            about["title"],
            section(found, figures, about) + "\n".join(section_general(general)) + "\n",
        ),
    )
    print(json.dumps({**figures, "about": about}))  # noqa: T201


if __name__ == "__main__":
    main()
