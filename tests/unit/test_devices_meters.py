"""Meters on sysfs trees made here and on programs made here: what is measured, what is doubted."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from depthdial.config.devices import Device, ModelledMeter
from depthdial.devices.energy import Idle, judge, judge_idle, settle_idle
from depthdial.devices.meters import (
    NOTHING,
    Hwmon,
    Power,
    Rapl,
    least_window_ms,
    open_meter,
    settle_meter,
)
from depthdial.devices.sensors import environment, find_sensors, fingerprint
from depthdial.devices.session import Finished, Sample, Session
from depthdial.errors import DeviceError


def run_of(rows: list[tuple[float, tuple[str, ...]]]) -> Finished:
    """A finished run from uptime 10 to the last sample's."""
    samples = tuple(Sample(uptime, 100, values) for uptime, values in rows)
    return Finished(0, 10.0, rows[-1][0] if rows else 12.0, 0.0, 2.0, "", "", samples, (), False)


def counted(values: list[object], tick_s: float = 0.05) -> Finished:
    return run_of([(10 + index * tick_s, (str(value),)) for index, value in enumerate(values)])


def values_of(done: Finished) -> list[tuple[str, ...]]:
    return [sample.values for sample in done.samples]


def device(meter: dict[str, object], **changes: object) -> Device:
    return Device.model_validate({"name": "d", "target": "host", "meter": meter, **changes})


RAPL = device({"kind": "rapl", "highest_w": 100.0})


def judged(done: Finished, power: Power, **changes: object):
    settings = {
        "latencies_ms": [1.0, 3.0],
        "timed_s": done.ended_s - done.began_s,
        "overhead_s": 0.0,
        "least_samples": 20,
        "source": "rapl",
        **changes,
    }
    return judge(settings.pop("device", RAPL), power=power, done=done, **settings)


def test_energy_is_power_in_the_timed_part_times_latency() -> None:
    done = counted([0] * 20 + [1_000_000 * index for index in range(41)])
    power = Rapl(("f",), (1e12,)).power(done, values_of(done))
    energy = judged(done, power, timed_s=2.0)
    assert energy.valid
    assert energy.mean_w == pytest.approx(20.0)
    assert energy.energy_mj == pytest.approx(40.0)
    assert energy.sampling_hz == pytest.approx(20, rel=0.1)


@given(st.integers(0, 2**32 - 1), st.integers(2**30, 2**33), st.floats(1, 90))
def test_a_counter_that_wraps_around_gives_the_same_power(start: int, highest: int, watts: float) -> None:
    step = int(watts * 50_000)
    done = counted([(start + index * step) % highest for index in range(41)])
    power = Rapl(("f",), (float(highest),)).power(done, values_of(done))
    assert power.mean_w == pytest.approx(step / 50_000)
    assert judged(done, power).valid


def test_zones_are_added_up() -> None:
    rows = [(10 + 0.05 * i, (str(500_000 * i), str(1_000_000 * i))) for i in range(41)]
    done = run_of(rows)
    assert Rapl(("f", "g"), (1e12, 1e12)).power(done, values_of(done)).mean_w == pytest.approx(30.0)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([5] * 41, "the energy counter stood still"),
        ([1_000_000 * min(i, 20) for i in range(41)], "the energy counter stood still"),
        ([1_000_000 * i if i != 30 else "garbage" for i in range(41)], "2 readings are no numbers"),
        ([1_000_000 * i if i != 30 else "nan" for i in range(41)], "readings are no numbers"),
        ([1_000_000 * i if i < 30 else 90_000_000 * i for i in range(41)], "is outside 0 to 100 W"),
        ([1_000_000 * i if i != 30 else 0 for i in range(41)], "is outside 0 to 100 W"),
        ([1_000_000 * i for i in range(15)], "14 power samples in 0.70 s, at least 20 are needed"),
    ],
)
def test_a_counter_that_stops_or_lies_is_doubted(values: list[object], reason: str) -> None:
    done = counted(values)
    energy = judged(done, Rapl(("f",), (1e9,)).power(done, values_of(done)))
    assert not energy.valid
    assert energy.energy_mj is None
    assert reason in "; ".join(energy.reasons)
    assert all(value is None or math.isfinite(value) for value in energy.watts)


def test_a_meter_that_falls_silent_is_doubted() -> None:
    done = counted([1_000_000 * i for i in range(61)])
    silent = Finished(**{**done.__dict__, "samples": done.samples[:40], "ended_s": done.ended_s})
    energy = judged(silent, Rapl(("f",), (1e12,)).power(silent, values_of(silent)))
    assert "the meter stopped or paused: it was silent for 1.05 s" in energy.reasons
    assert judged(done, NOTHING).reasons == ("the meter gave no sample in the window",)


