"""Records: one per measurement window, everything in it that could explain a number; JSON Lines on disk."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from depthdial.artefacts import reading
from depthdial.files import atomic_path

EnergySource = Literal["rapl", "hwmon", "command", "nvml", "modelled"]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


class Energy(_Record):
    """Energy of one inference, from the power in the timed part of the window."""

    source: EnergySource
    valid: bool
    reasons: tuple[str, ...] = ()
    """Why it is not valid, or not measured."""
    energy_mj: float | None = None
    """Millijoules per inference, above the mean idle power if `idle_subtracted`."""
    mean_w: float | None = None
    idle_before_w: float | None = None
    idle_after_w: float | None = None
    """Power of the idle device before the first and after the last window."""
    idle_doubts: tuple[str, ...] = ()
    """Why idle power cannot be relied on."""
    idle_subtracted: bool = False
    sampling_hz: float | None = None
    times_s: tuple[float, ...] = ()
    """Ends of the intervals between samples, in seconds of the device's uptime."""
    watts: tuple[float | None, ...] = ()
    """Power in each interval as it was read, before any judgement; null where the meter gave no number."""


class Environment(_Record):
    """What surrounded a window: lowest and highest clock of the measured cores, temperatures, throttling, load."""

    frequency_mhz: tuple[float, float, float] | None
    """Lower decile, median and upper decile over samples and measured cores; null where the device does not tell."""
    temperature_c: tuple[float, float] | None
    """Hottest sensor at the start and at the end."""
    throttled: bool | None
    """Whether a throttling counter moved or a cooling device was at work; null where the device does not tell."""
    load: tuple[float, float, float] | None
    """Load averages over 1, 5 and 15 minutes, by the benchmark tool as it began."""


class Window(_Record):
    """One window: one configuration inferred again and again on one device."""

    schema_version: Literal[1] = 1
    device: str
    dataset: str
    network: str
    seed: int
    configuration: str
    mask: str
    role: Literal["reference", "measured"]
    round: int
    position: int
    """Place in the round, from 0."""
    started: str
    """UTC on the machine that ran the workflow."""
    began_s: float
    """Uptime of the device when the tool started."""
    ended_s: float
    """Uptime of the device when the tool ended."""
    overhead_s: float | None = None
    """What the tool took for itself from the first timed inference on: between inferences, and to report them."""
    latencies_ms: tuple[float, ...]
    """Wall time of every single inference in order."""
    mean_cpu_ms: float
    """Processor time of an inference, all threads together."""
    resident_bytes: int | None
    """Peak resident memory of the tool with this configuration."""
    energy: Energy
    environment: Environment
    valid: bool
    reasons: tuple[str, ...] = ()
    """What is wrong with this window or with its round, which was rejected."""
    command: tuple[str, ...]
    bundle_sha256: str
    """Of the bundle's manifest, which has the hashes of all its files."""
    module_sha256: str
    compiler: str = "unknown"
    """Version of iree-base-compiler that made the module."""
    fingerprint: dict[str, str]
    """What the device, the runtime and this version of depthdial are."""


def write_records(path: str | os.PathLike[str], windows: Iterable[Window]) -> None:
    """Write JSON Lines, whole or not at all."""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as stream:
        for window in windows:
            stream.write(window.model_dump_json() + "\n")


def read_records(path: str | os.PathLike[str]) -> list[Window]:
    """Read and check. Raises ArtefactError that names file and line."""
    again, windows = "measure the device again", []
    with reading(path, "records of measurements", again):
        lines = Path(path).read_bytes().splitlines()
    for number, line in enumerate(lines, 1):
        with reading(path, f"a measurement window in line {number}", again):
            windows.append(Window.model_validate_json(line))
    return windows
