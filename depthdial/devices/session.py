"""A held device: what its far side can be asked to do."""

from __future__ import annotations

import logging
import os
import re
import socket
import tarfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from depthdial.config.devices import Device
from depthdial.devices.connection import CONNECT_S, Channel, Runner, plain, runner_for
from depthdial.errors import DeviceError

logger = logging.getLogger(__name__)
ANSWER_S = 30.0
SLACK_S = 30.0
CONNECT_ATTEMPTS = 3
LARGEST = 256 << 20
"""Bytes that a program on a device may leave, its output, errors or samples: a benchmark's report has 500 for each
inference."""
_UPTIME = r"[0-9]{1,12}(?:\.[0-9]{1,9})?"
_SAMPLE = re.compile(rf"({_UPTIME})\t(?:([0-9]{{1,12}})|-)(?:\t(.*))?")
_AFTER = re.compile("^after\t-\t(.*)$", re.M)
_OVERDUE = re.compile("^overdue$", re.M)
_RESULT = re.compile(rf"({_UPTIME}) ({_UPTIME}) ([0-9]{{1,12}}) ([0-9]{{1,12}}) ([0-9]{{1,12}})")


@dataclass(frozen=True)
class Sample:
    """What the far side saw at one moment: its uptime, the tool's peak resident kB, the watched files."""

    uptime_s: float
    peak_kb: int | None
    values: tuple[str, ...]


@dataclass(frozen=True)
class Finished:
    """A program that ran on the device: uptimes of the device, instants of this machine's monotonic clock."""

    status: int
    began_s: float
    ended_s: float
    host_began_s: float
    host_ended_s: float
    output: str
    errors: str
    samples: tuple[Sample, ...]
    after: tuple[str, ...]
    """What the watched files said as soon as it had ended."""
    overdue: bool

    @property
    def peak_bytes(self) -> int | None:
        """Peak resident memory, if it was seen."""
        peaks = [sample.peak_kb for sample in self.samples if sample.peak_kb is not None]
        return max(peaks) * 1024 if peaks else None


class Session:
    """A connection to a device, in its working folder. Use as a context; ``lock`` makes it the only one."""

    def __init__(self, device: Device, runner: Runner | None = None) -> None:
        self.device = device
        self.runner = runner or runner_for(device)
        self.channel, self.root = enter(device, self.runner, device.directory)

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.channel.close(5.0 if kind is None else 0.5)

    def _answer(self, verb: str, seconds: float) -> tuple[int, str]:
        return answer(self.channel, verb, seconds)

    def lock(self, purpose: str) -> None:
        """Wait until no other run holds the device. Raises DeviceError that names the holder after ``lock_minutes``."""
        who = f"{os.environ.get('USER', os.getuid())}@{socket.gethostname()} pid {os.getpid()}"
        since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
        limit = time.monotonic() + 60 * self.device.lock_minutes
        self.channel.request("lock", f"{who}, {purpose}, since {since}")
        told = ""
        while True:
            line = self.channel.line(ANSWER_S)
            verb, status, rest = [*line.split(" ", 2), "", ""][:3]
            if verb == "locked" and status == "0":
                return
            if verb != "busy":
                raise DeviceError(
                    f"device {self.device.name}: cannot be locked ({rest or line}); it needs the program flock "
                    f"(util-linux or BusyBox) and a writable {self.device.directory}"
                )
            if rest != told:
                logger.info("device %s is held by %s; waiting", self.device.name, rest)
                told = rest
            if time.monotonic() > limit:
                raise DeviceError(
                    f"device {self.device.name}: held by {rest} for longer than lock_minutes "
                    f"({self.device.lock_minutes:g}); wait, or end that run"
                )

    def watch(self, files: Sequence[str]) -> None:
        """Choose the files that are read while programs run."""
        self.channel.request("watch", *files)
        self._answer("watching", ANSWER_S)

    def run(self, program: Sequence[str], *, folder: str = ".", limit_s: float = 60.0, tick_ms: int = 1000) -> Finished:
        """Run a program to its end; it is killed on the device after ``limit_s``."""
        began = time.monotonic()
        self.channel.request("run", folder, f"{tick_ms / 1000:.3f}", str(int(limit_s) + 1), *program)
        status, rest = self._answer("done", limit_s + SLACK_S)
        ended = time.monotonic()
        result = _RESULT.fullmatch(rest)
        if result is None:
            raise DeviceError(
                f"device {self.device.name}: {program[0]} left no result there; is the disk of {self.root} full?"
            )
        sizes = [int(size) for size in result.groups()[2:]]
        if max(sizes) > LARGEST:
            raise DeviceError(
                f"device {self.device.name}: {program[0]} is said to have left {max(sizes)} bytes there, more than "
                f"any program that is run; look at the device"
            )
        output, errors, samples = (plain(self.channel.exactly(size, ANSWER_S + size / 1e5)) for size in sizes)
        return Finished(
            status=status,
            began_s=float(result[1]),
            ended_s=float(result[2]),
            host_began_s=began,
            host_ended_s=ended,
            output=output,
            errors=errors,
            samples=parse_samples(samples),
            after=tuple(after[1].split("\t")) if (after := _AFTER.search(samples)) else (),
            overdue=_OVERDUE.search(samples) is not None,
        )

    def text(self, *program: str, folder: str = ".") -> str | None:
        """What a program prints, stripped; None if it fails."""
        done = self.run(program, folder=folder)
        return done.output.strip() if done.status == 0 else None

    def read(self, paths: Sequence[str]) -> dict[str, str]:
        """The first lines of those files that can be read and are not empty."""
        if not paths:
            return {}
        lines = self.run(["grep", "-m", "1", "-H", "-s", "-a", "", "--", *paths, "/dev/null"]).output.splitlines()
        found = {}
        for line in lines:
            path = next((path for path in paths if line.startswith(f"{path}:")), None)
            if path is not None:
                found[path] = line[len(path) + 1 :].strip()
        return found

    def send_files(self, files: Mapping[str, Path], folder: str) -> None:
        """Put files into an existing folder, over a connection of their own."""
        channel, _ = enter(self.device, self.runner, self.root)
        try:
            channel.request("receive", folder)
            with tarfile.open(fileobj=_Sink(channel), mode="w|", format=tarfile.USTAR_FORMAT) as archive:  # type: ignore[call-overload]
                for name, path in files.items():
                    entry = archive.gettarinfo(path, name)
                    entry.uid = entry.gid = entry.mtime = 0
                    entry.uname = entry.gname = ""
                    entry.mode = 0o700 if os.access(path, os.X_OK) else 0o600
                    with path.open("rb") as stream:
                        archive.addfile(entry, stream)
            channel.end_input()
            line = channel.line(ANSWER_S)
            if line.split(" ")[:2] != ["received", "0"]:
                raise DeviceError(f"device {self.device.name}: {self.disk_report()}")
        finally:
            channel.close()

    def disk_report(self) -> str:
        """Why a file could not be written, as far as the device's free space tells."""
        kilobytes, files = self._free("-Pk"), self._free("-Pi")
        free = "so full that nothing can be written" if kilobytes is None else f"{kilobytes} kB free there"
        if files == 0:
            free = "no inodes left there: too many files, however small"
        return f"files could not be written to {self.root} ({free}); make room, or change `directory`"

    def _free(self, unit: str) -> int | None:
        """What ``df`` says is free where depthdial writes; None if it says nothing."""
        try:
            lines = (self.text("df", unit, ".") or "").splitlines()
        except DeviceError:
            return None
        fields = lines[-1].split() if len(lines) > 1 else []
        return int(fields[3]) if len(fields) > 3 and fields[3].isdigit() else None


