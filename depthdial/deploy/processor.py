"""What kernels of a target are cut for: registers as iree-compile knows them, caches and cores."""

from __future__ import annotations

import os
import re
import subprocess
from functools import cache
from pathlib import Path

from depthdial.config.targets import Target
from depthdial.deploy.core import Processor
from depthdial.errors import DeployError

CACHES_KB = {
    "x86-64-v4": (32, 1024),
    "cortex-a53": (32, 256),
    "cortex-a55": (32, 128),
    "cortex-a72": (32, 1024),
    "cortex-a76": (64, 512),
    "neoverse-n1": (64, 1024),
}
"""First-level data cache and second level of a core, kB: what the maker allows at least, or boards have."""
USUAL_KB = (32, 256)
USUAL_CORES = 4
_SYSFS = Path("/sys/devices/system/cpu/cpu0/cache")
_TARGET = re.compile(
    r'cpu = "(?P<cpu>[^"]*)", cpu_features = "(?P<features>[^"]*)".*?native_vector_size = (?P<bytes>\d+) : i64', re.S
)


def processor(target: Target) -> Processor:
    """The processor that a target is compiled for. Raises DeployError if iree-compile does not tell of it."""
    found = _TARGET.search(_compiler_says(target.backend, target.triple, target.cpu, target.features))
    if found is None:
        where = "this machine has; name it in place of `cpu: host`" if target.cpu == "host" else f"{target.cpu} is"
        raise DeployError(f"iree-compile does not tell what CPU {where}")
    features = {word[1:] for word in found["features"].split(",") if word.startswith("+")}
    features -= {word[1:] for word in found["features"].split(",") if word.startswith("-")}
    arm = target.architecture == "aarch64"
    l1_kb, l2_kb = _caches(target.cpu)
    here = (os.cpu_count() or 1) if target.cpu == "host" else USUAL_CORES
    return Processor(
        cpu=found["cpu"],
        registers=32 if arm or "avx512vl" in features else 16,
        floats=int(found["bytes"]) // 4,
        fused=arm or bool(features & {"fma", "fma4"}),
        by_element=arm,
        l1_kb=target.l1_kb or l1_kb,
        l2_kb=target.l2_kb or l2_kb,
        cores=target.cores or here,
    )


@cache
def _compiler_says(backend: str, triple: str, cpu: str, features: tuple[str, ...]) -> str:
    """An empty module as iree-compile writes it for a target."""
    from iree.compiler.tools.binaries import find_tool

    command = [
        find_tool("iree-compile"),
        "-",
        f"--iree-hal-target-backends={backend}",
        f"--iree-llvmcpu-target-triple={triple}",
        f"--iree-llvmcpu-target-cpu={cpu}",
        *([f"--iree-llvmcpu-target-cpu-features={','.join(features)}"] if features else []),
        "--compile-to=preprocessing",
        "-o",
        "-",
    ]
    done = subprocess.run(command, input=b"module {}", capture_output=True, check=False)
    return done.stdout.decode(errors="replace")


def _caches(cpu: str) -> tuple[int, int]:
    """Sizes of the first two levels in kB: this machine's for ``host``, as far as it tells."""
    if cpu != "host":
        return CACHES_KB.get(cpu, USUAL_KB)
    found = {}
    for folder in sorted(_SYSFS.glob("index*")):
        try:
            kind, level, size = ((folder / name).read_text().strip() for name in ("type", "level", "size"))
        except OSError:
            continue
        if kind != "Instruction" and size.endswith("K"):
            found[level] = int(size[:-1])
    return found.get("1", USUAL_KB[0]), found.get("2", USUAL_KB[1])
