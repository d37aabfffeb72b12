"""What a device says of itself: fingerprint, clocks, temperatures, throttling, all from sysfs and procfs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from depthdial import __version__
from depthdial.deploy.calls import BENCHMARK
from depthdial.deploy.tools import runtime_version
from depthdial.devices.processors import cache_files, identity
from depthdial.devices.records import Environment
from depthdial.devices.session import Finished, Session
from depthdial.runs.provenance import git_commit


@dataclass(frozen=True)
class Sensors:
    """Files that are read while a window runs; a device may have none of them."""

    frequencies: tuple[str, ...]
    counters: tuple[str, ...]
    coolers: tuple[str, ...]
    temperatures: tuple[str, ...]

    @property
    def files(self) -> tuple[str, ...]:
        """All files, in the order of a sample's values."""
        return (*self.frequencies, *self.counters, *self.coolers, *self.temperatures)


def find_sensors(session: Session) -> Sensors:
    """The sensors of the measured cores that can be read."""
    root = session.device.sysfs
    cores = [f"{root}/devices/system/cpu/cpu{core}" for core in session.device.pinned]
    thermal = [
        f"{root}/class/thermal/{name}" for name in (session.text("ls", "--", f"{root}/class/thermal") or "").split()
    ]
    zones = [f"{path}/temp" for path in thermal if "/thermal_zone" in path]
    types = session.read([f"{path}/type" for path in thermal if "/cooling_device" in path])
    coolers = [
        path.removesuffix("type") + "cur_state"
        for path, kind in types.items()
        if kind == "Processor" or "cpufreq" in kind or "cpu" in kind.lower()
    ]
    candidates = Sensors(
        tuple(f"{core}/cpufreq/scaling_cur_freq" for core in cores),
        tuple(f"{core}/thermal_throttle/{name}_throttle_count" for core in cores for name in ("core", "package")),
        tuple(coolers),
        tuple(zones),
    )
    readable = session.read(candidates.files)
    return Sensors(
        *(
            tuple(path for path in group if path in readable)
            for group in (candidates.frequencies, candidates.counters, candidates.coolers, candidates.temperatures)
        )
    )


def environment(
    sensors: Sensors, done: Finished, timed_s: float, load: Sequence[float] | None, before: Sequence[str] = ()
) -> Environment:
    """What the sensors said during the last ``timed_s`` seconds of a window.

    ``before`` is what they said after the window before: this one is charged with what counters counted since.
    """
    timed = [sample for sample in done.samples if sample.uptime_s >= done.ended_s - timed_s]
    values = _numbers([sample.values for sample in timed or done.samples], len(sensors.files))
    sizes = np.cumsum([len(sensors.frequencies), len(sensors.counters), len(sensors.coolers)])
    frequency, counter, cooler, temperature = np.split(values, sizes, axis=1)
    temperature = temperature[:, : len(sensors.temperatures)]
    frequencies = frequency[np.isfinite(frequency)] / 1e3
    told = np.isfinite(counter).any() or np.isfinite(cooler).any()
    since, until = _numbers([before, done.after], len(sensors.files))[:, sizes[0] : sizes[1]]
    moved = bool((until > since).any() or (len(counter) > 0 and (until > counter[0]).any()))
    hot = temperature[np.isfinite(temperature).any(axis=1)] / 1e3
    return Environment(
        frequency_mhz=_triple(np.quantile(frequencies, (0.1, 0.5, 0.9))) if len(frequencies) else None,
        temperature_c=(float(np.nanmax(hot[0])), float(np.nanmax(hot[-1]))) if len(hot) else None,
        throttled=moved or bool((np.nan_to_num(cooler) > 0).any()) if told else None,
        load=_triple(load) if load is not None and len(load) == 3 else None,
    )


def _triple(values: Sequence[float] | np.ndarray) -> tuple[float, float, float]:
    low, middle, high = (float(value) for value in values)
    return low, middle, high


def _numbers(rows: Sequence[Sequence[str]], width: int) -> np.ndarray:
    """Samples as numbers (n, at least ``width``); what is no number is NaN."""
    table = np.full((len(rows), width), np.nan)
    for row, values in enumerate(rows):
        for column, value in enumerate(values[:width]):
            table[row, column] = number(value)
    return table


def number(text: str) -> float:
    """A plain decimal number, or NaN: devices may say anything."""
    try:
        value = float(text)
    except ValueError:
        return float("nan")
    return value if np.isfinite(value) else float("nan")


def fingerprint(session: Session, tools: str) -> dict[str, str]:
    """What the device, its system, the runtime and this version of depthdial are, as the device says it."""
    root = session.device.sysfs
    core = f"{root}/devices/system/cpu/cpu{session.device.pinned[0]}"
    files = {
        "model": "/proc/device-tree/model",
        "product": f"{root}/class/dmi/id/product_name",
        "governor": f"{core}/cpufreq/scaling_governor",
        "driver": f"{core}/cpufreq/scaling_driver",
        "lowest_khz": f"{core}/cpufreq/scaling_min_freq",
        "highest_khz": f"{core}/cpufreq/scaling_max_freq",
        "turbo_off": f"{root}/devices/system/cpu/intel_pstate/no_turbo",
        "boost": f"{root}/devices/system/cpu/cpufreq/boost",
        "smt": f"{root}/devices/system/cpu/smt/active",
        "isolated": f"{root}/devices/system/cpu/isolated",
        "boot": "/proc/sys/kernel/random/boot_id",
    }
    read = session.read(list(files.values()))
    found = {name: read[path].strip("\0") for name, path in files.items() if path in read}
    found["kernel"] = session.text("uname", "-srvm") or "unknown"
    found |= processor(session)
    digest = session.text("sha256sum", "--", f"{tools}/{BENCHMARK}") or "unknown"
    found["tool_sha256"] = digest.split(" ")[0]
    found["iree"] = runtime_version() if session.device.runtime == "wheel" else "the device's own"
    found["depthdial"] = f"{__version__} {git_commit()}"
    found["cores"] = ",".join(map(str, session.device.pinned))
    found["threads"] = str(session.device.threads)
    return {name: value[:300] for name, value in found.items()}


def processor(session: Session) -> dict[str, str]:
    """What kind of processor the measured cores are of, as the device says it."""
    files = cache_files(session.device.sysfs, session.device.pinned[0])
    said = session.read(list(files.values()))
    caches = {key: said[path] for key, path in files.items() if path in said}
    cores = session.text("getconf", "_NPROCESSORS_ONLN") or "unknown"
    return identity(session.text("cat", "/proc/cpuinfo") or "", caches, cores)
