"""IREE's benchmark and run tools for the architecture of a device, from the wheel of the runtime."""

from __future__ import annotations

import fcntl
import os
import platform
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, files, version
from pathlib import Path

from depthdial.deploy.calls import BENCHMARK, RUN
from depthdial.errors import DeviceError
from depthdial.files import atomic_folder

PACKAGE = "iree-base-runtime"
TOOLS = (BENCHMARK, RUN)
WHEEL_FILES = tuple(f"iree/_runtime_libs/{name}" for name in TOOLS)
"""Where the tools lie in the wheel. It has others of the same name that were built for tracing, slower and larger."""
LOCK = Path(__file__).resolve().parents[2] / "requirements.lock"
MACHINES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}
"""What `uname -m` may say, and how wheels call it."""
ELF_MACHINES = {0x3E: "x86_64", 0xB7: "aarch64"}


def runtime_version() -> str:
    """The version of the installed runtime, which is the compiler's. Raises DeviceError if it is not installed."""
    try:
        return version(PACKAGE)
    except PackageNotFoundError:
        raise DeviceError(f"{PACKAGE} is not installed here; install requirements.lock") from None


def installed_tools() -> dict[str, Path]:
    """The tools of the installed runtime by name, which run on this machine. Raises DeviceError if it has none."""
    runtime_version()
    inside = [path for path in files(PACKAGE) or () if path.as_posix() in WHEEL_FILES]
    found = {path.name: Path(str(path.locate())) for path in inside}
    if set(found) != set(TOOLS):
        raise DeviceError(f"{PACKAGE} as it is installed here lacks {' or '.join(TOOLS)}; install {LOCK.name}")
    return found


def runtime_tools(machine: str, cache: Path) -> dict[str, Path]:
    """The tools for ``x86_64`` or ``aarch64`` by name: the installed ones, or from a wheel fetched once into ``cache``.

    Raises DeviceError if the wheel cannot be had.
    """
    wanted = runtime_version()
    if machine not in ELF_MACHINES.values():
        raise DeviceError(f"there is no wheel of {PACKAGE} for {machine}; name a `runtime` that the device already has")
    if sys.platform == "linux" and MACHINES.get(platform.machine()) == machine:
        return installed_tools()
    folder = cache / f"{PACKAGE}-{wanted}-{machine}"
    with _alone(cache):
        if not all((folder / name).is_file() for name in TOOLS):
            _fetch(wanted, machine, folder)
    tools = {name: folder / name for name in TOOLS}
    for path in tools.values():
        if (found_machine := elf_machine(path)) != machine:
            raise DeviceError(f"{path}: expected a program for {machine}, found {found_machine}; delete {folder}")
    return tools


def elf_machine(path: Path) -> str:
    """The architecture that an ELF program is for, as `uname -m` would say it; ``unknown`` for anything else."""
    with path.open("rb") as stream:
        header = stream.read(20)
    if header[:4] != b"\x7fELF" or len(header) < 20:
        return "unknown"
    return ELF_MACHINES.get(int.from_bytes(header[18:20], "little"), "unknown")


@contextmanager
def _alone(cache: Path) -> Iterator[None]:
    cache.mkdir(parents=True, exist_ok=True)
    handle = os.open(cache / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def locked(wanted: str) -> str:
    """The lines of requirements.lock for the runtime, with its hashes. Raises DeviceError if it has another version."""
    lines = re.search(rf"^{PACKAGE}=={re.escape(wanted)} (\\\n +--hash=\S+ ?)+", LOCK.read_text(), re.MULTILINE)
    if lines is None:
        raise DeviceError(f"{PACKAGE} {wanted} is installed here, {LOCK.name} has another; install {LOCK.name}")
    return lines.group()


def _fetch(wanted: str, machine: str, folder: Path) -> None:
    """Download the wheel by pip, which checks it against the hashes of requirements.lock, and keep its tools."""
    with tempfile.TemporaryDirectory() as downloads:
        requirement = Path(downloads) / "requirements.txt"
        requirement.write_text(locked(wanted))
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--only-binary=:all:", "--implementation=cp", "--python-version=3.11"]
        command += [f"--platform=manylinux_2_{minor}_{machine}" for minor in (28, 27, 17)]
        command += ["--dest", downloads, "--require-hashes", "--requirement", str(requirement)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = list(Path(downloads).glob("*.whl"))
        if done.returncode or len(wheels) != 1:
            raise DeviceError(
                f"the wheel of {PACKAGE} {wanted} for {machine} could not be fetched: {done.stderr.strip()[-500:]}\n"
                f"Mend pip's access to the package index, or name a `runtime` that the device already has"
            )
        with atomic_folder(folder) as temporary, zipfile.ZipFile(wheels[0]) as wheel:
            for entry in wheel.infolist():
                if entry.filename in WHEEL_FILES:
                    name = entry.filename.rpartition("/")[2]
                    (temporary / name).write_bytes(wheel.read(entry))
                    (temporary / name).chmod(0o755)
