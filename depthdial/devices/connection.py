"""Ways to start the far side on a device: a child process here, or OpenSSH.

Both start ``sh`` with one fixed command and then speak with it over its standard input and output, so a device
that is this machine and a device behind three jump hosts go through the same code. Nothing from a configuration is
ever part of a command line that a shell reads.
"""

from __future__ import annotations

import os
import re
import resource
import select
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import IO, Protocol

from depthdial.config.devices import LOCAL, Device
from depthdial.errors import DeviceError

CONNECT_S = 20
ALIVE_S = 10
TAKE_S = 60
"""A far side that takes nothing of what is sent for so long is given up."""
CHUNK = 1 << 16
LARGEST_FILE = 64 << 20
LONGEST_LINE = 1 << 16
"""Bytes of an answer's line, and of what the program that gives the connection may say."""
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


def plain(data: bytes | bytearray) -> str:
    """What a device says, without characters that could move the cursor or hide text where it is shown."""
    return _UNSEEN.sub("", data.decode("utf-8", "replace"))


class Runner(Protocol):
    """A way to start the far side."""

    def command(self) -> list[str]:
        """The program that gives a shell on the device."""
        ...

    def folder(self) -> str | None:
        """Where the program starts."""
        ...

    def explain(self, errors: str) -> str:
        """Why there is no connection, from what the program said."""
        ...


@cache
def agent_source() -> bytes:
    """The far side's program."""
    return files("depthdial.devices").joinpath("agent.sh").read_bytes()


def bootstrap() -> str:
    """The one command that a login shell on a device ever sees: read a program of known length, become it.

    Single bytes are read, so that requests that follow the program are left for it. No quoting but a pair of single
    quotes, so that shells that are not POSIX understand it too.
    """
    return f"exec sh -c 'eval \"$(dd bs=1 count={len(agent_source())} 2>/dev/null)\"'"


class LocalRunner:
    """The machine that runs the workflow."""

    def command(self) -> list[str]:
        return ["/bin/sh", "-c", bootstrap()]

    def folder(self) -> str | None:
        return str(Path.home())

    def explain(self, errors: str) -> str:
        return f"the shell on this machine ended: {errors or 'it said nothing'}"


class SshRunner:
    """A machine behind the system's OpenSSH client, which reads the user's own configuration."""

    def __init__(self, device: Device) -> None:
        self.device = device

    def ssh(self, *options: str) -> list[str]:
        """The client with options that no user configuration can weaken."""
        strict = (
            "BatchMode=yes",
            "StrictHostKeyChecking=yes",
            "NoHostAuthenticationForLocalhost=no",
            "VerifyHostKeyDNS=no",
            "UpdateHostKeys=no",
            # A connection that is there already may have been opened without a look at the host key.
            "ControlMaster=no",
            "ControlPath=none",
            f"ConnectTimeout={CONNECT_S}",
            f"ServerAliveInterval={ALIVE_S}",
            "ServerAliveCountMax=3",
            "ClearAllForwardings=yes",
            "ForwardAgent=no",
            "ForwardX11=no",
            "PermitLocalCommand=no",
            "RemoteCommand=none",
            "RequestTTY=no",
            "LogLevel=ERROR",
        )
        config = ["-F", self.device.ssh_config] if self.device.ssh_config else []
        return ["ssh", *config, *(word for option in strict for word in ("-o", option)), *options]

    def command(self) -> list[str]:
        return [*self.ssh("-T", "--", self.device.host), bootstrap()]

    def folder(self) -> str | None:
        return None

    def explain(self, errors: str) -> str:
        return explain_ssh(self.device, errors)

    def check_jumps(self) -> None:
        """Refuse jump hosts whose keys the user's configuration would accept unseen.

        The client starts another client for each jump, which the options above do not reach.
        Raises DeviceError that names the host.
        """
        waiting, seen = hops(self.settings(self.device.host)), set()
        while waiting:
            hop = waiting.pop()
            if hop in seen:
                continue
            seen.add(hop)
            if "%" in hop:
                raise DeviceError(
                    f"device {self.device.name}: its jump host {hop} is named by a token, so how its key is checked "
                    f"cannot be looked up; name the jump host outright in your ssh_config"
                )
            settings = self.settings(*destination(hop))
            strict = settings.get("stricthostkeychecking")
            if strict not in ("true", "yes", "ask"):
                raise DeviceError(
                    f"device {self.device.name}: its jump host {hop} has StrictHostKeyChecking {strict}, so an unknown "
                    f"host key would be accepted unseen; set it to yes in your ssh_config"
                )
            waiting += hops(settings)

    def settings(self, host: str, *options: str) -> dict[str, str]:
        """What the user's configuration says of a host, by lower-case key."""
        config = ["-F", self.device.ssh_config] if self.device.ssh_config else []
        words = ["ssh", *config, "-G", *options, "--", host]
        try:
            done = subprocess.run(words, capture_output=True, text=True, timeout=CONNECT_S, check=True)
        except FileNotFoundError:
            raise DeviceError(
                f"device {self.device.name}: there is no OpenSSH client here; install openssh-client"
            ) from None
        except subprocess.SubprocessError as error:
            said = getattr(error, "stderr", "") or str(error)
            raise DeviceError(f"device {self.device.name}: ssh cannot read its configuration: {said.strip()}") from None
        return dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)


