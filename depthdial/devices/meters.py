"""Meters: power during a window, whatever it comes from.

A meter either has files of the device that are read while a window runs (RAPL, hwmon), or a program that prints
samples (any command, nvidia-smi), or nothing (a model). ``power`` turns what was seen into mean power per interval.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from depthdial.config.devices import AutoMeter, CommandMeter, Device, HwmonMeter, ModelledMeter, NvmlMeter, RaplMeter
from depthdial.config.devices import Meter as MeterSettings
from depthdial.devices.connection import Channel, LocalRunner, Runner
from depthdial.devices.records import EnergySource
from depthdial.devices.sensors import number
from depthdial.devices.session import Finished, Session
from depthdial.errors import DeviceError

logger = logging.getLogger(__name__)
RealMeter = AutoMeter | RaplMeter | HwmonMeter | CommandMeter | NvmlMeter
"""Settings of whatever measures."""
SHORTEST_MS = 1000
"""A window this long makes little of the clock by which samples are aligned."""
NVML_MS = 100
"""NVIDIA GPUs renew their reading about this often, however often they are asked (Yang et al. 2024, "Part-time power
measurements: nvidia-smi's lack of attention")."""
MOST_HZ = 10_000
"""Lines a second of a meter's program that are taken for samples."""
MOST_SAMPLES = 200_000
"""The newest samples that are kept: of a kilohertz, more than three minutes."""


@dataclass(frozen=True)
class Power:
    """Mean power in successive intervals: their ends and lengths in seconds of the device's uptime, watts (n,)."""

    times_s: NDArray[np.float64]
    seconds: NDArray[np.float64]
    watts: NDArray[np.float64]

    def part(self, begin_s: float, end_s: float) -> Power:
        """The intervals that lie wholly between two times."""
        inside = (self.times_s - self.seconds >= begin_s - 1e-9) & (self.times_s <= end_s + 1e-9)
        return Power(self.times_s[inside], self.seconds[inside], self.watts[inside])

    @property
    def mean_w(self) -> float | None:
        """Mean over time; None without a usable sample."""
        good = np.isfinite(self.watts) & (self.seconds > 0)
        if not good.any():
            return None
        return float(np.average(self.watts[good], weights=self.seconds[good]))


NOTHING = Power(np.empty(0), np.empty(0), np.empty(0))


class Meter(Protocol):
    """A source of power samples on one device."""

    @property
    def source(self) -> EnergySource:
        """What stands in records and tables."""
        ...

    @property
    def files(self) -> tuple[str, ...]:
        """Files that must be watched while a window runs."""
        ...

    def power(self, done: Finished, values: Sequence[tuple[str, ...]]) -> Power:
        """Power during a finished run; ``values`` are the watched files' contents, a tuple per sample."""
        ...

    def close(self) -> None:
        """Stop what was started."""
        ...


def settle_meter(session: Session) -> None:
    """Put what the device has into the session's own settings: its meter, and how often that has a new reading.

    A reading that is only read again is no further sample, so meters are read no more often than they are renewed.
    """
    meter = session.device.meter
    if isinstance(meter, AutoMeter):
        meter = _found_out(session, meter)
    elif isinstance(meter, HwmonMeter):
        folder = Hwmon.find(session, meter).files[0].rpartition("/")[0]
        renewed_ms = number(session.read([f"{folder}/update_interval"]).get(f"{folder}/update_interval", ""))
        if renewed_ms > meter.interval_ms:
            meter = meter.model_copy(update={"interval_ms": math.ceil(renewed_ms)})
    elif isinstance(meter, NvmlMeter):
        meter = meter.model_copy(update={"interval_ms": max(meter.interval_ms, NVML_MS)})
    session.device = session.device.model_copy(update={"meter": meter})


def _found_out(session: Session, meter: AutoMeter) -> RaplMeter | ModelledMeter:
    """RAPL if its counters run, else the model."""
    rapl = RaplMeter(kind="rapl", **meter.model_dump(exclude={"kind", "nominal_w"}))
    try:
        found = Rapl.find(session, rapl)
        session.watch(found.files)
        done = session.run(["sleep", "1"], tick_ms=rapl.interval_ms)
        session.watch(())
        watts = found.power(done, [sample.values for sample in done.samples]).mean_w
        if watts is None or not 0 < watts <= rapl.highest_w:
            raise DeviceError(f"device {session.device.name}: its RAPL counters say {watts} W")
    except DeviceError as error:
        logger.info("energy is modelled: %s", error)
        return ModelledMeter(nominal_w=meter.nominal_w)
    return rapl


def least_window_ms(meter: MeterSettings, samples: int) -> int:
    """How long a window must last for the energy in it to be valid: long for the clock, and with enough samples."""
    if isinstance(meter, AutoMeter | ModelledMeter):
        return 0
    return max(SHORTEST_MS, math.ceil(1.2 * samples * meter.interval_ms))


def open_meter(session: Session) -> Meter:
    """The device's meter. Raises DeviceError that says what is missing."""
    meter = session.device.meter
    if isinstance(meter, RaplMeter):
        return Rapl.find(session, meter)
    if isinstance(meter, HwmonMeter):
        return Hwmon.find(session, meter)
    if isinstance(meter, CommandMeter):
        runner = LocalRunner() if meter.runs_on == "host" else session.runner
        return Command.start("command", session.device, runner, list(meter.command), meter.watts_per_unit)
    if isinstance(meter, NvmlMeter):
        command = ["nvidia-smi", f"--id={meter.gpu}", "--query-gpu=power.draw", "--format=csv,noheader,nounits"]
        command.append(f"--loop-ms={meter.interval_ms}")
        return Command.start("nvml", session.device, session.runner, command, 1.0)
    return Modelled()


@dataclass(frozen=True)
class Modelled:
    """No meter."""

    source: EnergySource = "modelled"
    files: tuple[str, ...] = ()

    def power(self, done: Finished, values: Sequence[tuple[str, ...]]) -> Power:
        return NOTHING

    def close(self) -> None:
        pass


@dataclass(frozen=True)
class Rapl:
    """Energy counters in microjoules that wrap around at ``ranges``."""

    files: tuple[str, ...]
    ranges: tuple[float, ...]
    source: EnergySource = "rapl"

    @classmethod
    def find(cls, session: Session, meter: RaplMeter) -> Rapl:
        """The zones whose names begin as the settings say."""
        root = f"{session.device.sysfs}/class/powercap"
        zones = [name for name in (session.text("ls", "--", root) or "").split() if "rapl:" in name]
        read = session.read([f"{root}/{zone}/{file}" for zone in zones for file in ("name", "max_energy_range_uj")])
        names = {zone: read.get(f"{root}/{zone}/name", "") for zone in zones}
        chosen = [zone for zone in zones if names[zone].startswith(meter.zones)]
        if not chosen:
            there = ", ".join(sorted(set(names.values()))) or "none"
            raise DeviceError(
                f"device {session.device.name}: no RAPL zone {' or '.join(meter.zones)} under {root}; there: {there}"
            )
        files = tuple(f"{root}/{zone}/energy_uj" for zone in chosen)
        counters = session.read(files)
        if unreadable := [file for file in files if file not in counters]:
            raise DeviceError(
                f"device {session.device.name}: {unreadable[0]} cannot be read; since 2020 only root may. Permit it "
                f"with a udev rule (docs/devices.md), or choose another meter"
            )
        ranges = tuple(number(read.get(f"{root}/{zone}/max_energy_range_uj", "")) for zone in chosen)
        return cls(files, ranges)

    def power(self, done: Finished, values: Sequence[tuple[str, ...]]) -> Power:
        times = np.array([sample.uptime_s for sample in done.samples])
        counters = np.array([[number(value) for value in row] for row in values]).reshape(len(times), len(self.files))
        seconds = np.diff(times)
        steps = np.diff(counters, axis=0)
        steps = np.where(steps < 0, steps + np.array(self.ranges), steps)
        with np.errstate(divide="ignore", invalid="ignore"):
            watts = steps.sum(axis=1) / 1e6 / seconds
        return Power(times[1:], seconds, np.where(seconds > 0, watts, np.nan))

    def close(self) -> None:
        pass


@dataclass(frozen=True)
class Hwmon:
    """A sensor that gives power in microwatts, or voltage in millivolts and current in milliamperes."""

    files: tuple[str, ...]
    source: EnergySource = "hwmon"

    @classmethod
    def find(cls, session: Session, meter: HwmonMeter) -> Hwmon:
        """The channel of the chip that the settings name."""
        root = f"{session.device.sysfs}/class/hwmon"
        folders = [f"{root}/{name}" for name in (session.text("ls", "--", root) or "").split()]
        names = session.read([f"{folder}/name" for folder in folders])
        chips = [folder for folder in folders if names.get(f"{folder}/name") == meter.chip]
        if not chips:
            there = ", ".join(sorted(set(names.values()))) or "none"
            raise DeviceError(
                f"device {session.device.name}: no sensor chip {meter.chip!r} under {root}; there: {there}"
            )
        for folder in chips:
            files = (session.text("ls", "--", folder) or "").split()
            for channel in _channels(session, folder, files, meter.channel):
                watts = ((f"power{channel}_input",), (f"power{channel}_average",))
                for group in (*watts, (f"in{channel}_input", f"curr{channel}_input")):
                    paths = tuple(f"{folder}/{name}" for name in group)
                    if len(session.read(paths)) == len(paths):
                        return cls(paths)
        raise DeviceError(
            f"device {session.device.name}: sensor chip {meter.chip} has no readable channel {meter.channel!r}; there: "
            f"{', '.join(name for name in files if name.endswith(('_input', '_label', '_average'))) or 'nothing'}"
        )

    def power(self, done: Finished, values: Sequence[tuple[str, ...]]) -> Power:
        times = np.array([sample.uptime_s for sample in done.samples])
        table = np.array([[number(value) for value in row] for row in values]).reshape(len(times), len(self.files))
        return Power(times[1:], np.diff(times), (table.prod(axis=1) / 1e6)[1:])

    def close(self) -> None:
        pass


def _channels(session: Session, folder: str, files: Sequence[str], wanted: str) -> list[str]:
    """The numbers of a channel that is given by number or by label."""
    if wanted.isdigit():
        return [wanted]
    labels = session.read([f"{folder}/{name}" for name in files if name.endswith("_label")])
    return [
        path.rpartition("/")[2].removesuffix("_label").lstrip("abcdefghijklmnopqrstuvwxyz")
        for path, label in labels.items()
        if label == wanted
    ]


@dataclass
class Command:
    """A program that prints a number per line; each is stamped with the time of its arrival here."""

    source: EnergySource
    name: str
    program: list[str]
    channel: Channel
    watts_per_unit: float
    files: tuple[str, ...] = ()
    _seen: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=MOST_SAMPLES))
    _ended: str = ""
    _flooded: bool = False

    @classmethod
    def start(
        cls, source: EnergySource, device: Device, runner: Runner, program: list[str], watts_per_unit: float
    ) -> Command:
        """Start the program and wait for its first line. Raises DeviceError if none comes."""
        channel = Channel(device.name, runner)
        channel.bound_files()
        channel.request("stream", *program)
        meter = cls(source, device.name, program, channel, watts_per_unit)
        thread = threading.Thread(target=meter._listen, daemon=True)
        thread.start()
        limit = time.monotonic() + 30
        while not meter._seen and not meter._ended and time.monotonic() < limit:
            time.sleep(0.01)
        if not meter._seen:
            meter.close()
            raise DeviceError(
                f"device {device.name}: the meter {program[0]!r} gave no sample: {meter._ended or 'silent for 30 s'}"
            )
        return meter

    def _listen(self) -> None:
        try:
            while True:
                text = self.channel.line(3600)
                self._seen.append((time.monotonic(), number(text.strip().split(" ")[-1])))
                if len(self._seen) == MOST_SAMPLES and self._seen[-1][0] - self._seen[0][0] < MOST_SAMPLES / MOST_HZ:
                    self._flooded = True
                    raise DeviceError(
                        f"device {self.name}: the meter {self.program[0]!r} gives more than {MOST_HZ} lines a second; "
                        f"make it slower"
                    )
        except (DeviceError, OSError, ValueError) as error:
            self._ended = str(error)

    def power(self, done: Finished, values: Sequence[tuple[str, ...]]) -> Power:
        """Times are moved to the device's clock by the end of the run, which is seen on both.

        Raises DeviceError if the meter gave more than can be kept.
        """
        if self._flooded:
            raise DeviceError(self._ended)
        seen = np.array([pair for pair in list(self._seen) if pair[0] >= done.host_began_s - 60]).reshape(-1, 2)
        times = seen[:, 0] - done.host_ended_s + done.ended_s
        inside = np.flatnonzero(times >= done.began_s)
        inside = inside[inside > 0]
        return Power(times[inside], times[inside] - times[inside - 1], seen[inside, 1] * self.watts_per_unit)

    def close(self) -> None:
        self.channel.close()
