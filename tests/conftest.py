"""What a test needs beyond Python is named by its marker; without it the test is skipped with the reason.

Where CI is set nothing but ``gpu`` may be skipped: a missing requirement fails the test.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is no fault of the code: what takes too long is for the tests that time it to say.
settings.register_profile("depthdial", deadline=None)
settings.load_profile("depthdial")

# Tests compute on tiny tensors: more threads only wait for one another, most of all beside other work.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# By marker or fixture.
REQUIREMENTS = {
    "ssh": ("sshd", "ssh", "sftp"),
    "slurm": ("root", "slurmctld", "slurmd", "munged", "sbatch"),
    "slurm_with_accounting": ("slurmdbd", "mariadbd", "mariadb-install-db", "sacctmgr"),
    "chromium": ("chromium", "chromedriver"),
    "aarch64": ("qemu-aarch64-static", "/usr/aarch64-linux-gnu/lib/ld-linux-aarch64.so.1"),
}


def _missing(program: str) -> bool:
    if program == "root":
        return os.geteuid() != 0
    if program.startswith("/"):
        return not Path(program).exists()
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is None


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, or fail in CI, a test whose requirements are not met."""
    for name, programs in REQUIREMENTS.items():
        if item.get_closest_marker(name) is None and name not in getattr(item, "fixturenames", ()):
            continue
        missing = [program for program in programs if _missing(program)]
        if missing:
            reason = f"needs {', '.join(missing)}; as root, tests/system/install.sh installs programs on Debian"
            if os.environ.get("CI"):
                pytest.fail(reason)
            pytest.skip(reason)
    if item.get_closest_marker("gpu") is not None:
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a CUDA device")
