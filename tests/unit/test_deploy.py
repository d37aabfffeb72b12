"""A network goes from PyTorch into a bundle and computes the same there."""

from __future__ import annotations

import json
import os
import re
import shutil
from importlib.metadata import version
from math import prod
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from depthdial.cli import app
from depthdial.config.deploy import Deploy
from depthdial.config.targets import Target, Tiles
from depthdial.deploy.archive import read_archive
from depthdial.deploy.bundle import link
from depthdial.deploy.compile import Compiler
from depthdial.deploy.export import static_network
from depthdial.deploy.gate import check_configuration, compare, run_tool
from depthdial.deploy.graph.nodes import read_graph
from depthdial.deploy.graph.write import program
from depthdial.deploy.manifest import Gate, read_manifest
from depthdial.deploy.processor import processor
from depthdial.deploy.runtime import Bundle
from depthdial.errors import ArtefactError, DataError, DeployError
from depthdial.files import DIGESTS, digests, write_json
from depthdial.networks.configurations import read_configurations
from depthdial.networks.families.he_shapes import Architecture
from depthdial.networks.masks import Mask
from depthdial.networks.weights import save_weights
from tests.unit.deploy_case import ARCH, HOST, Case, flip

GATE = Gate(inputs=(), absolute=0.1, relative=0.01)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> tuple[Case, Path]:
    case = Case(tmp_path_factory.mktemp("deploy"), ["111", "010"])
    folder, _ = case.bundle(HOST, run_tool(HOST, Path("unused")))
    return case, folder


def test_a_skipped_block_leaves_nothing_behind(case: tuple[Case, Path]) -> None:
    graph = read_graph(case[1] / "graph.json")
    text = program(graph, {"c03": Mask("101")}, processor(HOST), Tiles())
    assert "blocks.0.conv1" in text
    assert "blocks.1." not in text
    assert text.count("flow.dispatch @convolution") == 6  # the classifier is one


def test_a_skipped_block_leaves_nothing_in_compiled_code(case: tuple[Case, Path]) -> None:
    full, without = ((case[1] / "modules" / f"{name}.vmfb").read_bytes() for name in ("c00", "c01"))
    assert {block for block in range(3) if f"blocks.{block}.".encode() in full} == {0, 1, 2}
    assert {block for block in range(3) if f"blocks.{block}.".encode() in without} == {1}


def test_a_mask_of_another_network_is_refused(case: tuple[Case, Path]) -> None:
    with pytest.raises(ValueError, match="mask 11 has 2 units, the network has 3"):
        read_graph(case[1] / "graph.json").keeping(Mask("11"))


