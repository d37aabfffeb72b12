"""Devices behind real OpenSSH servers on the loopback address, each with host and user keys of its own."""

from __future__ import annotations

import contextlib
import getpass
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from depthdial.config.devices import Device, ModelledMeter

SSHD = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") or "sshd"


def free_port() -> int:
    """A port below those that the kernel gives to clients: a client that waits for one of those may meet itself."""
    while True:
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", random.SystemRandom().randint(10_000, 30_000)))
            return int(probe.getsockname()[1])


def descendants(pid: int) -> list[int]:
    """All processes below ``pid``."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found, waiting = [], [pid]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


class Proxy:
    """A TCP relay in front of a server that can be cut, by hand or after a number of bytes towards the server."""

    def __init__(self, port: int) -> None:
        self.target = port
        self.cut_after: int | None = None
        self.passed = 0
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                client.close()
                continue
            self._sockets += [client, server]
            threading.Thread(target=self._relay, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._relay, args=(server, client, False), daemon=True).start()

    def _relay(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 14):
                if counted:
                    self.passed += len(data)
                    if self.cut_after is not None and self.passed > self.cut_after:
                        self.cut()
                        return
                sink.sendall(data)
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        """Break every connection, without a farewell."""
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._sockets.clear()

    def close(self) -> None:
        self._listener.close()
        self.cut()


class SshDevice:
    """One device: a server with its own keys, a client configuration that knows it, a working folder."""

    def __init__(self, folder: Path, name: str, path: str | None = None, largest_file: int | None = None) -> None:
        self.folder, self.name, self.path, self.largest_file = folder, name, path, largest_file
        folder.mkdir(parents=True)
        self.port = free_port()
        self.work = folder / "work"
        for key in ("host_key", "user_key"):
            self.new_key(key)
        shutil.copy(folder / "user_key.pub", folder / "authorized_keys")
        self._write_server()
        self.start()
        self.proxy = Proxy(self.port)
        self.trust()
        self.write_client()

    def new_key(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(self.folder / name)]
        subprocess.run(command, check=True)

    def change_key(self) -> None:
        """Another server answers in this one's place, or so it looks to those who know the key."""
        self.kill()
        self.new_key("host_key")
        self.start()

    def _write_server(self) -> None:
        lines = [
            "ListenAddress 127.0.0.1",
            f"Port {self.port}",
            f"HostKey {self.folder}/host_key",
            f"AuthorizedKeysFile {self.folder}/authorized_keys",
            "PidFile none",
            "StrictModes no",
            "UsePAM no",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "PermitRootLogin prohibit-password",
            "PrintMotd no",
            "PrintLastLog no",
        ]
        if self.path:
            lines.append(f"SetEnv PATH={self.path}")
        (self.folder / "sshd_config").write_text("\n".join(lines) + "\n")

    def start(self) -> None:
        """Start the server and wait until it answers."""
        with contextlib.suppress(OSError):
            Path("/run/sshd").mkdir(exist_ok=True)

        def limit() -> None:
            if self.largest_file is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (self.largest_file, self.largest_file))
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

        with (self.folder / "sshd.log").open("ab") as log:
            self.server = subprocess.Popen(
                [SSHD, "-D", "-e", "-f", str(self.folder / "sshd_config")],
                stderr=log,
                start_new_session=True,
                preexec_fn=limit,
            )
        limit_s = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            if self.server.poll() is not None or time.monotonic() > limit_s:
                raise RuntimeError((self.folder / "sshd.log").read_text())
            time.sleep(0.02)

    def kill(self) -> None:
        """Kill the server and its sessions, not what they started."""
        pids = [self.server.pid, *descendants(self.server.pid)]
        for pid in pids:
            with contextlib.suppress(OSError):
                if pid == self.server.pid or b"sshd" in Path(f"/proc/{pid}/comm").read_bytes():
                    os.kill(pid, signal.SIGKILL)
        self.server.wait()

    def close(self) -> None:
        self.proxy.close()
        below = descendants(self.server.pid)
        self.kill()
        for pid in below:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)

    def trust(self) -> None:
        """Note the host key as the user does who has checked it."""
        key = (self.folder / "host_key.pub").read_text().split()
        (self.folder / "known_hosts").write_text(f"{self.name} {key[0]} {key[1]}\n")

    def write_client(self, *more: str) -> None:
        """The user's ssh_config; ``more`` lines go into the host's section."""
        lines = [
            f"Host {self.name}",
            "HostName 127.0.0.1",
            f"Port {self.proxy.port}",
            f"User {getpass.getuser()}",
            f"HostKeyAlias {self.name}",
            f"IdentityFile {self.folder}/user_key",
            "IdentitiesOnly yes",
            f"UserKnownHostsFile {self.folder}/known_hosts",
            "GlobalKnownHostsFile /dev/null",
            *more,
        ]
        (self.folder / "ssh_config").write_text("\n".join(lines) + "\n")

    def device(self, **changes: object) -> Device:
        """The device's entry in the devices file."""
        values: dict[str, object] = {
            "name": self.name,
            "host": self.name,
            "ssh_config": str(self.folder / "ssh_config"),
            "target": "host",
            "cores": (0,),
            "directory": str(self.work),
            "lock_minutes": 1,
            "meter": ModelledMeter(),
        }
        return Device.model_validate({**values, **changes})


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait until a condition holds; fail after ``seconds``."""
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.02)
