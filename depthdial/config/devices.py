"""The devices file: machines to measure on, how to reach them, how their power is read."""

from __future__ import annotations

import os
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from depthdial.config.base import Name, Section, Title
from depthdial.config.problems import report, validate
from depthdial.config.yaml_file import read_yaml
from depthdial.errors import ConfigError

LOCAL = "local"

Destination = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.@:-]*$", max_length=200)]
"""``local``, or what comes after ``ssh``: an alias, a host, ``user@host``."""
_SEGMENT = r"\.?[A-Za-z0-9_][A-Za-z0-9_.-]*"
RemotePath = Annotated[str, StringConstraints(pattern=rf"^/?{_SEGMENT}(/{_SEGMENT})*$", max_length=200)]
"""A path on a device: letters, digits and ``_ . -``, never upwards. Relative paths start at the login folder."""
AbsolutePath = Annotated[str, StringConstraints(pattern=rf"^(/{_SEGMENT})+$", max_length=200)]
"""An absolute path on a device."""
Word = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]+$", max_length=400)]
"""One word of a command. It is handed to the program as it is; no shell reads it."""
ConfigPath = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_./][A-Za-z0-9_./+,=@-]*$", max_length=400)]
"""A file here that the OpenSSH client reads. To reach a jump host it hands the path to a shell as it is."""


class _Meter(Section):
    idle_s: float = Field(default=5.0, ge=0, le=600)
    """Seconds of idle power measured before the first and after the last window; 0: not at all."""
    subtract_idle: bool = False
    """`true`: energy of an inference is what it costs above the idle device. `false`: all that the device draws."""
    interval_ms: int = Field(default=50, ge=10, le=10_000)
    """How often the meter is read, or how often a command prints a sample."""
    highest_w: float = Field(default=500.0, gt=0)
    """A reading above this many watts, or below zero, is nonsense, and the window's energy is not valid."""


class RaplMeter(_Meter):
    """Energy counters of Intel and AMD processors under /sys/class/powercap, readable by root unless permitted."""

    kind: Literal["rapl"]
    """Which meter this is."""
    zones: tuple[Word, ...] = Field(default=("package",), min_length=1)
    """Zones that are added up, by the start of their name: `package`, `core`, `uncore`, `dram`, `psys`."""


class HwmonMeter(_Meter):
    """A sensor under /sys/class/hwmon: the INA3221 of a Jetson, an INA219 or INA226 on a board."""

    kind: Literal["hwmon"]
    """Which meter this is."""
    chip: Word
    """Name of the chip as its file `name` says it, such as `ina3221`."""
    channel: Word = "1"
    """Channel by number, or by its label such as `VDD_IN`. It decides which rail the figures speak of."""


class CommandMeter(_Meter):
    """A program that prints one power sample in watts per line until it is stopped."""

    kind: Literal["command"]
    """Which meter this is."""
    command: tuple[Word, ...] = Field(min_length=1)
    """The program and its arguments, a list of words. No shell reads them."""
    runs_on: Literal["host", "device"] = "host"
    """Where the program runs: `host` is the machine that runs the workflow."""
    watts_per_unit: float = Field(default=1.0, gt=0)
    """What a printed 1 means in watts: 0.001 for a program that prints milliwatts."""


class NvmlMeter(_Meter):
    """The power of an NVIDIA GPU, read through NVML by the device's own nvidia-smi."""

    kind: Literal["nvml"]
    """Which meter this is."""
    gpu: int = Field(default=0, ge=0)
    """Index of the GPU."""


class AutoMeter(_Meter):
    """RAPL where the device has counters that may be read; else the model."""

    kind: Literal["auto"]
    """Which meter this is."""
    nominal_w: float = Field(default=5.0, gt=0, le=10_000)
    """Power of the busy device in watts, for the model."""


class ModelledMeter(Section):
    """No meter: energy is nominal power times latency, and says so wherever it appears."""

    kind: Literal["modelled"] = "modelled"
    """Which meter this is."""
    nominal_w: float = Field(default=5.0, gt=0, le=10_000)
    """Power of the busy device in watts, from its data sheet or a plug."""


Meter = Annotated[
    AutoMeter | RaplMeter | HwmonMeter | CommandMeter | NvmlMeter | ModelledMeter, Field(discriminator="kind")
]