def test_the_bundle_computes_what_pytorch_computes(case: tuple[Case, Path]) -> None:
    _, folder = case
    bundle = Bundle(folder)
    for one in bundle.manifest.configurations:
        for source, expected in zip(bundle.manifest.gate.inputs, one.expected, strict=True):
            found = bundle.logits(np.load(folder / source)[0], one.name)
            np.testing.assert_allclose(found, np.load(folder / expected)[0], rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_the_smallest_images_have_bundles_too(tmp_path: Path) -> None:
    """Of 4 x 4 pixels the last blocks see one; linking refuses code that does not compute what PyTorch computes."""
    arch = Architecture(depth=8, width=4, in_channels=1, image_size=4, classes=3)
    folder, manifest = Case(tmp_path, ["111", "010"], arch).bundle(HOST, run_tool(HOST, Path("unused")))
    bundle = Bundle(folder)
    for one in manifest.configurations:
        found = bundle.logits(np.load(folder / manifest.gate.inputs[0])[0], one.name)
        np.testing.assert_allclose(found, np.load(folder / one.expected[0])[0], rtol=1e-4, atol=1e-5)


def test_logits_outlive_the_buffers_of_the_runtime(case: tuple[Case, Path]) -> None:
    _, folder = case
    bundle = Bundle(folder)
    image = np.load(folder / bundle.manifest.gate.inputs[0])[0]
    kept = [bundle.logits(image, "c00") for _ in range(500)]
    assert all(np.array_equal(one, kept[0]) for one in kept)
    np.testing.assert_allclose(kept[0], np.load(folder / "gate" / "c00.0.npy")[0], rtol=1e-4, atol=1e-5)


def test_the_caller_waits_behind_its_workers_and_has_its_policy_back(
    case: tuple[Case, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, folder = case
    bundle, policies = Bundle(folder, threads=2), []
    image = np.load(folder / bundle.manifest.gate.inputs[0])[0]
    whole = bundle.logits(image, "c00")
    monkeypatch.setitem(bundle._functions, "c00", lambda _: policies.append(os.sched_getscheduler(0)))
    for chosen in (os.SCHED_OTHER, os.SCHED_IDLE, os.SCHED_BATCH):
        os.sched_setscheduler(0, chosen, os.sched_param(0))
        with pytest.raises(AttributeError):
            bundle.logits(image, "c00")
        assert os.sched_getscheduler(0) == chosen
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    assert policies == [os.SCHED_BATCH, os.SCHED_IDLE, os.SCHED_BATCH]
    np.testing.assert_allclose(whole, np.load(folder / "gate" / "c00.0.npy")[0], rtol=1e-4, atol=1e-5)


def test_weights_are_stored_once(case: tuple[Case, Path]) -> None:
    deployed, folder = case
    held = read_archive(folder / "weights.irpa")
    convolutions = {name for name in deployed.net.state_dict() if "conv" in name}
    assert set(held) == convolutions | {"classifier.weight", "classifier.bias"}
    for name, value in held.items():  # filled up to blocks of 16 output channels
        shape = deployed.net.state_dict()[name].shape
        assert value.size == (prod(shape) if len(shape) == 1 else -(-shape[0] // 16) * 16 * prod(shape[1:]))
    own = read_archive(folder / "batchnorm" / "c01.irpa")
    assert {name: value.size for name, value in own.items()} == {"c01": 3 * 2 * 8}  # of stem_bn, blocks.1.bn1, .bn2
    for one in read_manifest(folder).configurations:
        code = (folder / one.module).read_bytes()
        for name, value in held.items():
            assert value.tobytes() not in code, f"{one.module} holds a copy of {name}"


def test_a_wrong_statistic_fails_the_gate(case: tuple[Case, Path]) -> None:
    _, folder = case
    manifest = read_manifest(folder)
    expected = folder / manifest.named("c01").expected[1]
    right = np.load(expected)
    try:
        np.save(expected, right + 0.5)
        with pytest.raises(
            DeployError, match=r"configuration c01, target host, input 1: differs from PyTorch by 0\.5, 398 times"
        ):
            check_configuration(folder, manifest, "c01", run_tool(HOST, Path("unused")) or [])
    finally:
        np.save(expected, right)


def test_a_tool_that_fails_is_reported(case: tuple[Case, Path]) -> None:
    _, folder = case
    with pytest.raises(DeployError, match=r"configuration c00, target host: does not run \(status 1\)"):
        check_configuration(folder, read_manifest(folder), "c00", ["false"])


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("sleep 9", "not finished after 0.1 s"),
        ("", "cannot be started: .*Permission denied"),
        ("exit 0", "tool wrote no output"),
    ],
)
def test_a_tool_that_hangs_or_cannot_start_is_of_a_configuration(
    case: tuple[Case, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, said: str
) -> None:
    monkeypatch.setattr("depthdial.deploy.gate.LIMIT_S", 0.1)
    tool = tmp_path / "tool"
    tool.write_text(f"#!/bin/sh\n{program}\n")
    tool.chmod(0o755 if program else 0o644)
    with pytest.raises(DeployError, match=f"net, configuration c00, target host: .*{said}"):
        check_configuration(case[1], read_manifest(case[1]), "c00", [str(tool)])


def say_anew(exported: Path) -> None:
    """Make the digests of an exported folder those of what was changed in it."""
    (exported / DIGESTS).unlink()
    write_json(exported / DIGESTS, digests(exported))


def test_every_configuration_that_fails_the_gate_is_named(case: tuple[Case, Path], tmp_path: Path) -> None:
    deployed, _ = case
    exported = tmp_path / "exported"
    shutil.copytree(deployed.folder / "exported", exported)
    for name, wrong in (("c00", 0.5), ("c01", 2.0)):
        np.save(exported / "gate" / f"{name}.0.npy", np.load(exported / "gate" / f"{name}.0.npy") + wrong)
    say_anew(exported)
    modules = {name: deployed.folder / "host" / f"{name}.vmfb" for name in deployed.masks}
    tool = run_tool(HOST, Path("unused"))
    with pytest.raises(DeployError) as failed:
        link(exported, modules, deployed.configurations, deployed.images, Deploy(), tmp_path / "b", tool=tool)
    assert re.findall(r"configuration (c\d\d), .* by ([\d.]+)", str(failed.value)) == [("c00", "0.5"), ("c01", "2")]
    assert not (tmp_path / "b").exists()


def test_logits_that_are_not_finite_are_not_exported(tmp_path: Path) -> None:
    case = Case(tmp_path, ["111"])
    with torch.no_grad():
        case.net.classifier.bias[0] = torch.nan
    save_weights(case.weights, case.net, {})
    with pytest.raises(DeployError, match="configuration c00: its logits of input 0 are not finite"):
        case.export()
    assert not (tmp_path / "exported").exists()


def test_a_bundle_that_nothing_ran_is_checked_when_it_is_loaded(case: tuple[Case, Path], tmp_path: Path) -> None:
    deployed, _ = case
    exported = tmp_path / "exported"
    shutil.copytree(deployed.folder / "exported", exported)
    np.save(exported / "gate" / "c01.2.npy", np.load(exported / "gate" / "c01.2.npy") + 0.5)
    say_anew(exported)
    modules = {name: deployed.folder / "host" / f"{name}.vmfb" for name in deployed.masks}
    manifest = link(exported, modules, deployed.configurations, deployed.images, Deploy(), tmp_path / "b")
    assert not manifest.gated
    assert "NOT CHECKED" in CliRunner().invoke(app, ["inspect", str(tmp_path / "b")]).output
    bundle = Bundle(tmp_path / "b")
    bundle.load("c00")
    with pytest.raises(DeployError, match=r"configuration c01, gate/input2\.npy: differs from PyTorch by 0\.5"):
        bundle.logits(np.load(exported / "gate" / "input0.npy")[0], "c01")


@pytest.mark.parametrize("name", ["modules/c01.vmfb", "batchnorm/c01.irpa"])
def test_a_file_that_changes_after_the_bundle_was_opened_is_refused(
    case: tuple[Case, Path], tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(case[1], folder)
    bundle = Bundle(folder)
    bundle.load("c00")
    flip(folder / name)
    with pytest.raises(ArtefactError, match=f"{name}: sha256 is"):
        bundle.load("c01")


def test_a_bundle_of_another_architecture_is_refused(case: tuple[Case, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(DeployError, match="compiled for x86_64-unknown-linux-gnu, this machine is aarch64"):
        Bundle(case[1])


def test_the_manifest_says_how_code_was_made(case: tuple[Case, Path]) -> None:
    target = read_manifest(case[1]).target
    assert target.tiles == Tiles()
    assert target.cpu not in {"host", ""}
    assert target.compiler == version("iree-base-compiler")


def test_compare() -> None:
    expected = np.array([[0.0, 10.0]])
    assert compare(np.array([[0.1, 10.2]]), expected, GATE).tolerated
    assert not compare(np.array([[0.0, 10.21]]), expected, GATE).tolerated
    assert compare(np.array([[0.0, 10.5]]), expected, GATE).largest == pytest.approx(0.5)
    assert not compare(np.array([[np.nan, 10.0]]), expected, GATE).tolerated
    assert not compare(np.array([0.0, 10.0]), expected, GATE).tolerated


def test_modules_must_fit_the_configurations(case: tuple[Case, Path], tmp_path: Path) -> None:
    deployed, _ = case
    modules = {name: deployed.folder / "host" / f"{name}.vmfb" for name in deployed.masks}

    def linked(given: dict[str, Path]) -> None:
        link(deployed.folder / "exported", given, deployed.configurations, deployed.images, Deploy(), tmp_path / "b")

    with pytest.raises(ArtefactError, match="modules are of c00; configurations are c00, c01"):
        linked({"c00": modules["c00"]})
    with pytest.raises(ArtefactError, match="compiled for mask 010, c00 is 111"):
        linked({"c00": modules["c01"], "c01": modules["c01"]})
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("module", r"c01\.vmfb: changed since it was compiled; compile again"),
        ("target", "net: modules of different targets; compile again"),
        ("graph", "exported: c01 were compiled from another graph; compile again"),
    ],
)
def test_modules_that_were_not_compiled_together_are_refused(
    case: tuple[Case, Path], tmp_path: Path, what: str, said: str
) -> None:
    deployed, _ = case
    shutil.copytree(deployed.folder / "host", tmp_path / "host")
    modules = {name: tmp_path / "host" / f"{name}.vmfb" for name in deployed.masks}
    about = json.loads((tmp_path / "host" / "c01.json").read_text())
    if what == "module":
        flip(modules["c01"])
    elif what == "target":
        about["target"]["name"] = "board"
    else:
        about["graph_sha256"] = "0" * 64
    (tmp_path / "host" / "c01.json").write_text(json.dumps(about))
    given = (deployed.folder / "exported", modules, deployed.configurations, deployed.images, Deploy())
    with pytest.raises(ArtefactError, match=said):
        link(*given, tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_statistics_that_are_not_the_configurations_are_refused(tmp_path: Path) -> None:
    made = Case(tmp_path, ["111"])
    chosen = read_configurations(made.configurations)
    right = {f"c00/{name}": value for name, value in made.statistics()["c00"].items()}
    first = "c00/blocks.0.bn1.running_mean"
    static_network(made.net, chosen.configurations[0], chosen, right)
    with pytest.raises(ArtefactError, match=f"configuration c00: the statistics lack {first}; recalibrate again"):
        static_network(made.net, chosen.configurations[0], chosen, {k: v for k, v in right.items() if k != first})
    with pytest.raises(ArtefactError, match=f"the statistics' {first} has another shape than in the network"):
        static_network(made.net, chosen.configurations[0], chosen, right | {first: torch.zeros(7)})


def test_a_compiler_failure_names_what_and_where(tmp_path: Path) -> None:
    log = tmp_path / "c03.log"
    about = "net, configuration c03 (101), target host"
    whole = rf"{re.escape(about)}: iree-compile failed \(status 1\): .*; the whole log is {re.escape(str(log))}"
    with pytest.raises(DeployError, match=whole):
        Compiler(about, log).run("not MLIR", ["--iree-hal-target-backends=llvm-cpu"])
    assert "error:" in log.read_text()


def test_a_feature_that_the_compiler_ignores_is_refused(tmp_path: Path) -> None:
    case = Case(tmp_path, ["000"], Architecture(8, 1, 1, 4, 2))
    target = Target(triple="aarch64-unknown-linux-gnu", cpu="cortex-a72", features=("+nein",))
    with pytest.raises(DeployError, match=r"configuration c00.*target board.*nein' is not a recognized feature"):
        case.compile(target, "board")


def test_a_bundle_of_another_release_is_refused(case: tuple[Case, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("depthdial.deploy.runtime.version", lambda _: "3.0.0")
    with pytest.raises(DeployError, match=r"compiled by IREE 3\.13\.0, the installed runtime is 3\.0\.0"):
        Bundle(case[1])


def test_compiler_and_runtime_must_be_of_one_release(monkeypatch: pytest.MonkeyPatch) -> None:
    from depthdial.deploy import compile as module

    monkeypatch.setattr(module, "version", lambda name: "3.13.0" if "compiler" in name else "3.12.0")
    with pytest.raises(DeployError, match=r"compiler is 3\.13\.0, iree-base-runtime 3\.12\.0"):
        module.compiler_version()


def test_inspect_and_run(case: tuple[Case, Path], tmp_path: Path) -> None:
    from PIL import Image

    _, folder = case
    said = CliRunner().invoke(app, ["inspect", str(folder)])
    assert said.exit_code == 0
    assert "c01" in said.output
    assert "numerics: every configuration computes what PyTorch computes" in said.output
    assert "loops cut by the model of the processor" in said.output
    assert "all 16 files match" in said.output
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    said = CliRunner().invoke(app, ["run", str(folder), "--images", str(tmp_path), "--config", "c01"])
    wanted = Bundle(folder).classify(pixels.transpose(2, 0, 1), "c01")
    assert said.output == f"a.png\tclass{wanted}\n"


@pytest.mark.slow
def test_run_is_as_accurate_on_the_test_images_as_the_tables_say(tmp_path: Path) -> None:
    """Photographs of all shapes: one that was read otherwise would be another image."""
    import tarfile

    from PIL import Image

    from depthdial.config.data import Dataset
    from depthdial.data.images import save_images
    from depthdial.data.prepare import prepare
    from depthdial.evaluate.engine import Engine
    from depthdial.evaluate.tasks import load_tensors

    generator = np.random.default_rng(0)
    for part, count in (("train", 3), ("test", 8)):
        for label in range(ARCH.classes):
            place = tmp_path / "own" / part / f"class{label}"
            place.mkdir(parents=True)
            for index in range(count):
                sides = generator.integers(12, 40, 2)
                pixels = generator.integers(0, 256, (*sides, 4), dtype=np.uint8)
                exif = Image.Exif()
                exif[0x0112] = int(generator.integers(1, 9))
                Image.fromarray(pixels).save(place / f"{index}.png", exif=exif)
    settings = Dataset(name="own", source="folder", path=str(tmp_path / "own"), image_size=8, resize=10)
    classes, splits = prepare(settings)
    case = Case(tmp_path, ["111", "010"])
    save_images(case.images, "own", classes, splits, settings.reading)
    folder, _ = case.bundle(HOST, run_tool(HOST, Path("unused")))
    with tarfile.open(tmp_path / "test.tar", "w") as file:
        file.add(tmp_path / "own" / "test", "test")
    images, labels = load_tensors(case.images, "test")
    wanted = Engine(case.net, "survival").evaluate([Mask("111")], images, labels)
    for source in ("own/test", "test.tar"):
        said = CliRunner().invoke(app, ["run", str(folder), "--images", str(tmp_path / source), "--config", "c00"])
        lines = [line.split("\t") for line in said.output.splitlines()]
        assert len(lines) == len(labels) == 40
        assert sum(Path(name).parent.name == label for name, label in lines) == int(wanted.counts[0])


def test_run_refuses_what_it_cannot_read(case: tuple[Case, Path], tmp_path: Path) -> None:
    said = CliRunner().invoke(app, ["run", str(case[1]), "--images", str(tmp_path)])
    assert isinstance(said.exception, DataError)
    assert "no image files" in str(said.exception)
    (tmp_path / "a.png").write_text("no picture")
    said = CliRunner().invoke(app, ["run", str(case[1]), "--images", str(tmp_path)])
    assert "a.png: not a readable image (not a PNG, JPEG" in str(said.exception)


@pytest.mark.parametrize("name", ["weights.irpa", "batchnorm/c01.irpa", "gate/c00.0.npy"])
def test_what_changed_since_it_was_exported_is_not_linked(case: tuple[Case, Path], tmp_path: Path, name: str) -> None:
    deployed, _ = case
    exported, folder = tmp_path / "exported", tmp_path / "bundle"
    modules = {one: deployed.folder / "host" / f"{one}.vmfb" for one in deployed.masks}
    shutil.copytree(deployed.folder / "exported", exported)
    content = bytearray((exported / name).read_bytes())
    content[-3] ^= 1
    (exported / name).write_bytes(content)
    with pytest.raises(ArtefactError, match=f"not as it was exported: {name}"):
        link(exported, modules, deployed.configurations, deployed.images, Deploy(), folder)
    (exported / "digests.json").unlink()
    with pytest.raises(ArtefactError, match=r"digests\.json: no such file; export again"):
        link(exported, modules, deployed.configurations, deployed.images, Deploy(), folder)