def hops(settings: Mapping[str, str]) -> list[str]:
    """The jump hosts of a host with these settings."""
    jump = settings.get("proxyjump", "none")
    return [] if jump == "none" else jump.split(",")


def destination(hop: str) -> list[str]:
    """Host and options by which the client reaches a jump host ``[user@]host[:port]``; an address may stand in []."""
    user, _, rest = hop.removeprefix("ssh://").rpartition("@")
    name, _, port = rest.rpartition(":") if re.search(r":[0-9]+$", rest) else (rest, "", "")
    return [name.strip("[]"), *(["-l", user] if user else []), *(["-p", port] if port else [])]


def runner_for(device: Device) -> Runner:
    """How to reach a device. Raises DeviceError if its jump hosts are not safe."""
    if device.host == LOCAL:
        return LocalRunner()
    runner = SshRunner(device)
    runner.check_jumps()
    return runner


def explain_ssh(device: Device, errors: str) -> str:
    """What the client's error text means and what to do about it."""
    host = device.host
    option = f"-F {device.ssh_config} " if device.ssh_config else ""
    known = (
        (
            ("IDENTIFICATION HAS CHANGED",),
            f"the host key of {host} is not the one you know: somebody may be in between, or it was installed anew. "
            f"Find out which; only then remove the old key (ssh-keygen -R) and connect once by hand",
        ),
        (
            ("Host key verification failed", "No host key is known", "host key is known for"),
            f"the host key of {host} is not known; connect once by hand (ssh {option}{host}) and check it",
        ),
        (
            ("Permission denied", "Too many authentication failures"),
            f"{host} does not accept your key: {last_line(errors)}. Without a passphrase prompt, `ssh {option}-o "
            f"BatchMode=yes {host} true` must work",
        ),
        (("Could not resolve hostname",), f"there is no host {host}; mend `host`, or add it to your ssh_config"),
        (("Connection refused",), f"{host} refuses connections; is its SSH server running, on that port?"),
        (("timed out", "No route to host", "unreachable"), f"{host} cannot be reached; is it on, and on this network?"),
    )
    for texts, meaning in known:
        if any(text in errors for text in texts):
            return meaning
    return f"the connection to {host} was lost" + (f": {last_line(errors)}" if errors else "")


def last_line(errors: str) -> str:
    """The last line of what a program said that says anything."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it said nothing"


class ConnectionLostError(DeviceError):
    """The far side is gone."""


class Channel:
    """A started far side: requests go in, bytes come out, each within a time limit."""

    def __init__(self, name: str, runner: Runner) -> None:
        self.name, self.runner = name, runner
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            runner.command(),
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            cwd=runner.folder(),
            start_new_session=True,
            env={**os.environ, "SSH_ASKPASS_REQUIRE": "never"},
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout
        os.set_blocking(self._input.fileno(), False)
        self._buffer = bytearray()
        self.send(agent_source())

    def bound_files(self) -> None:
        """No file that the far side's connection writes grows beyond 64 MiB: complaints are kept in one."""
        resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))

    def send(self, data: bytes) -> None:
        """Hand bytes over. Raises ConnectionLostError."""
        left = memoryview(data)
        try:
            while left:
                self._wait(self._input, select.POLLOUT, TAKE_S)
                left = left[os.write(self._input.fileno(), left) :]
        except OSError:
            raise self.lost() from None

    def request(self, verb: str, *words: str) -> None:
        """Send one request. A word with a line break is refused with DeviceError."""
        if bad := [word for word in words if "\n" in word or "\0" in word]:
            raise DeviceError(f"device {self.name}: {bad[0]!r} has a line break and cannot be sent; rename it")
        lines = [verb, str(len(words)), *words]
        self.send("".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape"))

    def line(self, seconds: float) -> str:
        """The next line without its end, made plain."""
        limit = time.monotonic() + seconds
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > LONGEST_LINE:
                raise DeviceError(f"device {self.name}: said a line without end: {plain(self._buffer[:80])!r}...")
            self._fill(limit)
        line = plain(self._buffer[:end])
        del self._buffer[: end + 1]
        return line

    def exactly(self, count: int, seconds: float) -> bytes:
        """The next ``count`` bytes."""
        limit = time.monotonic() + seconds
        while len(self._buffer) < count:
            self._fill(limit)
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    def end_input(self) -> None:
        """Say that nothing more comes."""
        with suppress(OSError):
            self._input.close()

    def _fill(self, limit: float) -> None:
        self._wait(self._output, select.POLLIN, limit - time.monotonic())
        data = os.read(self._output.fileno(), CHUNK)
        if not data:
            raise self.lost()
        self._buffer += data

    def _wait(self, stream: IO[bytes], event: int, seconds: float) -> None:
        poll = select.poll()
        poll.register(stream, event)
        if not poll.poll(1000 * max(0.0, seconds)):
            raise ConnectionLostError(f"device {self.name}: no answer in time; is it hung, or its network slow?")

    def lost(self) -> ConnectionLostError:
        """The error that says why the far side is gone."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(2)
        self._errors.seek(0)
        errors = plain(self._errors.read(LONGEST_LINE)).strip()
        return ConnectionLostError(f"device {self.name}: {self.runner.explain(errors)}")

    def close(self, patience_s: float = 5.0) -> None:
        """End the far side; it cleans up when its input ends. What does not end in time is killed."""
        self.end_input()
        try:
            self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(1)
            self._process.kill()
            self._process.wait()
        self._output.close()
        self._errors.close()
