"""What kernels are cut for: what iree-compile knows of processors, and what a target says itself."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from depthdial.config.targets import CPUS, Target
from depthdial.deploy.core import Processor
from depthdial.deploy.processor import processor


def core(cpu: str) -> Processor:
    architecture = "x86_64" if cpu in CPUS["x86_64"] else "aarch64"
    return processor(Target(triple=f"{architecture}-unknown-linux-gnu", cpu=cpu))


def test_what_the_compiler_knows_of_processors() -> None:
    found = {cpu: core(cpu) for cpu in ("x86-64-v2", "x86-64-v3", "x86-64-v4", "cortex-a72", "sandybridge")}
    assert {cpu: (one.registers, one.floats, one.fused) for cpu, one in found.items()} == {
        "x86-64-v2": (16, 4, False),
        "x86-64-v3": (16, 8, True),
        "x86-64-v4": (32, 16, True),
        "cortex-a72": (32, 4, True),
        "sandybridge": (16, 8, False),
    }
    assert (found["cortex-a72"].l1_kb, found["cortex-a72"].l2_kb, found["cortex-a72"].cores) == (32, 1024, 4)


def test_what_a_target_says_of_its_caches_holds() -> None:
    target = Target(triple="aarch64-unknown-linux-gnu", cpu="cortex-a53", l1_kb=16, l2_kb=512, cores=2)
    found = processor(target)
    assert (found.l1_kb, found.l2_kb, found.cores) == (16, 512, 2)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the target is of x86-64")
def test_the_host_is_read_from_this_machine() -> None:
    found = processor(Target(triple="x86_64-unknown-linux-gnu", cpu="host"))
    said = Path("/proc/cpuinfo").read_text()
    assert found.floats == (16 if "avx512f" in said else 8 if "avx2" in said else 4)
    assert found.cores == os.cpu_count()
