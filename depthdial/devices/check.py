"""What of a device works and what must be mended before it can be measured."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from depthdial.config.devices import LOCAL, Device, ModelledMeter
from depthdial.config.targets import Target
from depthdial.devices.meters import open_meter, settle_meter
from depthdial.devices.provision import check_machine, stored, try_tools
from depthdial.devices.sensors import find_sensors, number
from depthdial.devices.session import Session
from depthdial.errors import DeviceError

Level = Literal["good", "warning", "bad"]
PROGRAMS = ("flock", "taskset", "sha256sum", "tar", "grep", "df")
FREE_KB = 50_000
CLOCK_OFF_S = 2.0
OLDEST_GLIBC = (2, 27)
BUSY_LOAD = 0.3


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: ``text`` says what is there and, unless it is good, what to do."""

    level: Level
    topic: str
    text: str


def check_device(device: Device, target: Target) -> list[Finding]:
    """Look at everything that a benchmark needs; nothing is changed on the device but its empty working folder."""
    try:
        session = Session(device)
    except DeviceError as error:
        return [Finding("bad", "reachable", str(error).removeprefix(f"device {device.name}: "))]
    with session:
        how = "this machine" if device.host == LOCAL else f"over SSH as {device.host}, host key known"
        findings = [Finding("good", "reachable", f"{how}; works in {session.root}")]
        for topic, probe in _PROBES.items():
            try:
                findings.append(probe(session, target))
            except DeviceError as error:
                findings.append(Finding("bad", topic, str(error).removeprefix(f"device {device.name}: ")))
        return findings


def _architecture(session: Session, target: Target) -> Finding:
    machine = check_machine(session, target.triple)
    return Finding("good", "architecture", f"{machine}, as target {session.device.target} is compiled for")


def _programs(session: Session, target: Target) -> Finding:
    needed = (*PROGRAMS, *["chrt"] * (session.device.threads > 1), *session.device.launcher[:1])
    missing = [name for name in needed if session.run(["sh", "-c", 'command -v "$1"', "sh", name]).status]
    if missing:
        return Finding("bad", "programs", f"{', '.join(missing)} missing there; install util-linux and coreutils")
    return Finding("good", "programs", ", ".join(needed))


def _runtime(session: Session, target: Target) -> Finding:
    folder = session.device.runtime
    if folder != "wheel":
        try_tools(session, folder)
        return Finding("good", "runtime", f"the device's own in {folder}")
    said = session.text("getconf", "GNU_LIBC_VERSION") or ""
    version = said.removeprefix("glibc ")
    try:
        found = tuple(int(part) for part in version.split("."))
    except ValueError:
        return Finding(
            "warning",
            "runtime",
            "its C library is not told; the wheel's tools need glibc 2.27. On musl build IREE there: `runtime`",
        )
    if found < OLDEST_GLIBC:
        return Finding("bad", "runtime", f"glibc {version}; the wheel's tools need 2.27. Build IREE there: `runtime`")
    there = [name for name in stored(session) if name.startswith("runtime-")]
    return Finding(
        "good", "runtime", f"glibc {version}; {'tools are there already' if there else 'tools will be put there'}"
    )


def _disk(session: Session, target: Target) -> Finding:
    lines = (session.text("df", "-Pk", ".") or "").splitlines()
    fields = lines[-1].split() if len(lines) > 1 else []
    free_kb = number(fields[3]) if len(fields) > 3 else math.nan
    if math.isnan(free_kb):
        return Finding("warning", "disk", "the free space could not be read")
    text = f"{free_kb / 1e3:.0f} MB free in {session.root}"
    if free_kb < FREE_KB:
        return Finding("bad", "disk", f"{text}; {FREE_KB / 1e3:.0f} MB are needed. Make room or change `directory`")
    return Finding("good", "disk", text)


def _cores(session: Session, target: Target) -> Finding:
    device = session.device
    wanted = ",".join(map(str, device.cores))
    if session.run(["taskset", "-c", wanted, "true"]).status:
        online = session.text("getconf", "_NPROCESSORS_ONLN") or "?"
        return Finding("bad", "cores", f"a program cannot be pinned to {wanted}; {online} are online. Mend `cores`")
    return Finding("good", "cores", f"{wanted} with {device.threads} thread{'s' * (device.threads > 1)}")


