"""Tile sizes: what is asked of the registers, and how they get into what the compiler wrote."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from depthdial.config.targets import Target, Tiles
from depthdial.deploy.compile import CONFIGURED as PHASE
from depthdial.deploy.compile import Compiler, target_flags
from depthdial.deploy.program import program
from depthdial.deploy.tiles import set_tiles, store_vectors, tile
from depthdial.errors import DeployError
from depthdial.networks.description import Architecture
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


def test_sixteen_sums_in_registers() -> None:
    tiles = Tiles(accumulators=16, channel_vectors=2, workers=2)
    assert tile(32, 32, 16, 16, tiles) == (16, 16, 16)
    assert tile(16, 16, 32, 16, tiles) == (8, 8, 32)
    assert tile(8, 8, 64, 16, tiles) == (4, 8, 32)


@given(
    st.integers(1, 64), st.integers(1, 64), st.integers(1, 128), st.sampled_from([4, 8, 16]), st.integers(1, 32),
    st.integers(1, 8), st.integers(1, 8),
)  # fmt: skip
def test_tiles_divide_and_fit(
    height: int, width: int, channels: int, floats: int, sums: int, vectors: int, workers: int
) -> None:
    tiles = Tiles(accumulators=sums, channel_vectors=vectors, workers=workers)
    rows, pixels, wanted = tile(height, width, channels, floats, tiles)
    assert width % pixels == 0
    assert channels % wanted == 0
    assert rows * workers >= height
    assert pixels == 1 or pixels * max(wanted, floats) <= sums * floats


def test_convolutions_alone_are_changed() -> None:
    changed = set_tiles(CONFIGURED, Tiles(accumulators=16, channel_vectors=2, reduction=2, workers=4), "c00")
    assert "distribution = [0, 4, 16, 32, 0, 0, 0]" in changed
    assert "vector_common_parallel = [1, 1, 8, 32, 0, 0, 0], vector_reduction = [0, 0, 0, 0, 1, 1, 2]" in changed
    assert (
        "linalg.fill {lowering_config = #iree_cpu.lowering_config<vector_common_parallel = [1, 1, 8, 32]>}" in changed
    )
    assert changed.split("@main_dispatch_2 {")[1] == CONFIGURED.split("@main_dispatch_2 {")[1]


def test_another_compiler_is_refused() -> None:
    other = CONFIGURED.replace("distribution = [0, 2", "tiles = [0, 2")
    with pytest.raises(DeployError, match="c00: iree-compile chose no tiles for conv_16x16x32x3x3x32_f32"):
        set_tiles(other, Tiles(), "c00")


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