def test_a_window_too_short_for_the_clock_is_doubted() -> None:
    done = counted([100_000 * i for i in range(60)], tick_s=0.01)
    fast = device({"kind": "rapl", "interval_ms": 10, "highest_w": 100.0})
    energy = judged(done, Rapl(("f",), (1e12,)).power(done, values_of(done)), device=fast)
    assert "too short for a clock of 10 ms" in energy.reasons[0]


@pytest.mark.parametrize("source", ["hwmon", "command", "nvml"])
def test_a_device_that_draws_nothing_is_doubted(source: str) -> None:
    done = counted([0] * 41)
    energy = judged(done, Hwmon(("power1_input",)).power(done, values_of(done)), source=source)
    assert (energy.valid, energy.energy_mj) == (False, None)
    assert energy.reasons == ("a mean of 0 W is that of no running device",)


def test_what_the_tool_takes_for_itself_is_not_counted_as_the_networks() -> None:
    done = counted([1_000_000 * i for i in range(41)])
    power = Rapl(("f",), (1e12,)).power(done, values_of(done))
    assert judged(done, power, overhead_s=0.19).valid
    energy = judged(done, power, overhead_s=0.3)
    assert (energy.valid, energy.energy_mj) == (False, None)
    assert "took 0.30 s for itself beside 2.00 s of inferences" in energy.reasons[0]


def test_idle_power_is_subtracted_by_setting() -> None:
    done = counted([1_000_000 * i for i in range(41)])
    energy = judged(done, Rapl(("f",), (1e12,)).power(done, values_of(done)))
    before, after = Idle(4.0, ()), Idle(6.0, ())
    kept = settle_idle(energy, [1.0, 3.0], before, after, False)
    assert (kept.energy_mj, kept.idle_before_w, kept.idle_after_w) == (pytest.approx(40.0), 4.0, 6.0)
    subtracted = settle_idle(energy, [1.0, 3.0], before, after, True)
    assert subtracted.energy_mj == pytest.approx(30.0)
    assert subtracted.idle_subtracted
    refused = settle_idle(energy, [1.0, 3.0], Idle(None, ("the meter stopped",)), after, True)
    assert (refused.valid, refused.energy_mj) == (False, None)
    assert refused.reasons == ("idle power before: the meter stopped",)


def test_a_window_below_idle_power_has_no_energy_above_it() -> None:
    done = counted([100_000 * i for i in range(41)])
    energy = judged(done, Rapl(("f",), (1e12,)).power(done, values_of(done)))
    assert energy.mean_w == pytest.approx(2.0)
    below = settle_idle(energy, [1.0, 3.0], Idle(3.0, ()), Idle(3.0, ()), True)
    assert (below.valid, below.energy_mj, below.idle_subtracted) == (False, None, False)
    assert below.reasons == ("the window drew 2 W, no more than the 3 W of the idle device",)
    assert settle_idle(energy, [1.0, 3.0], Idle(3.0, ()), Idle(3.0, ()), False).valid


def test_idle_power_is_doubted_like_that_of_a_window() -> None:
    good, still, lies = (counted(values) for values in ([1_000_000 * i for i in range(41)], [5] * 41, [0, -9] * 20))
    idle = judge_idle(RAPL, "rapl", Rapl(("f",), (1e12,)).power(good, values_of(good)), good, 20)
    assert (idle.mean_w, idle.doubts) == (pytest.approx(20.0), ())
    idle = judge_idle(RAPL, "rapl", Rapl(("f",), (1e12,)).power(still, values_of(still)), still, 20)
    assert idle.doubts == ("the energy counter stood still",)
    idle = judge_idle(RAPL, "hwmon", Hwmon(("f",)).power(lies, values_of(lies)), lies, 20)
    assert "is outside 0 to 100 W" in idle.doubts[0]
    assert judge_idle(RAPL, "rapl", NOTHING, good, 20).doubts


def test_a_model_never_looks_like_a_measurement() -> None:
    modelled = device({"kind": "modelled", "nominal_w": 3.0})
    energy = judge(modelled, "modelled", NOTHING, counted([0] * 3), [1.0, 2.0, 9.0], 1.0, 0.0, 20)
    assert (energy.source, energy.energy_mj, energy.times_s) == ("modelled", 6.0, ())


def test_volts_times_amperes() -> None:
    done = run_of([(10 + 0.05 * i, ("5000", "400")) for i in range(41)])
    assert Hwmon(("in1_input", "curr1_input")).power(done, values_of(done)).mean_w == pytest.approx(2.0)