class Device(Section):
    """One machine on which configurations are measured."""

    name: Name
    """Identity of the device in file names and figures."""
    title: Title | None = None
    """What figures and tables call it; the name if absent."""
    host: Destination = LOCAL
    """`local`, or an SSH destination: usually an alias of your own ssh_config, whose keys, agents, jump hosts and
    ports are honoured. The host key must be known already."""
    ssh_config: ConfigPath | None = None
    """Another file in place of your ~/.ssh/config: letters, digits and `_ . / + , = @ -`."""
    target: Name
    """What the device runs: the name of a target of the targets file."""
    cores: tuple[Annotated[int, Field(ge=0, le=4095)], ...] = Field(default=(0,), min_length=1)
    """Cores to which the benchmark is pinned, a core for each thread; if there are more, the first ones."""
    threads: int = Field(default=1, ge=1, le=256)
    """Threads of the runtime; not more than cores."""
    directory: RemotePath = ".cache/depthdial"
    """The one folder on the device in which depthdial works. Everything that it puts there can be removed."""
    runtime: Literal["wheel"] | AbsolutePath = "wheel"
    """`wheel`: the tools of the IREE wheel for the device's architecture are put there, once. Or the absolute path of
    a folder on the device that holds iree-benchmark-module and iree-run-module of the right version."""
    launcher: tuple[Word, ...] = ()
    """Words that go before each tool on the device, such as `[nice, -n, "-5"]`, `[chrt, -f, "50"]` or an emulator."""
    sysfs: AbsolutePath = "/sys"
    """Where the device's sysfs is mounted."""
    lock_minutes: float = Field(default=60.0, ge=0, le=10_080)
    """How long to wait while another run holds the device."""
    meter: Meter = ModelledMeter()
    """How power is read."""

    @model_validator(mode="after")
    def _consistent(self) -> Device:
        if len(set(self.cores)) < len(self.cores):
            raise ValueError(f"cores: each core once, got {list(self.cores)}")
        if self.threads > len(self.cores):
            raise ValueError(f"threads: {self.threads} threads need as many cores, got cores {list(self.cores)}")
        if self.host == LOCAL and self.ssh_config is not None:
            raise ValueError("ssh_config: a local device is not reached over SSH; remove it")
        return self

    @property
    def launch(self) -> list[str]:
        """Words before each tool: the measured cores, and with workers the policy under which they are not put aside.

        Why the policy: docs/decisions.md, "Two threads".
        """
        policy = ["chrt", "-b", "0"] if self.threads > 1 else []
        return ["taskset", "-c", ",".join(map(str, self.pinned)), *policy, *self.launcher]

    @property
    def pinned(self) -> tuple[int, ...]:
        """The cores on which the benchmark runs."""
        return self.cores[: self.threads]

    @property
    def label(self) -> str:
        """What figures and tables call the device."""
        return self.title or self.name


class Devices(Section):
    """The devices file."""

    devices: tuple[Device, ...] = Field(min_length=1, max_length=200)
    """The devices, each with a name of its own."""

    @model_validator(mode="after")
    def _unique(self) -> Devices:
        names = [device.name for device in self.devices]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"devices: {', '.join(twice)} given more than once; names are identities")
        return self


def load_devices(
    path: str | os.PathLike[str], names: tuple[str, ...] | None = None, targets: tuple[str, ...] | None = None
) -> dict[str, Device]:
    """The devices that a file describes, those of ``names`` if given, each with a target among ``targets`` if given.

    Raises ConfigError with every problem at once.
    """
    devices = {device.name: device for device in validate(Devices, read_yaml(path), str(path)).devices}
    wanted = list(devices) if names is None else list(names)
    problems = [
        f"devices: there is no device {name!r}; there are {', '.join(devices)}"
        for name in wanted
        if name not in devices
    ]
    problems += [
        f"device {name}: target {devices[name].target!r} is not among those that the experiment compiles for "
        f"({', '.join(targets)}); add it to deploy.targets"
        for name in wanted
        if targets is not None and name in devices and devices[name].target not in targets
    ]
    if problems:
        raise ConfigError(report(str(path), problems))
    return {name: devices[name] for name in wanted}
