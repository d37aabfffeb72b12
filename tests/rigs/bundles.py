"""Small bundles that IREE really compiles, without torch: chains of matrix products, longer for larger masks."""

from __future__ import annotations

import subprocess
from importlib.metadata import version
from pathlib import Path

import numpy as np
from iree.compiler.tools.binaries import find_tool
from iree.runtime import ParameterIndex, parameter_index_add_numpy_ndarray

from depthdial.deploy.manifest import (
    BundledConfiguration,
    CompiledFor,
    Gate,
    Input,
    Manifest,
    write_manifest,
)
from depthdial.files import sha256_file
from depthdial.networks.description import write_description
from depthdial.networks.families.he_shapes import Architecture

TRIPLES = {"x86_64": "x86_64-unknown-linux-gnu", "aarch64": "aarch64-unknown-linux-gnu"}
SIZE = 96


def program(name: str, layers: int) -> str:
    """A function of one image: ``layers`` products with the same matrix, and at last an addition."""
    side = f"{SIZE}x{SIZE}xf32"
    row = f"1x{SIZE}xf32"
    lines = [
        f'util.global private @w = #stream.parameter.named<"weights"::"w"> : tensor<{side}>',
        f'util.global private @b = #stream.parameter.named<"batchnorm"::"b"> : tensor<{row}>',
        f"util.func public @{name}(%x0: tensor<{row}>) -> tensor<{row}> {{",
        f"  %w = util.global.load @w : tensor<{side}>",
        f"  %b = util.global.load @b : tensor<{row}>",
        "  %zero = arith.constant 0.0 : f32",
        f"  %empty = tensor.empty() : tensor<{row}>",
        f"  %fill = linalg.fill ins(%zero : f32) outs(%empty : tensor<{row}>) -> tensor<{row}>",
    ]
    for index in range(layers):
        lines.append(
            f"  %x{index + 1} = linalg.matmul ins(%x{index}, %w : tensor<{row}>, tensor<{side}>) "
            f"outs(%{'b' if index == layers - 1 else 'fill'} : tensor<{row}>) -> tensor<{row}>"
        )
    last = f"%x{layers}"
    return "\n".join([*lines, f"  util.return {last} : tensor<{row}>", "}"])


def write_archive(path: Path, name: str, value: np.ndarray) -> None:
    index = ParameterIndex()
    parameter_index_add_numpy_ndarray(index, name, value)
    index.create_archive_file(str(path))


def make_bundle(
    folder: Path,
    network: str = "dial",
    masks: tuple[str, ...] = ("111", "100"),
    machine: str = "x86_64",
    target: str = "host",
    per_block: int = 12,
) -> Path:
    """A bundle whose configurations take time in proportion to the kept blocks."""
    generator = np.random.default_rng(0)
    weights = (generator.standard_normal((SIZE, SIZE)) / np.sqrt(SIZE)).astype(np.float32)
    shift = np.ones((1, SIZE), np.float32)
    picture = generator.standard_normal((1, SIZE)).astype(np.float32)
    for name in ("modules", "batchnorm", "gate"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    write_archive(folder / "weights.irpa", "w", weights)
    np.save(folder / "gate" / "input0.npy", picture)
    write_description(folder / "network.json", Architecture(8, 4, 1, 8, 10).describe())
    (folder / "graph.json").write_text("{}")
    configurations = []
    for index, mask in enumerate(masks):
        name = f"c{index:02d}"
        layers = 1 + per_block * mask.count("1")
        expected = picture.astype(np.float64)
        for _ in range(layers):
            expected = expected @ weights
        np.save(folder / "gate" / f"{name}.0.npy", (expected + shift).astype(np.float32))
        write_archive(folder / "batchnorm" / f"{name}.irpa", "b", shift)
        compile_program(program(name, layers), folder / "modules" / f"{name}.vmfb", machine)
        configurations.append(
            BundledConfiguration(
                name=name,
                mask=mask,
                macs=layers * SIZE * SIZE,
                on_front=True,
                validation_accuracy=0.9,
                module=f"modules/{name}.vmfb",
                batchnorm=f"batchnorm/{name}.irpa",
                expected=(f"gate/{name}.0.npy",),
            )
        )
    files = {p.relative_to(folder).as_posix(): sha256_file(p) for p in sorted(folder.rglob("*")) if p.is_file()}
    manifest = Manifest(
        dataset="digits",
        network=network,
        seed=0,
        description="network.json",
        graph="graph.json",
        scaling="none",
        recalibrated=True,
        target=CompiledFor(
            name=target,
            backend="llvm-cpu",
            triple=TRIPLES[machine],
            cpu="generic",
            features=(),
            flags=(),
            compiler=version("iree-base-compiler"),
        ),
        input=Input(shape=(1, 1, 8, 12), mean=(0.0,), deviation=(1.0,), classes=tuple("0123456789")),
        weights="weights.irpa",
        gate=Gate(inputs=("gate/input0.npy",), absolute=1e-2, relative=1e-4),
        configurations=tuple(configurations),
        files=files,
    )
    write_manifest(folder, manifest)
    return folder


def compile_program(text: str, output: Path, machine: str) -> None:
    """Compile for any processor of an architecture."""
    flags = ["--iree-hal-target-backends=llvm-cpu", f"--iree-llvmcpu-target-triple={TRIPLES[machine]}"]
    flags.append(f"--iree-llvmcpu-target-cpu={'x86-64' if machine == 'x86_64' else 'generic'}")
    command = [find_tool("iree-compile"), "-", *flags, "-o", str(output)]
    subprocess.run(command, input=text, text=True, check=True, capture_output=True)