def _clock_speed(session: Session, target: Target) -> Finding:
    root = f"{session.device.sysfs}/devices/system/cpu"
    paths = [f"{root}/cpu{core}/cpufreq/scaling_governor" for core in session.device.cores]
    governors = set(session.read(paths).values())
    turbo = session.read([f"{root}/intel_pstate/no_turbo", f"{root}/cpufreq/boost"])
    boosts = turbo.get(f"{root}/intel_pstate/no_turbo") == "0" or turbo.get(f"{root}/cpufreq/boost") == "1"
    if not governors:
        return Finding("warning", "governor", "none is told (a virtual machine?); changes of the clock go unnoticed")
    if governors != {"performance"}:
        return Finding(
            "warning", "governor", f"{', '.join(sorted(governors))}; `cpupower frequency-set -g performance`"
        )
    if boosts:
        return Finding("warning", "governor", "performance, but turbo is on: the clock depends on heat; switch it off")
    return Finding("good", "governor", "performance")


def _heat(session: Session, target: Target) -> Finding:
    sensors = find_sensors(session)
    values = session.read(sensors.temperatures)
    degrees = [number(value) / 1e3 for value in values.values()]
    hot = max((value for value in degrees if math.isfinite(value)), default=None)
    states = session.read(sensors.coolers)
    if any(value not in ("0", "") for value in states.values()):
        return Finding("warning", "heat", "a cooling device slows the processor right now; let it cool, add a fan")
    if hot is None:
        return Finding("warning", "heat", "no temperature can be read; throttling may go unnoticed")
    return Finding("good", "heat", f"{hot:.0f} °C, not throttled")


def _load(session: Session, target: Target) -> Finding:
    load = number((session.text("cat", "/proc/loadavg") or "").partition(" ")[0])
    if math.isnan(load):
        return Finding("warning", "load", "could not be read")
    if load > BUSY_LOAD:
        return Finding("warning", "load", f"load {load:g}: something else is running there; end it before measuring")
    return Finding("good", "load", f"load {load:g}")


def _meter(session: Session, target: Target) -> Finding:
    settle_meter(session)
    device = session.device
    if isinstance(device.meter, ModelledMeter):
        text = f"none; energy will be modelled as {device.meter.nominal_w:g} W x latency and marked so"
        return Finding("warning", "meter", text)
    meter = open_meter(session)
    try:
        session.watch(meter.files)
        done = session.run(["sleep", "1"], tick_ms=device.meter.interval_ms)
        power = meter.power(done, [sample.values for sample in done.samples])
    finally:
        meter.close()
        session.watch(())
    if power.mean_w is None:
        return Finding("bad", "meter", f"{device.meter.kind} gives no numbers")
    text = f"{device.meter.kind}: {power.mean_w:.3g} W, {len(power.watts)} samples in a second"
    if not 0 <= power.mean_w <= device.meter.highest_w:
        return Finding("bad", "meter", f"{text}, outside 0 to {device.meter.highest_w:g} W; mend `meter`")
    return Finding("good", "meter", text)


def _clock(session: Session, target: Target) -> Finding:
    before = time.time()
    seconds = number(session.text("date", "+%s") or "")
    after = time.time()
    if math.isnan(seconds):
        return Finding("warning", "clock", "could not be read")
    off = seconds + 0.5 - (before + after) / 2
    if abs(off) > CLOCK_OFF_S:
        return Finding(
            "warning", "clock", f"{off:+.0f} s from this machine's; set it (records carry this machine's time)"
        )
    return Finding("good", "clock", "agrees with this machine's")


def _lock(session: Session, target: Target) -> Finding:
    status = session.run(["flock", "-n", "lock", "true"]).status
    if status == 127:
        return Finding("bad", "lock", "there is no flock; install util-linux")
    if status == 0:
        return Finding("good", "lock", "free")
    holder = session.read([f"{session.root}/lock"]).get(f"{session.root}/lock", "somebody")
    return Finding("warning", "lock", f"held by {holder}; a benchmark would wait")


_PROBES: dict[str, Callable[[Session, Target], Finding]] = {
    "programs": _programs,
    "architecture": _architecture,
    "runtime": _runtime,
    "disk": _disk,
    "cores": _cores,
    "governor": _clock_speed,
    "heat": _heat,
    "load": _load,
    "meter": _meter,
    "clock": _clock,
    "lock": _lock,
}
