"""Tuning: what is tried of a convolution, what a device says, what is kept, and what is compiled then."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from depthdial.config.benchmark import Benchmark
from depthdial.config.devices import Device
from depthdial.config.targets import Target, Tiles
from depthdial.deploy.compile import Compiler, compiled_for
from depthdial.deploy.graph.convolution import Convolution, Cut
from depthdial.deploy.graph.images import Image
from depthdial.deploy.graph.tiling import cut, needed_registers
from depthdial.deploy.processor import processor
from depthdial.deploy.tune import TRIED, candidates, judged
from depthdial.deploy.tuned import Tuning, distinct, kept_findings, known_gain, read_tuning
from depthdial.devices import tune as devices_tune
from depthdial.devices.session import Session
from depthdial.devices.tune import _Trial, tune_on_device
from depthdial.errors import ArtefactError, DeviceError
from depthdial.networks.families.he_shapes import Architecture
from depthdial.networks.masks import Mask
from tests.unit.deploy_case import graph_of

ARCH = Architecture(8, 16, 3, 8, 10)
HOST = Target(triple="x86_64-unknown-linux-gnu", cpu="host")
QUICK = Benchmark(rounds=3, extra_rounds=20, drift_limit=1.0)
GRAPH = graph_of(ARCH)


def tune(folder: Path, device: Device, target: Target = HOST, settings: Benchmark = QUICK) -> Tuning:
    return tune_on_device(
        device, GRAPH, target, settings, name="host", cache=folder / "cache", output=folder / "tuning.json",
        log_path=folder / "iree.log",
    )  # fmt: skip


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer cuts and inferences than it takes to tell which is fastest."""
    monkeypatch.setattr("depthdial.deploy.tune.TRIED", 2)
    monkeypatch.setattr("depthdial.devices.tune.REPETITIONS", 2)
    monkeypatch.setattr("depthdial.devices.tune.AT_ONCE", 2)


def test_what_is_tried_fits_and_begins_with_the_model() -> None:
    core = processor(Target(triple=HOST.triple, cpu="x86-64-v3"))
    shape = Convolution(Image(18, 18, 32), Image(16, 16, 32), (3, 3), (1, 1), (1, 1), 1, 0, 0, ())
    tried = candidates(shape, core, [Tiles(channel_vectors=1)], threads=1)
    assert tried[0] == cut(shape, core, Tiles())
    assert len(set(tried)) == len(tried) >= TRIED
    assert cut(shape, core, Tiles(channel_vectors=1)) in tried
    assert all(needed_registers(one.rows * one.columns, one.vectors, core) <= core.registers for one in tried)
    assert {one.parts for one in candidates(shape, core, [], threads=2)} >= {1, 2, 4}


def test_another_cut_must_be_clearly_faster() -> None:
    model, other = (Cut(rows=1, columns=columns, vectors=2) for columns in (4, 8))
    close = judged({model: [10.0, 20.0, 10.0], other: [9.9, 19.8, 9.9]})
    assert close.best.cut == model
    faster = judged({model: [10.0, 20.0, 10.0], other: [8.0, 16.0, 9.0]})
    assert faster.best.cut == other
    assert faster.best.against_model == pytest.approx(0.8)


def test_every_distinct_convolution_stands_alone() -> None:
    shapes, counts = distinct(GRAPH, processor(HOST))
    assert set(shapes) == set(counts)
    assert sum(counts.values()) == 8  # the classifier is one


@pytest.mark.slow
@pytest.mark.usefixtures("brief")
def test_tuning_on_this_machine_and_what_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    device = Device(name="here", target="host", directory=str(tmp_path / "device"))
    with caplog.at_level(logging.DEBUG, "depthdial.progress"):
        found = tune(tmp_path, device)
    steps = [record.getMessage() for record in caplog.records if record.name == "depthdial.progress"]
    assert f"convolution to compile 1 of {len(found.found)}" in steps
    assert steps[-1] == f"convolution to time {3 * len(found.found)} of {3 * len(found.found)}"
    assert read_tuning(tmp_path / "tuning.json") == found
    assert found.kept == 0
    assert found.processor["vectors"] != "unknown"
    assert 0 <= found.tuned.gain < 1
    assert set(found.tuned.cuts) == set(found.found) == set(found.counts)
    monkeypatch.setattr(devices_tune, "provide_runtime", lambda *_: pytest.fail("measured again"))
    again = tune(tmp_path, device)
    assert again.found == found.found
    assert again.kept == len(found.found)
    by_model = compiled_for("host", HOST)
    assert known_gain(by_model, GRAPH, found.processor, device.threads, tmp_path / "cache") == found.tuned.gain
    assert known_gain(by_model, GRAPH, {"cpu": "another"}, device.threads, tmp_path / "cache") is None
    assert (
        known_gain(by_model, graph_of(Architecture(14, 16, 3, 16, 10)), found.processor, 1, tmp_path / "cache") is None
    )
    kept = next((tmp_path / "cache" / "tuned").iterdir())
    assert kept_findings(kept) == found.found
    kept.write_text("{")
    assert kept_findings(kept) == {}


@pytest.mark.slow
def test_what_was_found_is_what_is_compiled(tmp_path: Path) -> None:
    own = Cut(rows=1, columns=1, vectors=1)
    found = {name: judged({own: [1.0]}) for name in distinct(GRAPH, processor(HOST))[0]}
    tuning = Tuning(
        target="host", device="board", threads=1, processor={}, found=found, counts=dict.fromkeys(found, 1), kept=0
    )
    compiler = Compiler("tuned", tmp_path / "log")
    masks = {"c00": Mask.full(GRAPH.units)}
    assert compiler.module(GRAPH, masks, HOST, tuning.tuned) != compiler.module(GRAPH, masks, HOST)
    assert compiled_for("host", HOST, tuning.tuned).way == "as measured on board, 0.0% less than by the model"
    assert compiled_for("host", HOST).way == "by the model of the processor"
    narrow = HOST.model_dump() | {"variants": {"narrow": {"tiles": {"channel_vectors": 1}}}}
    assert compiled_for("host", Target.model_validate(narrow)).way == "as variant narrow says"


@pytest.mark.slow
@pytest.mark.usefixtures("brief")
def test_a_device_that_is_too_noisy_keeps_the_model(tmp_path: Path) -> None:
    device = Device(name="noisy", target="host", directory=str(tmp_path / "device"))
    found = tune(tmp_path, device, settings=Benchmark(rounds=3, extra_rounds=0, drift_limit=1e-9))
    assert (found.found, found.tuned.cuts, found.tuned.gain) == ({}, {}, 0.0)
    assert not (tmp_path / "cache" / "tuned").exists()


def test_a_kernel_that_cannot_be_timed_is_told(tmp_path: Path) -> None:
    tool = tmp_path / "iree-benchmark-module"
    tool.write_text("#!/bin/sh\necho no such function >&2\nexit 3\n")
    tool.chmod(0o755)
    device = Device(name="d", target="host", directory=str(tmp_path / "work"))
    with Session(device) as session:
        trial = _Trial(session, str(tmp_path), HOST, QUICK, Compiler("tuning", tmp_path / "log"))
        with pytest.raises(
            DeviceError, match=r"device d: a\.vmfb could not be timed \(status 3, .*\): no such function"
        ):
            trial._median("a.vmfb", ".")


def test_what_is_no_tuning_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tuning.json").write_text("{}")
    with pytest.raises(ArtefactError, match="cannot be read as the result of tuning"):
        read_tuning(tmp_path / "tuning.json")