# A device whose sysfs is a folder of the test, read by the real far side on this machine.


def tree(root: Path, files: dict[str, object]) -> None:
    for name, value in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{value}\n")


@contextmanager
def changing(path: Path, watts: float, start: int, highest: int) -> Iterator[None]:
    """A RAPL counter that runs, and wraps around."""
    stop = threading.Event()
    began = time.monotonic()

    def work() -> None:
        while not stop.wait(0.002):
            value = (start + int(watts * 1e6 * (time.monotonic() - began))) % highest
            temporary = path.with_suffix(".new")
            temporary.write_text(f"{value}\n")
            temporary.rename(path)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def session_of(tmp_path: Path, meter: dict[str, object]) -> Iterator[Session]:
    made = device(meter, sysfs=str(tmp_path / "sys"), directory=str(tmp_path / "work"))
    with Session(made) as session:
        yield session


def refused(tmp_path: Path, meter: dict[str, object], why: str) -> None:
    with session_of(tmp_path, meter) as session, pytest.raises(DeviceError, match=why):
        open_meter(session)


def test_rapl_is_found_by_zone_and_read_while_it_wraps(tmp_path: Path) -> None:
    cap = "class/powercap"
    tree(
        tmp_path / "sys",
        {
            f"{cap}/intel-rapl/enabled": 1,
            f"{cap}/intel-rapl:0/name": "package-0",
            f"{cap}/intel-rapl:0/max_energy_range_uj": 20_000_000,
            f"{cap}/intel-rapl:0/energy_uj": 1,
            f"{cap}/intel-rapl:0:0/name": "core",
            f"{cap}/intel-rapl:0:0/energy_uj": 1,
        },
    )
    counter = tmp_path / "sys" / cap / "intel-rapl:0" / "energy_uj"
    with session_of(tmp_path, {"kind": "rapl"}) as session, changing(counter, 12.0, 15_000_000, 20_000_000):
        meter = open_meter(session)
        assert meter.files == (str(counter),)
        session.watch(meter.files)
        done = session.run(["sleep", "1.2"], tick_ms=50)
        power = meter.power(done, values_of(done))
    assert power.mean_w == pytest.approx(12.0, rel=0.1)
    refused(tmp_path, {"kind": "rapl", "zones": ["psys"]}, r"no RAPL zone psys under .*; there: core, package-0")
    counter.unlink()
    counter.mkdir()
    with (
        session_of(tmp_path, {"kind": "rapl"}) as session,
        pytest.raises(DeviceError, match="energy_uj cannot be read"),
    ):
        open_meter(session)


def test_a_meter_is_found_out_where_there_is_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    auto = {"kind": "auto", "nominal_w": 7.0}
    with session_of(tmp_path, auto) as session:
        settle_meter(session)
        assert session.device.meter == ModelledMeter(nominal_w=7.0), "no RAPL at all"
        assert least_window_ms(session.device.meter, 20) == 0
    zone = "class/powercap/intel-rapl:0"
    tree(
        tmp_path / "sys",
        {f"{zone}/name": "package-0", f"{zone}/max_energy_range_uj": 20_000_000, f"{zone}/energy_uj": 1},
    )
    with session_of(tmp_path, auto) as session:
        settle_meter(session)
        assert session.device.meter.kind == "modelled", "a counter that stands still, as in a virtual machine"
    assert "energy is modelled: device d: its RAPL counters say 0.0 W" in caplog.text
    with session_of(tmp_path, auto) as session, changing(tmp_path / "sys" / zone / "energy_uj", 9.0, 1, 20_000_000):
        settle_meter(session)
        assert session.device.meter.kind == "rapl"
        assert least_window_ms(session.device.meter, 20) == 1200


def test_readings_that_are_only_repeated_are_not_asked_for(tmp_path: Path) -> None:
    chip = "class/hwmon/hwmon0"
    tree(tmp_path / "sys", {f"{chip}/name": "ina226", f"{chip}/power1_input": 2_500_000})
    hwmon = {"kind": "hwmon", "chip": "ina226", "interval_ms": 50}
    for told, interval_ms in ((None, 50), (35, 50), (140, 140), ("often", 50)):
        if told is not None:
            tree(tmp_path / "sys", {f"{chip}/update_interval": told})
        with session_of(tmp_path, hwmon) as session:
            settle_meter(session)
            assert session.device.meter.interval_ms == interval_ms
    with session_of(tmp_path, {"kind": "nvml", "interval_ms": 20}) as session:
        settle_meter(session)
        assert session.device.meter.interval_ms == 100
        assert least_window_ms(session.device.meter, 20) == 2400


