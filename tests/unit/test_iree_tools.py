"""The tools of the runtime: the right ones, for the right architecture."""

import platform
import sys
from pathlib import Path

import pytest

from depthdial.deploy.tools import TOOLS, elf_machine, installed_tools, locked, runtime_tools, runtime_version
from depthdial.errors import DeviceError

HERE = platform.machine()


@pytest.mark.skipif(sys.platform != "linux", reason="devices run Linux")
def test_the_installed_tools_are_those_without_tracing(tmp_path: Path) -> None:
    tools = runtime_tools(HERE, tmp_path)
    assert set(tools) == set(TOOLS)
    for path in tools.values():
        assert path.parent.name == "_runtime_libs"
        assert elf_machine(path) == HERE
    assert list(tmp_path.iterdir()) == []


def test_a_runtime_without_its_tools_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("depthdial.deploy.tools.WHEEL_FILES", ("iree/nowhere",))
    with pytest.raises(DeviceError, match="lacks iree-benchmark-module or iree-run-module; install"):
        installed_tools()


def test_a_runtime_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("depthdial.deploy.tools.PACKAGE", "iree-of-nowhere")
    with pytest.raises(DeviceError, match=r"iree-of-nowhere is not installed here; install requirements\.lock"):
        runtime_version()


def test_an_architecture_without_a_wheel_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="there is no wheel of iree-base-runtime for riscv64; name a `runtime`"):
        runtime_tools("riscv64", tmp_path)


def test_a_wheel_that_cannot_be_fetched_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    other = "aarch64" if HERE == "x86_64" else "x86_64"
    with pytest.raises(DeviceError, match=rf"the wheel of iree-base-runtime .* for {other} could not be fetched"):
        runtime_tools(other, tmp_path)


def test_the_wheel_must_have_a_hash_of_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = locked(runtime_version()).splitlines()
    assert lines[0] == f"iree-base-runtime=={runtime_version()} \\"
    assert len(lines) > 8
    assert all(line.startswith("    --hash=sha256:") for line in lines[1:])
    with pytest.raises(DeviceError, match=r"iree-base-runtime 3\.0 is installed here, requirements\.lock has another"):
        locked("3.0")
    other = "aarch64" if HERE == "x86_64" else "x86_64"
    (tmp_path / f"iree_base_runtime-{runtime_version()}-cp311-cp311-manylinux_2_28_{other}.whl").write_bytes(b"forged")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(DeviceError, match=r"could not be fetched: (?s:.*)Got +[0-9a-f]{64}"):
        runtime_tools(other, tmp_path / "cache")


def test_tools_of_another_architecture_in_the_cache_are_refused(tmp_path: Path) -> None:
    other = "aarch64" if HERE == "x86_64" else "x86_64"
    folder = tmp_path / f"iree-base-runtime-{runtime_version()}-{other}"
    folder.mkdir()
    for name in TOOLS:
        (folder / name).write_bytes(b"#!/bin/sh\n")
    with pytest.raises(DeviceError, match=rf"expected a program for {other}, found unknown; delete"):
        runtime_tools(other, tmp_path)
