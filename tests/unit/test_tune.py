"""Tuning: what is tried of a convolution, what a device says, what is kept, and what is compiled then."""

from __future__ import annotations

from pathlib import Path

import pytest

from depthdial.config.benchmark import Benchmark
from depthdial.config.devices import Device
from depthdial.config.targets import Target, Tiles
from depthdial.deploy.compile import Compiler, compiled_for
from depthdial.deploy.processor import processor
from depthdial.deploy.program import program
from depthdial.deploy.tiles import Convolution, Cut, cut, needed_registers
from depthdial.deploy.tune import Tuning, alone, candidates, judged, read_tuning
from depthdial.devices import tune as devices_tune
from depthdial.devices.tune import tune_on_device
from depthdial.errors import ArtefactError
from depthdial.networks.configurations import FULL
from depthdial.networks.families.he_shapes import Architecture
from depthdial.networks.masks import Mask

ARCH = Architecture(8, 16, 3, 8, 10)
HOST = Target(triple="x86_64-unknown-linux-gnu", cpu="host")
QUICK = Benchmark(rounds=3, extra_rounds=20, drift_limit=1.0)
TEXT = program(ARCH, {FULL: Mask.full(ARCH.n_blocks)})


def tune(folder: Path, device: Device, target: Target = HOST, settings: Benchmark = QUICK) -> Tuning:
    return tune_on_device(
        device, TEXT, target, settings, name="host", cache=folder / "cache", output=folder / "tuning.json",
        log_path=folder / "iree.log",
    )  # fmt: skip


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer cuts and inferences than it takes to tell which is fastest."""
    monkeypatch.setattr("depthdial.deploy.tune.TRIED_TILES", 1)
    monkeypatch.setattr("depthdial.deploy.tune.TRIED_STEPS", (1,))
    monkeypatch.setattr("depthdial.devices.tune.REPETITIONS", 2)
    monkeypatch.setattr("depthdial.devices.tune.AT_ONCE", 2)


def test_what_is_tried_fits_and_begins_with_the_model() -> None:
    core = processor(Target(triple=HOST.triple, cpu="x86-64-v3"))
    shape = Convolution(16, 16, 32, 3, 3, 32)
    tried = candidates(shape, core, [Tiles(channel_vectors=1, reduction=16)], threads=1)
    assert tried[0] == cut(shape, core, Tiles())
    assert len(set(tried)) == len(tried) > 6
    assert cut(shape, core, Tiles(channel_vectors=1, reduction=16)) in tried
    assert {one.reduction for one in tried} >= {1, 2, 4, 8, 16}
    assert all(needed_registers(one.pixels, -(-one.channels // core.floats), core) <= core.registers for one in tried)
    assert {one.rows for one in candidates(shape, core, [], threads=2)} >= {4, 8, 16}


def test_another_cut_must_be_clearly_faster() -> None:
    model, other = (Cut(rows=8, pixels=pixels, channels=16, reduction=4) for pixels in (4, 8))
    close = judged({model: [10.0, 20.0, 10.0], other: [9.9, 19.8, 9.9], None: [1.0, 2.0, 1.0]})
    assert close.best.cut == model  # the compiler's own is shown and not taken
    faster = judged({model: [10.0, 20.0, 10.0], other: [8.0, 16.0, 9.0], None: [30.0, 60.0, 30.0]})
    assert faster.best.cut == other
    assert faster.best.against_model == pytest.approx(0.8)


def test_every_distinct_convolution_stands_alone(tmp_path: Path) -> None:
    programs, counts = alone(TEXT, HOST, Compiler("tuning", tmp_path / "log"))
    assert set(programs) == set(counts)
    assert sum(counts.values()) == 7
    assert all("scf.for %at = %first" in text for text in programs.values())


@pytest.mark.usefixtures("brief")
def test_tuning_on_this_machine_and_what_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device(name="here", target="host", directory=str(tmp_path / "device"))
    found = tune(tmp_path, device)
    assert read_tuning(tmp_path / "tuning.json") == found
    assert found.kept == 0
    assert found.processor["vectors"] != "unknown"
    assert all(one.timings[-1].cut is None for one in found.found.values())
    assert 0 <= found.tuned.gain < 1
    assert set(found.tuned.cuts) == set(found.found) == set(found.counts)
    monkeypatch.setattr(devices_tune, "provide_runtime", lambda *_: pytest.fail("measured again"))
    again = tune(tmp_path, device)
    assert again.found == found.found
    assert again.kept == len(found.found)
    kept = next((tmp_path / "cache" / "tuned").iterdir())
    assert devices_tune.kept_findings(kept) == found.found
    kept.write_text("{")
    assert devices_tune.kept_findings(kept) == {}


def test_what_was_found_is_what_is_compiled(tmp_path: Path) -> None:
    programs, _ = alone(TEXT, HOST, Compiler("tuning", tmp_path / "log"))
    own = Cut(rows=8, pixels=1, channels=16, reduction=1)
    found = {name: judged({own: [1.0]}) for name in programs}
    tuning = Tuning(
        target="host", device="board", threads=1, processor={}, found=found, counts=dict.fromkeys(found, 1), kept=0
    )
    compiler = Compiler("tuned", tmp_path / "log")
    assert compiler.module(TEXT, HOST, tuning.tuned) != compiler.module(TEXT, HOST)
    assert compiled_for("host", HOST, tuning.tuned).way == "as measured on board, 0.0% less than by the model"
    assert compiled_for("host", HOST).way == "by the model of the processor"
    narrow = HOST.model_dump() | {"variants": {"narrow": {"tiles": {"channel_vectors": 1}}}}
    assert compiled_for("host", Target.model_validate(narrow)).way == "as variant narrow says"
    plain = Target.model_validate(HOST.model_dump() | {"variants": {"compiler": {}}})
    assert compiled_for("host", plain).way == "by the compiler"


@pytest.mark.usefixtures("brief")
def test_a_device_that_is_too_noisy_keeps_the_model(tmp_path: Path) -> None:
    device = Device(name="noisy", target="host", directory=str(tmp_path / "device"))
    found = tune(tmp_path, device, settings=Benchmark(rounds=3, extra_rounds=0, drift_limit=1e-9))
    assert (found.found, found.tuned.cuts, found.tuned.gain) == ({}, {}, 0.0)
    assert not (tmp_path / "cache" / "tuned").exists()


def test_what_is_no_tuning_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tuning.json").write_text("{}")
    with pytest.raises(ArtefactError, match="cannot be read as the result of tuning"):
        read_tuning(tmp_path / "tuning.json")