def test_hwmon_is_found_by_chip_and_channel_or_label(tmp_path: Path) -> None:
    mon = "class/hwmon"
    tree(
        tmp_path / "sys",
        {
            f"{mon}/hwmon0/name": "cpu_thermal",
            f"{mon}/hwmon1/name": "ina3221",
            f"{mon}/hwmon1/in1_label": "VDD_IN",
            f"{mon}/hwmon1/in1_input": 5000,
            f"{mon}/hwmon1/curr1_input": 700,
            f"{mon}/hwmon1/in2_label": "VDD_CPU",
            f"{mon}/hwmon2/name": "ina226",
            f"{mon}/hwmon2/power1_input": 2_500_000,
        },
    )
    for meter, watts in (
        ({"kind": "hwmon", "chip": "ina3221", "channel": "VDD_IN"}, 3.5),
        ({"kind": "hwmon", "chip": "ina226"}, 2.5),
    ):
        with session_of(tmp_path, meter) as session:
            opened = open_meter(session)
            session.watch(opened.files)
            done = session.run(["sleep", "0.3"], tick_ms=20)
            assert opened.power(done, values_of(done)).mean_w == pytest.approx(watts)
    refused(
        tmp_path,
        {"kind": "hwmon", "chip": "ina3221", "channel": "VDD_CPU"},
        r"has no readable channel 'VDD_CPU'; there: .*in1_input",
    )
    refused(
        tmp_path,
        {"kind": "hwmon", "chip": "lm75"},
        r"no sensor chip 'lm75' under .*; there: cpu_thermal, ina226, ina3221",
    )


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("while :; do echo 4; sleep 0.02; done", ""),
        ("for i in 1 2 3 4; do echo 4; done; sleep 60", "the meter"),
        ("while :; do echo 4; echo broken; sleep 0.02; done", "readings are no numbers"),
        ("while :; do echo -7; sleep 0.02; done", "is outside 0 to 500 W"),
    ],
)
def test_a_command_that_prints_samples(tmp_path: Path, script: str, reason: str) -> None:
    program = tmp_path / "meter; touch trap"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    with session_of(tmp_path, {"kind": "command", "command": [str(program)], "interval_ms": 50}) as session:
        meter = open_meter(session)
        try:
            done = session.run(["sleep", "1.3"])
            power = meter.power(done, values_of(done))
        finally:
            meter.close()
        energy = judge(session.device, "command", power, done, [1.0, 3.0], 1.2, 0.0, 10)
    if reason:
        assert reason in "; ".join(energy.reasons)
    else:
        assert energy.energy_mj == pytest.approx(8.0), energy.reasons


@pytest.mark.slow
def test_a_meter_that_floods_is_refused_and_ended(tmp_path: Path) -> None:
    program = tmp_path / "flood"
    program.write_text("#!/bin/sh\ntrap '' TERM HUP\necho $$ >\"$0.pid\"\nyes 4\n")
    program.chmod(0o755)
    with session_of(tmp_path, {"kind": "command", "command": [str(program)], "interval_ms": 50}) as session:
        meter = open_meter(session)
        try:
            done = session.run(["sleep", "3"])
            with pytest.raises(DeviceError, match="gives more than 10000 lines a second; make it slower"):
                meter.power(done, values_of(done))
        finally:
            meter.close()
    pid = int((tmp_path / "flood.pid").read_text())
    limit = time.monotonic() + 20
    while Path(f"/proc/{pid}").exists() and time.monotonic() < limit:
        time.sleep(0.05)
    assert not Path(f"/proc/{pid}").exists()


def test_a_command_that_gives_nothing_is_told(tmp_path: Path) -> None:
    refused(tmp_path, {"kind": "command", "command": ["/no/such/meter"]}, "the meter '/no/such/meter' gave no sample")
    refused(tmp_path, {"kind": "nvml"}, "the meter 'nvidia-smi' gave no sample")


