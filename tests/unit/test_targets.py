"""Targets are checked before anything is compiled."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from depthdial.config.targets import CPUS, load_targets
from depthdial.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]


def load(folder: Path, text: str) -> None:
    path = folder / "targets.yaml"
    path.write_text(f"targets: {{board: {{{text}}}}}\n")
    load_targets(path)


def test_shipped_targets() -> None:
    targets = load_targets(ROOT / "config" / "targets.yaml")
    x86 = ["host", "x86-64-v2", "x86-64-v3", "x86-64-v4"]
    assert list(targets) == [*x86, "cortex-a53", "cortex-a55", "cortex-a72", "cortex-a76", "neoverse-n1"]
    assert [name for name, target in targets.items() if target.architecture == "x86_64"] == x86
    assert list(load_targets(ROOT / "config" / "targets.yaml", ("cortex-a72",))) == ["cortex-a72"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("triple: mips-linux, cpu: generic", "unknown triple 'mips-linux'; expected one of x86_64-unknown-linux-gnu"),
        ("triple: aarch64-unknown-linux-gnu, cpu: cortexa72", r"unknown CPU 'cortexa72'.*cortex-a72"),
        ("triple: x86_64-unknown-linux-gnu, cpu: cortex-a72", "unknown CPU 'cortex-a72' of x86_64"),
        ("triple: x86_64-unknown-linux-gnu, cpu: haswell, features: [avx2]", "'avx2' is no feature"),
        (
            "triple: x86_64-unknown-linux-gnu, cpu: haswell, variants: {a: {flags: [--iree-hal-target-backends=x]}}",
            "is refused",
        ),
        ("triple: x86_64-unknown-linux-gnu, cpu: haswell, variants: {a: {flags: [-o/etc/passwd]}}", "is refused"),
        ("triple: x86_64-unknown-linux-gnu, cpu: haswell, tripel: x", "targets.board.tripel: unknown key"),
        ("cpu: haswell", "missing"),
    ],
)
def test_what_is_wrong_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, text)


def test_a_host_of_another_architecture_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(ConfigError, match="host is riscv64 here, the triple says x86_64"):
        load(tmp_path, "triple: x86_64-unknown-linux-gnu, cpu: host")


def test_an_unknown_name_and_an_unreadable_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no target pi; there are host, x86-64-v2, "):
        load_targets(ROOT / "config" / "targets.yaml", ("pi",))
    with pytest.raises(ConfigError, match="cannot be read"):
        load_targets(tmp_path / "none.yaml")


@pytest.mark.parametrize(("architecture", "cpu"), [("x86_64", "haswell"), ("aarch64", "cortex-a72")])
def test_the_compiler_knows_every_cpu(architecture: str, cpu: str) -> None:
    from iree.compiler.tools.binaries import find_tool

    command = [find_tool("iree-compile"), "-", "-o", "/dev/null", "--iree-hal-target-backends=llvm-cpu"]
    command += [f"--iree-llvmcpu-target-triple={architecture}-unknown-linux-gnu", "--iree-llvmcpu-target-cpu=none"]
    program = "util.func public @f(%x: tensor<4xf32>) -> tensor<4xf32> { util.return %x : tensor<4xf32> }"
    done = subprocess.run(command, input=program, capture_output=True, text=True, check=False)
    accepted = done.stderr.split("List of accepted CPUs: ", 1)[1].splitlines()[0].split(", ")
    assert cpu in accepted
    assert set(CPUS[architecture]) <= set(accepted)
