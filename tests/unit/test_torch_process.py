"""How a job's process uses PyTorch."""

import platform
import subprocess
import sys

import pytest

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