def test_nvml_is_read_by_the_devices_own_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "nvidia-smi").write_text(
        '#!/bin/sh\n[ "$*" = "--id=1 --query-gpu=power.draw --format=csv,noheader,nounits --loop-ms=50" ] || exit 1\n'
        "while :; do echo 61.25; sleep 0.03; done\n"
    )
    (programs / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    with session_of(tmp_path, {"kind": "nvml", "gpu": 1}) as session:
        meter = open_meter(session)
        done = session.run(["sleep", "0.5"])
        assert meter.power(done, values_of(done)).mean_w == pytest.approx(61.25)
        meter.close()


@pytest.mark.slow
def test_clock_heat_and_throttling_are_seen(tmp_path: Path) -> None:
    cpu = "devices/system/cpu/cpu0"
    tree(
        tmp_path / "sys",
        {
            f"{cpu}/cpufreq/scaling_cur_freq": 1_800_000,
            f"{cpu}/cpufreq/scaling_governor": "schedutil",
            f"{cpu}/thermal_throttle/core_throttle_count": 3,
            "class/thermal/thermal_zone0/temp": 61_500,
            "class/thermal/thermal_zone1/temp": "unknown",
            "class/thermal/cooling_device0/type": "cpufreq-cpu0",
            "class/thermal/cooling_device0/cur_state": 0,
            "class/thermal/cooling_device1/type": "pwm-fan",
            "class/thermal/cooling_device1/cur_state": 3,
        },
    )
    with session_of(tmp_path, {"kind": "modelled"}) as session:
        sensors = find_sensors(session)
        session.watch(sensors.files)
        done = session.run(["sleep", "1"], tick_ms=50)
        quiet = environment(sensors, done, 1.0, [0.1, 0.2, 0.3])
        assert quiet.frequency_mhz == (1800.0, 1800.0, 1800.0)
        assert quiet.temperature_c == (61.5, 61.5)
        assert quiet.throttled is False
        assert quiet.load == (0.1, 0.2, 0.3)
        (tmp_path / "sys/class/thermal/cooling_device0/cur_state").write_text("2\n")
        assert environment(sensors, session.run(["sleep", "1"], tick_ms=50), 1.0, None).throttled is True
        found = fingerprint(session, "/nowhere")
        counter = tmp_path / "sys" / cpu / "thermal_throttle/core_throttle_count"
        counter.write_text("4\n")
        (tmp_path / "sys/class/thermal/cooling_device0/cur_state").write_text("0\n")
        later = session.run(["sleep", "0.3"], tick_ms=50)
        assert environment(sensors, later, 0.3, None).throttled is False
        assert environment(sensors, later, 0.3, None, done.after).throttled is True, "between two windows"
        last = session.run(["sh", "-c", f"echo 5 >{counter}"], tick_ms=1000)
        assert last.after[sensors.files.index(str(counter))] == "5"
        assert environment(sensors, last, 0.3, None, later.after).throttled is True, "after the last sample"
    assert found["governor"] == "schedutil"
    assert found["cpu"] != "unknown"
    assert found["tool_sha256"] == "unknown"


def test_only_the_cores_that_work_are_watched(tmp_path: Path) -> None:
    cpus = "devices/system/cpu"
    tree(tmp_path / "sys", {f"{cpus}/cpu{core}/cpufreq/scaling_cur_freq": 1000 * core for core in (2, 3, 4)})
    made = device({"kind": "modelled"}, sysfs=str(tmp_path / "sys"), directory=str(tmp_path / "work"))
    with Session(made.model_copy(update={"cores": (2, 3, 4), "threads": 2})) as session:
        assert [path.split("/")[-3] for path in find_sensors(session).frequencies] == ["cpu2", "cpu3"]
        assert fingerprint(session, "/nowhere")["cores"] == "2,3"


def test_a_device_that_tells_nothing_is_not_said_to_be_quiet(tmp_path: Path) -> None:
    with session_of(tmp_path, {"kind": "modelled"}) as session:
        sensors = find_sensors(session)
        done = session.run(["true"])
    assert sensors.files == ()
    silent = environment(sensors, done, 0.1, None)
    assert (silent.frequency_mhz, silent.temperature_c, silent.throttled, silent.load) == (None, None, None, None)


def test_a_program_that_hangs_is_killed_there(tmp_path: Path) -> None:
    with session_of(tmp_path, {"kind": "modelled"}) as session:
        began = time.monotonic()
        done = session.run(["sleep", "60"], limit_s=0.5, tick_ms=50)
        assert done.overdue
        assert done.after == ()
        assert done.status == 137
        assert time.monotonic() - began < 20
        assert session.run(["true"]).status == 0


def test_short_programs_never_get_the_samples_of_others(tmp_path: Path) -> None:
    with session_of(tmp_path, {"kind": "modelled"}) as session:
        session.run(["sleep", "0.3"], tick_ms=10)
        for _ in range(100):
            assert len(session.run(["true"], tick_ms=10).samples) <= 3


def test_the_mean_is_over_time_not_over_samples() -> None:
    power = Power(np.array([1.0, 2.0, 10.0]), np.array([1.0, 1.0, 8.0]), np.array([1.0, 1.0, 5.0]))
    assert power.mean_w == pytest.approx(4.2)
    assert power.part(0, 2).mean_w == 1.0