def enter(device: Device, runner: Runner, folder: str) -> tuple[Channel, str]:
    """A far side in its working folder, and that folder's absolute path.

    A busy SSH server may drop a connection before it says a word (its MaxStartups); only then it is tried again.
    """
    for attempt in range(CONNECT_ATTEMPTS):
        channel = Channel(device.name, runner)
        try:
            channel.request("enter", folder)
            status, root = answer(channel, "entered", CONNECT_S + ANSWER_S)
        except BaseException as error:
            channel.close(0.5)
            if "kex_exchange_identification" in str(error) and attempt + 1 < CONNECT_ATTEMPTS:
                time.sleep(1)
                continue
            raise
        if status == 0:
            return channel, root
        channel.close()
        break
    if status == 2:
        raise DeviceError(
            f"device {device.name}: the folder {device.directory} there belongs to somebody else, or others may write "
            f"to it and could swap the tools that run there; `chmod go-w` it, or change `directory`"
        )
    raise DeviceError(
        f"device {device.name}: cannot make the folder {device.directory} there; is the disk full or read-only, or "
        f"may you not write beside it? Mend that, or change `directory`"
    )


def answer(channel: Channel, verb: str, seconds: float) -> tuple[int, str]:
    """Status and text of the far side's answer to ``verb``. Raises DeviceError for anything else."""
    line = channel.line(seconds)
    words = line.split(" ", 2)
    if len(words) < 3 or words[0] != verb or not re.fullmatch("[0-9]{1,3}", words[1]):
        raise DeviceError(
            f"device {channel.name}: expected {verb!r}, got {line[:200]!r}; does a login script on the device "
            f"print something? It must not when there is no terminal"
        )
    return int(words[1]), words[2]


class _Sink:
    """A file to which tarfile writes."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel

    def write(self, data: bytes) -> int:
        self.channel.send(data)
        return len(data)


def parse_samples(text: str) -> tuple[Sample, ...]:
    """The samples of ``agent.sh``: tab-separated uptime, peak kB (or ``-``) and values; other lines are left out."""
    samples = []
    for line in text.split("\n"):
        if found := _SAMPLE.fullmatch(line):
            uptime, peak, values = found.groups()
            seen = () if values is None else tuple(values.split("\t"))
            samples.append(Sample(float(uptime), int(peak) if peak else None, seen))
    return tuple(samples)
