"""Whole benchmarks of this machine with a sysfs tree made here: meters that lie, rounds that do not hold up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from depthdial.config.benchmark import Benchmark
from depthdial.config.devices import Device
from depthdial.devices.benchmark import benchmark_device
from depthdial.devices.records import Window, read_records
from depthdial.errors import MeasurementError
from tests.rigs.bundles import make_bundle

pytestmark = pytest.mark.slow
CACHE = Path(__file__).parents[2] / ".cache" / "depthdial"
QUICK = Benchmark(
    rounds=3,
    extra_rounds=0,
    window_ms=30,
    warm_up_ms=5,
    least_inferences=20,
    resamples=100,
    energy_samples=10,
    drift_limit=1.0,  # tests share this machine's cores
)
FIRST_WINDOW = 6
"""Both tools are tried, one for the numerics gate; twice to calibrate; and then for two windows in each round."""
ZONE = "class/powercap/intel-rapl:0"
CHIP = "class/hwmon/hwmon0"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("bundle"), masks=("111",))


Value = Callable[[float], object]


class Bench:
    """A local device whose sysfs is a folder, and what a benchmark of it leaves."""

    def __init__(self, folder: Path, bundle: Path) -> None:
        self.folder, self.bundle, self.calls = folder, bundle, folder / "calls"
        self.launcher = folder / "launcher"
        self.at_start()
        self.write({f"{ZONE}/name": "package-0", f"{ZONE}/max_energy_range_uj": 20_000_000, f"{ZONE}/energy_uj": 1})
        self.write({f"{CHIP}/name": "ina226", f"{CHIP}/power1_input": 2_500_000, f"{CHIP}/update_interval": 60})

    def write(self, files: dict[str, object]) -> None:
        """Values of files of sysfs, each whole or not at all."""
        for name, value in files.items():
            path = self.folder / "sys" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_suffix(".new").write_text(f"{value}\n")
            path.with_suffix(".new").rename(path)

    def at_start(self, commands: str = "") -> None:
        """Every tool runs ``commands`` of the shell first, in which $n is its number, from 1 on."""
        count = f"echo started >>{self.calls}\nn=$(wc -l <{self.calls})\n"
        self.launcher.write_text(f'#!/bin/sh\n{count}{commands}\nexec "$@"\n')
        self.launcher.chmod(0o755)

    @property
    def started(self) -> int:
        """How many tools have been started."""
        return len(self.calls.read_text().splitlines()) if self.calls.exists() else 0

    @contextmanager
    def changing(self, file: str, first: Value, then: Value | None = None) -> Iterator[None]:
        """A file of sysfs that says what ``first`` makes of the seconds since now.

        From the first window on it says what ``then`` makes of the seconds until that.
        """
        stop = threading.Event()
        began = time.monotonic()

        def work() -> None:
            seconds = 0.0
            while not stop.wait(0.005):
                if then is not None and self.started >= FIRST_WINDOW:
                    self.write({file: then(seconds)})
                else:
                    seconds = time.monotonic() - began
                    self.write({file: first(seconds)})

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def run(self, meter: dict[str, object], settings: Benchmark = QUICK) -> tuple[list[Window], pd.DataFrame]:
        """Records and table."""
        places = {"sysfs": str(self.folder / "sys"), "directory": str(self.folder / "work")}
        values = {"name": "d", "target": "host", **places, "meter": meter, "launcher": [str(self.launcher)]}
        device = Device.model_validate(values)
        records, table = self.folder / "records.jsonl", self.folder / "latency.parquet"
        benchmark_device(device, [self.bundle], settings, CACHE, records, table)
        return read_records(records), pd.read_parquet(table)

    @property
    def written(self) -> list[str]:
        """The names of what a benchmark has left."""
        return [path.name for path in self.folder.iterdir() if path.suffix in {".jsonl", ".parquet"}]


@pytest.fixture
def bench(tmp_path: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    # How long a tool takes to start says little while tests share this machine's cores.
    monkeypatch.setattr("depthdial.devices.energy.OVERHEAD_SHARE", 100.0)
    return Bench(tmp_path, bundle)


def test_a_counter_that_wraps_around_is_measured(bench: Bench) -> None:
    wrapping = lambda seconds: (19_000_000 + int(12e6 * seconds)) % 20_000_000  # noqa: E731
    with bench.changing(f"{ZONE}/energy_uj", wrapping):
        records, table = bench.run({"kind": "rapl", "idle_s": 1.5})
    for window in records:
        assert window.energy.valid, window.energy.reasons
        assert window.energy.mean_w == pytest.approx(12.0, rel=0.3)
        assert window.energy.idle_before_w == pytest.approx(12.0, rel=0.3)
        assert window.energy.idle_doubts == ()
        assert window.overhead_s >= 0
        assert window.compiler == version("iree-base-compiler")
    row = table.iloc[0]
    assert row["energy_source"] == "rapl"
    assert 0 < row["energy_low_mj"] <= row["energy_mj"] <= row["energy_high_mj"]


RAPL = {"kind": "rapl", "idle_s": 0}
HWMON = {"kind": "hwmon", "chip": "ina226", "idle_s": 0}
COUNTER, SENSOR = f"{ZONE}/energy_uj", f"{CHIP}/power1_input"


def counting(seconds: float) -> int:
    """The counter of a device that draws 12 W."""
    return int(12e6 * seconds)


@pytest.mark.parametrize(
    ("meter", "file", "first", "then", "reason"),
    [
        (RAPL, COUNTER, counting, counting, "the energy counter stood still"),
        (RAPL, COUNTER, counting, lambda _: "busy", "readings are no numbers"),
        (HWMON, SENSOR, lambda _: 2_500_000, lambda _: -2_500_000, "is outside 0 to 500 W"),
        (HWMON, SENSOR, lambda _: 2_500_000, lambda _: 0, "a mean of 0 W is that of no running device"),
        (
            HWMON | {"idle_s": 1.5, "subtract_idle": True},
            SENSOR,
            lambda _: 3_000_000,
            lambda _: 2_000_000,
            "the window drew 2 W, no more than the 2.5 W of the idle device",
        ),
    ],
    ids=["stops", "babbles", "negative", "nothing", "below-idle"],
)
def test_a_meter_that_lies_gives_no_energy_and_the_record_says_why(
    bench: Bench, meter: dict[str, object], file: str, first: Value, then: Value, reason: str
) -> None:
    with bench.changing(file, first, then):
        records, table = bench.run(meter)
    assert reason in "; ".join(records[-1].energy.reasons)
    for window in records:
        assert (window.energy.energy_mj is not None) == window.energy.valid == (not window.energy.reasons)
        assert window.valid, "its latency is none the worse"
    assert np.isnan(table.loc[0, "energy_mj"])
    assert table.loc[0, "energy_source"] == meter["kind"]
    assert table.loc[0, "latency_ms"] > 0
    assert table["valid"].all()


def test_a_meter_that_was_found_out_and_then_stops_gives_way_to_the_model(bench: Bench) -> None:
    with bench.changing(COUNTER, counting, counting):
        records, table = bench.run({"kind": "auto", "nominal_w": 7.0, "idle_s": 0})
    assert {window.energy.source for window in records} == {"modelled"}
    assert "the energy counter stood still" in records[-1].energy.reasons
    assert records[-1].energy.watts, "what the meter said is kept"
    assert table.loc[0, "energy_source"] == "modelled"
    assert table.loc[0, "energy_mj"] == pytest.approx(7 * np.median([np.median(w.latencies_ms) for w in records]))


def test_a_sensor_is_not_read_more_often_than_it_has_news(bench: Bench) -> None:
    records, _ = bench.run(HWMON | {"interval_ms": 10})
    for window in records:
        assert window.energy.valid, window.energy.reasons
        assert window.energy.mean_w == pytest.approx(2.5)
        assert window.energy.sampling_hz < 1000 / 60


NO_METER = {"kind": "modelled"}


def test_a_round_that_does_not_hold_up_is_measured_again(bench: Bench) -> None:
    counter = "devices/system/cpu/cpu0/thermal_throttle/core_throttle_count"
    bench.write({counter: 3})
    bench.at_start(f"[ $n -le {FIRST_WINDOW} ] || echo 4 >{bench.folder}/sys/{counter}")
    records, table = bench.run(NO_METER, QUICK.model_copy(update={"extra_rounds": 4}))
    assert [window.round for window in records] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert [window.valid for window in records] == [False] * 2 + [True] * 6
    assert records[0].reasons == records[1].reasons
    # A window that was too short is measured again: then the first one is charged with what happened before.
    assert records[0].reasons in (("throttled at position 0",), ("throttled at position 1",))
    assert table["valid"].all()
    assert table.loc[0, "n_inferences"] == sum(len(window.latencies_ms) for window in records[2:])


def test_a_device_that_is_too_noisy_is_told_with_the_figures_and_leaves_no_record(bench: Bench) -> None:
    strict = QUICK.model_copy(update={"extra_rounds": 2, "drift_limit": 1e-9, "too_noisy": "stop"})
    with pytest.raises(MeasurementError, match=r"device d is too noisy: fewer than 3 of 5 rounds hold up") as told:
        bench.run(NO_METER, strict)
    for number in range(5):
        assert f"round {number}: the reference took " in str(told.value)
    assert "from its level" in str(told.value)
    assert bench.written == []
    records, table = bench.run(NO_METER, strict.model_copy(update={"too_noisy": "mark"}))
    assert sorted({window.round for window in records}) == list(range(5))
    assert not any(window.valid for window in records)
    assert all(window.reasons[0] == "too noisy" for window in records)
    assert not table["valid"].any()


def test_a_window_that_stays_too_short_is_marked(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("depthdial.devices.protocol.ATTEMPTS", 1)
    monkeypatch.setattr("depthdial.devices.protocol.MARGIN", 0.3)
    records, table = bench.run(NO_METER, QUICK.model_copy(update={"window_ms": 200, "least_inferences": 10}))
    assert not table["valid"].any()
    assert any("position 0: it lasted" in why for why in records[0].reasons)
