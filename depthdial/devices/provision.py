"""Put what a device needs into folders named by their content, check it there, use it again, remove it."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from depthdial.deploy.manifest import NAME, Manifest, read_manifest
from depthdial.deploy.tools import MACHINES, TOOLS, runtime_tools, runtime_version
from depthdial.devices.connection import last_line
from depthdial.devices.session import Session
from depthdial.errors import DeviceError
from depthdial.files import sha256_file

logger = logging.getLogger(__name__)
FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*(/[A-Za-z0-9_][A-Za-z0-9_.+-]*)*")
STORED = re.compile(r"(runtime|bundle)-[A-Za-z0-9_.+-]+-[0-9a-f]{16}")
CANNOT_EXECUTE = 126
"""The exit status by which a shell says so."""
KEPT = 8
"""Folders that stay on a device after a benchmark, the newest ones."""


@dataclass(frozen=True)
class VerifiedBundle:
    """A bundle here and what its manifest says."""

    folder: Path
    manifest: Manifest

    @classmethod
    def read(cls, folder: str | os.PathLike[str]) -> VerifiedBundle:
        """Read and verify a bundle. Raises ArtefactError."""
        return cls(Path(folder), read_manifest(folder))

    @property
    def files(self) -> dict[str, Path]:
        """What a device needs, by name."""
        return {name: self.folder / name for name in (NAME, *self.manifest.files)}


def check_machine(session: Session, triple: str) -> str:
    """The device's architecture. Raises DeviceError if it is not that of the target's triple."""
    said = session.text("uname", "-m") or "nothing"
    machine = MACHINES.get(said.lower(), said)
    wanted = MACHINES.get(triple.partition("-")[0].lower(), triple.partition("-")[0])
    if machine != wanted:
        raise DeviceError(
            f"device {session.device.name}: its architecture is {said}, but target {session.device.target} is compiled "
            f"for {triple}; give the device a target for {machine}"
        )
    return machine


def provide_runtime(session: Session, machine: str, cache: Path) -> str:
    """The folder on the device that holds the tools. Raises DeviceError if they do not run there."""
    if session.device.runtime != "wheel":
        folder = session.device.runtime
    else:
        tools = runtime_tools(machine, cache)
        folder = provide(session, f"runtime-{runtime_version()}", tools)
    try_tools(session, folder)
    return folder


def try_tools(session: Session, folder: str) -> None:
    """Run the tools in a folder on the device. Raises DeviceError if they do not run."""
    for name in TOOLS:
        done = session.run([*session.device.launcher, f"{folder}/{name}", "--list_drivers"])
        if done.status == CANNOT_EXECUTE and "ermission denied" in done.errors:
            raise DeviceError(
                f"device {session.device.name}: {folder}/{name} may not be executed there; is its file system mounted "
                f"noexec? Change `directory` to one that allows programs"
            )
        if done.status != 0 or "local-sync" not in done.output:
            raise DeviceError(
                f"device {session.device.name}: {folder}/{name} does not run there (status {done.status}: "
                f"{last_line(done.errors or done.output)}); does its C library suit the wheel (glibc 2.27 or later)? "
                f"If not, build IREE {runtime_version()} there and name it as `runtime`"
            )


def provide_bundle(session: Session, bundle: VerifiedBundle) -> str:
    """The folder on the device that holds the bundle."""
    manifest = bundle.manifest
    return provide(session, f"bundle-{manifest.dataset}-{manifest.network}-seed{manifest.seed}", bundle.files)


def provide(session: Session, kind: str, files: Mapping[str, Path]) -> str:
    """The absolute path of a folder on the device that holds exactly ``files``; sent only if it is not there already.

    The folder's name ends in the hash of its content. What is there is checked against the hashes each time; what does
    not match is replaced. Raises DeviceError.
    """
    hashes = {name: sha256_file(path) for name, path in sorted(files.items())}
    if bad := [name for name in (kind, *hashes) if not FILE_NAME.fullmatch(name)]:
        raise DeviceError(f"device {session.device.name}: {bad[0]!r} is no safe name for a file there; rename it")
    content = hashlib.sha256("".join(f"{digest}  {name}\n" for name, digest in hashes.items()).encode()).hexdigest()
    name = f"{kind}-{content[:16]}"
    folder = f"{session.root}/{name}"
    if differing(session, folder, hashes):
        _send(session, name, files, hashes)
    session.run(["touch", "--", folder])
    return folder


def differing(session: Session, folder: str, hashes: Mapping[str, str]) -> list[str]:
    """The names of files that are missing in a folder on the device or have another SHA-256."""
    done = session.run(["sha256sum", "--", *hashes], folder=folder, limit_s=300)
    found = {}
    for line in done.output.splitlines():
        digest, _, name = line.partition("  ")
        found[name] = digest
    return [name for name, digest in hashes.items() if found.get(name) != digest]


def _send(session: Session, name: str, files: Mapping[str, Path], hashes: Mapping[str, str]) -> None:
    incoming = f"{session.root}/incoming.{name}"
    size = sum(path.stat().st_size for path in files.values())
    logger.info("device %s: sending %s (%.1f MB)", session.device.name, name, size / 1e6)
    _must(session, "rm", "-rf", "--", incoming, f"{session.root}/{name}")
    parents = sorted({str(PurePosixPath(incoming, file).parent) for file in files})
    _must(session, "mkdir", "-p", "--", *parents)
    session.send_files(files, incoming)
    if wrong := differing(session, incoming, hashes):
        raise DeviceError(
            f"device {session.device.name}: {', '.join(wrong[:3])} arrived damaged; {session.disk_report()}"
        )
    _must(session, "mv", "--", incoming, f"{session.root}/{name}")


def _must(session: Session, *program: str) -> None:
    done = session.run(program)
    if done.status:
        raise DeviceError(
            f"device {session.device.name}: {program[0]} failed there: {last_line(done.errors)}; "
            f"{session.disk_report()}"
        )


def stored(session: Session) -> list[str]:
    """Names of the folders that depthdial keeps on the device, newest first."""
    listed = session.text("ls", "-t", "--", ".") or ""
    return [name for name in listed.splitlines() if STORED.fullmatch(name)]


def remove(session: Session, keep: int = 0) -> list[str]:
    """Remove what depthdial keeps on the device but for the ``keep`` newest folders; their names."""
    names = stored(session)[keep:]
    if names:
        _must(session, "rm", "-rf", "--", *(f"{session.root}/{name}" for name in names))
    return names
