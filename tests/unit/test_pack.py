"""Configurations packed as functions of one module compute what they computed apart."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from depthdial.cli import app
from depthdial.config.targets import Target, Tiles, Variant
from depthdial.deploy.archive import read_archive
from depthdial.deploy.gate import run_tool
from depthdial.deploy.manifest import module_arguments, read_manifest
from depthdial.deploy.pack import pack
from depthdial.deploy.runtime import Bundle
from depthdial.errors import ArtefactError, DeployError
from tests.unit.deploy_case import HOST, Case, flip

SCHEDULE = '{"quantile": "p99", "energy_source": "modelled", "configurations": []}'
"""What ``inspect`` shows of a schedule."""


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, _ = Case(tmp_path_factory.mktemp("pack"), ["111", "010", "100"]).bundle(HOST, None)
    return folder


@pytest.fixture(scope="module")
def packed(apart: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packed")
    (folder / "schedule.json").write_text(SCHEDULE)
    tool, schedule = run_tool(HOST, Path("unused")), {"schedule.json": folder / "schedule.json"}
    pack(apart, ["c01", "c02"], HOST, folder / "bundle", log_path=folder / "log", tool=tool, schedule=schedule)
    return folder / "bundle"


def test_what_was_chosen_is_in_one_module_over_one_copy_of_the_weights(apart: Path, packed: Path) -> None:
    manifest = read_manifest(packed)
    assert [one.name for one in manifest.configurations] == ["c01", "c02"]
    assert {one.module for one in manifest.configurations} == {"configurations.vmfb"}
    assert (packed / "weights.irpa").read_bytes() == (apart / "weights.irpa").read_bytes()
    assert set(read_archive(packed / "batchnorm.irpa")) == {"c01", "c02"}
    files = {path.name for path in packed.rglob("*") if path.is_file()}
    assert "c00.0.npy" not in files
    assert module_arguments(manifest, "c02")[:4] == [
        "--module=configurations.vmfb",
        "--parameters=weights=weights.irpa",
        "--parameters=batchnorm=batchnorm.irpa",
        "--function=c02",
    ]


def test_the_module_holds_no_weights(packed: Path) -> None:
    held = read_archive(packed / "weights.irpa")
    assert "stem_conv.weight" in held
    assert not set(held) & set(read_archive(packed / "batchnorm.irpa"))
    code = (packed / "configurations.vmfb").read_bytes()
    for name, value in held.items():
        assert value.tobytes() not in code, f"the module holds a copy of {name}"


@pytest.mark.parametrize("kind", ["apart", "packed"])
def test_a_flipped_byte_in_any_file_is_refused_by_all_who_open_a_bundle(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(request.getfixturevalue(kind), folder)
    names = ["manifest.json", *read_manifest(folder).files]
    assert len(names) == (22 if kind == "apart" else 16)
    for name in names:
        whole = (folder / name).read_bytes()
        flip(folder / name)
        with pytest.raises(ArtefactError, match=re.escape(str(folder / name))):
            Bundle(folder)
        for command in (["inspect", str(folder)], ["run", str(folder), "--images", str(tmp_path)]):
            assert str(folder / name) in str(CliRunner().invoke(app, command).exception)
        (folder / name).write_bytes(whole)
    assert read_manifest(folder).files


def test_what_nothing_ran_says_so(apart: Path, tmp_path: Path) -> None:
    assert not pack(apart, ["c01"], HOST, tmp_path / "b", log_path=tmp_path / "log").gated
    assert "numerics: NOT CHECKED" in CliRunner().invoke(app, ["inspect", str(tmp_path / "b")]).output


def test_code_of_equal_layers_is_there_once(apart: Path, packed: Path) -> None:
    manifest = read_manifest(apart)
    alone = [(apart / manifest.named(name).module).stat().st_size for name in ("c01", "c02")]
    assert (packed / "configurations.vmfb").stat().st_size < 0.8 * sum(alone)


def test_configurations_compute_what_they_computed_apart(apart: Path, packed: Path) -> None:
    ours, theirs = Bundle(packed), Bundle(apart)
    for source in ours.manifest.gate.inputs:
        image = np.load(packed / source)[0]
        for name in ("c01", "c02"):
            np.testing.assert_allclose(ours.logits(image, name), theirs.logits(image, name), rtol=1e-6, atol=1e-6)


def test_a_schedule_is_part_of_the_bundle(packed: Path) -> None:
    said = CliRunner().invoke(app, ["inspect", str(packed)]).output
    assert "packed for the schedule in schedule.json" in said
    assert "c00" not in said
    try:
        (packed / "schedule.json").write_text("[]")
        with pytest.raises(ArtefactError, match=r"schedule\.json: sha256 is"):
            read_manifest(packed)
    finally:
        (packed / "schedule.json").write_text(SCHEDULE)


def test_images_are_classified_without_c00(packed: Path, tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(np.full((8, 8, 3), 100, np.uint8)).save(tmp_path / "a.png")
    assert CliRunner().invoke(app, ["run", str(packed), "--images", str(tmp_path)]).output.startswith("a.png\tclass")
    said = CliRunner().invoke(app, ["run", str(packed), "--images", str(tmp_path), "--config", "c00"])
    assert "no configuration c00; there are c01, c02" in str(said.exception)


def test_another_target_than_the_bundles_is_refused(apart: Path, tmp_path: Path) -> None:
    other = Target(triple=HOST.triple, cpu="x86-64-v3")
    with pytest.raises(ArtefactError, match=r"target host is not what it was [^\n]*; compile again\n  cpu was .*-v3"):
        pack(apart, ["c01"], other, tmp_path / "b", log_path=tmp_path / "log")
    other = Target(triple=HOST.triple, cpu="host", variants={"tiled": Variant(tiles=Tiles(accumulators=8))})
    with pytest.raises(ArtefactError, match=r"\n  tiles was .*'accumulators': None.*, is .*'accumulators': 8"):
        pack(apart, ["c01"], other, tmp_path / "b", log_path=tmp_path / "log")
    other = Target(triple=HOST.triple, cpu="host", variants={"narrow": Variant()})
    with pytest.raises(ArtefactError, match=r"\n  variant was tiled, is narrow"):
        pack(apart, ["c01"], other, tmp_path / "b", log_path=tmp_path / "log")


def test_a_configuration_that_fails_the_gate_is_not_shipped(apart: Path, tmp_path: Path) -> None:
    with pytest.raises(DeployError, match=r"configuration c01, target host: does not run"):
        pack(apart, ["c01"], HOST, tmp_path / "b", log_path=tmp_path / "log", tool=["false"])
    assert not (tmp_path / "b").exists()
