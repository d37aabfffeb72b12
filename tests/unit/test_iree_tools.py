"""The tools of the runtime: the right ones, for the right architecture."""

import platform
import sys
from pathlib import Path

import pytest

from depthdial.errors import DeviceError
from depthdial.iree_tools import TOOLS, elf_machine, runtime_tools, runtime_version

HERE = platform.machine()


@pytest.mark.skipif(sys.platform != "linux", reason="devices run Linux")
def test_the_installed_tools_are_those_without_tracing(tmp_path: Path) -> None:
    tools = runtime_tools(HERE, tmp_path)
    assert set(tools) == set(TOOLS)
    for path in tools.values():
        assert path.parent.name == "_runtime_libs"
        assert elf_machine(path) == HERE
    assert list(tmp_path.iterdir()) == []


def test_an_architecture_without_a_wheel_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="there is no wheel of iree-base-runtime for riscv64; name a `runtime`"):
        runtime_tools("riscv64", tmp_path)


def test_a_wheel_that_cannot_be_fetched_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    other = "aarch64" if HERE == "x86_64" else "x86_64"
    with pytest.raises(DeviceError, match=rf"the wheel of iree-base-runtime .* for {other} could not be fetched"):
        runtime_tools(other, tmp_path)


def test_tools_of_another_architecture_in_the_cache_are_refused(tmp_path: Path) -> None:
    other = "aarch64" if HERE == "x86_64" else "x86_64"
    folder = tmp_path / f"iree-base-runtime-{runtime_version()}-{other}"
    folder.mkdir()
    for name in TOOLS:
        (folder / name).write_bytes(b"#!/bin/sh\n")
    with pytest.raises(DeviceError, match=rf"expected a program for {other}, found unknown; delete"):
        runtime_tools(other, tmp_path)
