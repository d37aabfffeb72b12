"""Tile sizes: what is asked of the registers, and how they get into what the compiler wrote."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from depthdial.config.targets import CPUS, Target, Tiles
from depthdial.deploy.compile import CONFIGURED as PHASE
from depthdial.deploy.compile import Compiler, target_flags
from depthdial.deploy.processor import Processor, processor
from depthdial.deploy.program import program
from depthdial.deploy.tiles import (
    LARGEST_STEP,
    Convolution,
    Cut,
    cut,
    needed_registers,
    set_tiles,
    store_vectors,
)
from depthdial.errors import DeployError
from depthdial.networks.families.he_shapes import Architecture
from depthdial.networks.masks import Mask

CONFIGURED = """\
#target = {native_vector_size = 64 : i64}
  hal.executable private @main_dispatch_1 {
      hal.executable.export public @main_dispatch_1_conv_16x16x32x3x3x32_f32 ordinal(0)
        %1 = linalg.fill {lowering_config = #iree_cpu.lowering_config<vector_common_parallel = [1, 1, 8, 16]>}
        %2 = linalg.generic {lowering_config = #iree_cpu.lowering_config<distribution = [0, 2, 16, 32, 0, 0, 0], \
vector_common_parallel = [1, 1, 8, 16, 0, 0, 0], vector_reduction = [0, 0, 0, 0, 1, 1, 8]>}
  }
  hal.executable private @main_dispatch_2 {
      hal.executable.export public @main_dispatch_2_slow_memcpy ordinal(0)
        %1 = linalg.copy {lowering_config = #iree_cpu.lowering_config<vector_common_parallel = [1, 1, 16]>}
  }
  util.func @main { stream.cmd.dispatch @main_dispatch_1::@main_dispatch_1_conv_16x16x32x3x3x32_f32 }
"""


def core(cpu: str) -> Processor:
    architecture = "x86_64" if cpu in CPUS["x86_64"] else "aarch64"
    return processor(Target(triple=f"{architecture}-unknown-linux-gnu", cpu=cpu))


def conv(size: int, channels: int, inside: int) -> Convolution:
    return Convolution(size, size, channels, 3, 3, inside)


def test_what_the_compiler_knows_of_processors() -> None:
    found = {cpu: core(cpu) for cpu in ("x86-64-v2", "x86-64-v3", "x86-64-v4", "cortex-a72", "sandybridge")}
    assert {cpu: (one.registers, one.floats, one.fused) for cpu, one in found.items()} == {
        "x86-64-v2": (16, 4, False),
        "x86-64-v3": (16, 8, True),
        "x86-64-v4": (32, 16, True),
        "cortex-a72": (32, 4, True),
        "sandybridge": (16, 8, False),
    }
    assert (found["cortex-a72"].l1_kb, found["cortex-a72"].l2_kb, found["cortex-a72"].cores) == (32, 1024, 4)


def test_what_a_target_says_of_its_caches_holds() -> None:
    target = Target(triple="aarch64-unknown-linux-gnu", cpu="cortex-a53", l1_kb=16, l2_kb=512, cores=2)
    found = processor(target)
    assert (found.l1_kb, found.l2_kb, found.cores) == (16, 512, 2)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the target is of x86-64")
def test_the_host_is_read_from_this_machine() -> None:
    found = processor(Target(triple="x86_64-unknown-linux-gnu", cpu="host"))
    said = Path("/proc/cpuinfo").read_text()
    assert found.floats == (16 if "avx512f" in said else 8 if "avx2" in said else 4)
    assert found.cores == os.cpu_count()


@pytest.mark.parametrize(
    ("cpu", "shape", "pixels", "channels", "reduction"),
    [  # the fastest of all cuts that were tried, or within a tenth of it (docs/decisions.md)
        ("x86-64-v4", conv(32, 16, 3), 16, 16, 3),
        ("x86-64-v4", conv(32, 16, 16), 16, 16, 4),
        ("x86-64-v4", conv(16, 32, 32), 8, 32, 4),
        ("x86-64-v4", conv(8, 64, 64), 8, 32, 4),
        ("x86-64-v3", conv(32, 16, 16), 4, 16, 4),
        ("x86-64-v3", conv(16, 32, 16), 4, 16, 4),
        ("x86-64-v3", conv(8, 64, 64), 4, 16, 4),
        ("x86-64-v2", conv(32, 16, 16), 2, 16, 4),
        ("x86-64-v2", conv(8, 64, 64), 1, 32, 4),
        ("cortex-a72", conv(32, 16, 16), 4, 16, 4),
        ("cortex-a72", conv(8, 64, 64), 4, 16, 4),
        ("cortex-a72", conv(2, 64, 64), 2, 32, 4),
    ],
)
def test_what_was_measured_is_chosen(cpu: str, shape: Convolution, pixels: int, channels: int, reduction: int) -> None:
    found = cut(shape, core(cpu), Tiles())
    assert (found.pixels, found.channels, found.reduction) == (pixels, channels, reduction)


@given(
    st.sampled_from(["x86-64-v2", "x86-64-v3", "x86-64-v4", "cortex-a53", "neoverse-n1"]),
    st.builds(Convolution, *[st.integers(1, 64)] * 2, st.integers(1, 256), *[st.sampled_from([1, 3, 5, 7])] * 2,
              st.integers(1, 256), st.sampled_from([1, 2, 4])),
)  # fmt: skip
def test_no_more_registers_than_there_are(cpu: str, shape: Convolution) -> None:
    one = core(cpu)
    found = cut(shape, one, Tiles())
    assert needed_registers(found.pixels, -(-found.channels // one.floats), one) <= one.registers
    assert shape.width % found.pixels == shape.channels % found.channels == shape.inside % found.reduction == 0
    assert found.rows * one.cores >= shape.height
    assert 4 * found.pixels * found.channels * found.reduction < LARGEST_STEP


@given(
    st.integers(1, 64), st.integers(1, 64), st.integers(1, 128), st.integers(1, 32), st.integers(1, 8),
    st.integers(1, 8),
)  # fmt: skip
def test_what_a_variant_says_holds(
    height: int, width: int, channels: int, sums: int, vectors: int, workers: int
) -> None:
    tiles, one = Tiles(accumulators=sums, channel_vectors=vectors, workers=workers), core("x86-64-v3")
    found = cut(Convolution(height, width, channels, 3, 3, 8), one, tiles)
    assert found.channels <= vectors * one.floats
    assert found.rows * workers >= height
    assert found.pixels == 1 or found.pixels * max(found.channels, one.floats) <= sums * one.floats


def test_small_convolutions_are_not_shared() -> None:
    """Waking a second core takes as long as a convolution of a few hundred thousand multiply-adds."""
    one = core("x86-64-v4")
    assert cut(conv(8, 16, 16), one, Tiles()).rows == 8
    assert cut(conv(32, 16, 16), one, Tiles()).rows == 8
    assert cut(conv(32, 16, 16), one.model_copy(update={"cores": 2}), Tiles()).rows == 16


def test_convolutions_alone_are_changed() -> None:
    tiles = Tiles(accumulators=16, channel_vectors=2, reduction=2, workers=4)
    changed = set_tiles(CONFIGURED, tiles, core("x86-64-v4"), "c00")
    assert "distribution = [0, 4, 16, 32, 0, 0, 0]" in changed
    assert "vector_common_parallel = [1, 1, 8, 32, 0, 0, 0], vector_reduction = [0, 0, 0, 0, 1, 1, 2]" in changed
    assert (
        "linalg.fill {lowering_config = #iree_cpu.lowering_config<vector_common_parallel = [1, 1, 8, 32]>}" in changed
    )
    assert changed.split("@main_dispatch_2 {")[1] == CONFIGURED.split("@main_dispatch_2 {")[1]


def test_what_was_found_on_a_device_comes_first() -> None:
    own = Cut(rows=16, pixels=2, channels=16, reduction=8)
    changed = set_tiles(CONFIGURED, Tiles(), core("x86-64-v4"), "c00", {"conv_16x16x32x3x3x32_f32": own})
    assert "distribution = [0, 16, 16, 32, 0, 0, 0]" in changed
    assert "vector_common_parallel = [1, 1, 2, 16, 0, 0, 0], vector_reduction = [0, 0, 0, 0, 1, 1, 8]" in changed


def test_another_compiler_is_refused() -> None:
    other = CONFIGURED.replace("distribution = [0, 2", "tiles = [0, 2")
    with pytest.raises(DeployError, match="c00: iree-compile chose no tiles for conv_16x16x32x3x3x32_f32"):
        set_tiles(other, Tiles(), core("x86-64-v4"), "c00")


@pytest.mark.parametrize(("cpu", "multiply"), [("x86-64-v3", "vfmadd"), ("cortex-a72", "fmla")])
def test_nothing_is_spilled_in_the_innermost_loop(cpu: str, multiply: str, tmp_path: Path) -> None:
    """The assembly of a convolution: its innermost loop multiplies and adds, and never touches the stack."""
    architecture = "x86_64" if cpu in CPUS["x86_64"] else "aarch64"
    target = Target(triple=f"{architecture}-unknown-linux-gnu", cpu=cpu)
    flags = [*target_flags(target, target.variant), "--iree-hal-link-executables=false"]
    compiler = Compiler("c00", tmp_path / "log")
    text = program(Architecture(8, 16, 3, 16, 10), {"c00": Mask("111")})
    configured = compiler.run(text, [*flags, f"--compile-to={PHASE}"]).decode()
    chosen = store_vectors(set_tiles(configured, Tiles(), processor(target), "c00"))
    dump = f"--iree-hal-dump-executable-intermediates-to={tmp_path}"
    compiler.run(chosen, [*flags, f"--compile-from={PHASE}", dump])
    loops = [loop for path in tmp_path.glob("*.s") for loop in innermost_loops(path.read_text(), multiply)]
    assert len(loops) >= 5
    stacked = re.compile(r"\(%r[sb]p|\[(sp|x29)\b")
    assert not [line for loop in loops for line in loop if stacked.search(line)]


def innermost_loops(assembly: str, multiply: str) -> list[list[str]]:
    """The loops of functions of convolutions that have multiply-adds and no other loop in them."""
    found = []
    for function in re.findall(r"^\w*_conv_\w+:\n(.*?)^\.Lfunc_end", assembly, re.M | re.S):
        lines = function.splitlines()
        labels = {line.rstrip(":"): number for number, line in enumerate(lines) if re.fullmatch(r"\.L\w+:", line)}
        ranges = []
        for number, line in enumerate(lines):
            jump = re.match(r"\s+(?:j|b\.|cb|tb)\S*\s.*?(\.L\w+)\s*$", line)
            if jump and labels.get(jump[1], number) < number:
                ranges.append((labels[jump[1]], number))
        for low, high in ranges:
            inner = any((low, high) != other and low <= other[0] and other[1] <= high for other in ranges)
            body = lines[low : high + 1]
            if not inner and any(multiply in line for line in body):
                found.append(body)
    return found


@pytest.mark.parametrize(
    "target",
    [
        Target(triple="x86_64-unknown-linux-gnu", cpu="skylake-avx512"),
        Target(triple="aarch64-unknown-linux-gnu", cpu="cortex-a72", features=("+neon",)),
    ],
    ids=lambda target: target.cpu,
)
def test_no_convolution_stores_single_values(target: Target, tmp_path: Path) -> None:
    text = program(Architecture(8, 16, 3, 16, 10), {"c00": Mask("111")})
    flags = [*target_flags(target, target.variant), f"--compile-to={PHASE}"]
    configured = Compiler("c00", tmp_path / "log").run(text, flags).decode()
    assert configured.count("iree_linalg_ext.map_store") > 3
    changed = store_vectors(configured)
    assert "iree_linalg_ext.map_store" not in changed
    assert changed.count("_image : tensor<1x") == configured.count("iree_linalg_ext.map_store")
