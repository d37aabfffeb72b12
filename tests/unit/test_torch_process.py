"""How a job's process uses PyTorch."""

import platform
import subprocess
import sys

import pytest
import torch

from depthdial.runs.torch_process import warn_of_emulation

COUNT = """
import resource, torch
from depthdial.runs.torch_process import set_up_torch
set_up_torch(1)
for count in range(40):
    if count == 20:  # until then chunks are found that fit
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(16 << 20)
print(torch.get_num_threads(), resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the allocator of another C library is left as it is")
def test_memory_of_a_large_tensor_serves_the_next() -> None:
    done = subprocess.run([sys.executable, "-c", COUNT], capture_output=True, text=True, check=True)
    threads, faults = map(int, done.stdout.split())
    assert threads == 1
    assert faults < 5 * (64 << 20) // 4096  # twenty of 64 MB, mapped anew, would take twenty times that in pages


@pytest.mark.parametrize(
    ("machine", "capability", "precision", "device", "warned"),
    [
        ("x86_64", "AVX2", "bfloat16", "cpu", True),
        ("AMD64", "DEFAULT", "bfloat16", "cpu", True),
        ("x86_64", "AVX512", "bfloat16", "cpu", False),
        ("aarch64", "DEFAULT", "bfloat16", "cpu", False),
        ("x86_64", "AVX2", "float32", "cpu", False),
        ("x86_64", "AVX2", "bfloat16", "cuda", False),
    ],
)
def test_emulated_arithmetic_is_warned_of(
    machine: str,
    capability: str,
    precision: str,
    device: str,
    warned: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    warn_of_emulation(precision, device)
    assert ("set precision: float32" in caplog.text) is warned
