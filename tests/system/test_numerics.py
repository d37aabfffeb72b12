"""Compiled configurations compute what PyTorch computes, here and on an emulated Cortex-A72."""

from __future__ import annotations

from pathlib import Path

import pytest

from depthdial.config.targets import Target, Tiles, Variant, load_targets
from depthdial.deploy.gate import check_configuration, run_tool
from depthdial.deploy.pack import pack
from depthdial.networks.families.he_shapes import Architecture
from tests.unit.deploy_case import Case

ROOT = Path(__file__).resolve().parents[2]
TARGETS = load_targets(ROOT / "config" / "targets.yaml")
MASKS = ["111", "000", "011", "101", "110"]
"""Every block kept, none, and each single block skipped."""


def gate(case: Case, target: Target) -> None:
    """Deploy without the gate, then hold every configuration, apart and packed, against PyTorch far more narrowly."""
    tool = run_tool(target, ROOT / ".cache" / "depthdial")
    assert tool is not None
    folder, manifest = case.bundle(target, tool=None)
    narrow = manifest.model_copy(update={"gate": manifest.gate.model_copy(update={"absolute": 1e-5, "relative": 1e-4})})
    names = [configuration.name for configuration in manifest.configurations]
    packed = case.folder / "packed"
    together = pack(folder, names, target, packed, log_path=case.folder / "pack.log")
    for name in names:
        assert check_configuration(folder, narrow, name, tool).share_of_tolerance < 1
        shared = together.model_copy(update={"gate": narrow.gate})
        assert check_configuration(packed, shared, name, tool).share_of_tolerance < 1


@pytest.mark.slow
@pytest.mark.parametrize("scaling", ["none", "survival", "inverse"])
def test_numerics_on_this_machine(tmp_path: Path, scaling: str) -> None:
    gate(Case(tmp_path, MASKS, scaling=scaling), TARGETS["host"])


@pytest.mark.slow
@pytest.mark.parametrize("variant", list(TARGETS["host"].variants))
def test_numerics_of_every_way_of_compiling(tmp_path: Path, variant: str) -> None:
    target = TARGETS["host"].model_copy(update={"variants": {variant: TARGETS["host"].variants[variant]}})
    gate(Case(tmp_path, ["111", "101"], Architecture(8, 16, 1, 16, 10)), target)


@pytest.mark.slow
@pytest.mark.parametrize(
    "tiles", [Tiles(accumulators=24, channel_vectors=3, workers=3), Tiles(accumulators=5, channel_vectors=1)]
)
def test_numerics_of_unusual_tiles(tmp_path: Path, tiles: Tiles) -> None:
    target = TARGETS["host"].model_copy(update={"variants": {"unusual": Variant(tiles=tiles)}})
    gate(Case(tmp_path, ["111"], Architecture(8, 12, 3, 12, 7)), target)


@pytest.mark.slow
@pytest.mark.aarch64
@pytest.mark.parametrize(
    ("arch", "masks"), [(Architecture(8, 4, 3, 8, 5), MASKS), (Architecture(8, 16, 1, 8, 10), ["111", "010"])]
)
def test_numerics_on_an_emulated_cortex_a72(tmp_path: Path, arch: Architecture, masks: list[str]) -> None:
    gate(Case(tmp_path, masks, arch), TARGETS["cortex-a72"])
