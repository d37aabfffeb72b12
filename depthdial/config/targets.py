"""What IREE compiles for: ``targets.yaml``, checked before anything is compiled."""

from __future__ import annotations

import difflib
import os
import platform
import re
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from depthdial.config.base import Name, Section
from depthdial.config.problems import validate
from depthdial.config.yaml_file import read_yaml
from depthdial.errors import ConfigError

TRIPLES = {"x86_64-unknown-linux-gnu": "x86_64", "aarch64-unknown-linux-gnu": "aarch64"}
"""Target triples and their architecture as ``uname -m`` names it."""

CPUS = {
    "x86_64": """
        x86-64 x86-64-v2 x86-64-v3 x86-64-v4 nocona core2 penryn bonnell atom silvermont slm goldmont
        goldmont-plus tremont nehalem corei7 westmere sandybridge corei7-avx ivybridge core-avx-i haswell
        core-avx2 broadwell skylake skylake-avx512 skx cascadelake cooperlake cannonlake icelake-client
        rocketlake icelake-server tigerlake sapphirerapids alderlake raptorlake meteorlake arrowlake
        arrowlake-s lunarlake gracemont pantherlake wildcatlake novalake sierraforest grandridge
        graniterapids graniterapids-d emeraldrapids clearwaterforest diamondrapids knl knm k8 athlon64
        athlon-fx opteron k8-sse3 athlon64-sse3 opteron-sse3 amdfam10 barcelona btver1 btver2 bdver1 bdver2
        bdver3 bdver4 znver1 znver2 znver3 znver4 znver5 znver6
    """.split(),  # noqa: SIM905
    "aarch64": """
        generic cortex-a34 cortex-a35 cortex-a53 cortex-a55 cortex-a57 cortex-a65 cortex-a65ae cortex-a72
        cortex-a73 cortex-a75 cortex-a76 cortex-a76ae cortex-a77 cortex-a78 cortex-a78ae cortex-a78c
        cortex-a320 cortex-a510 cortex-a520 cortex-a520ae cortex-a710 cortex-a715 cortex-a720 cortex-a720ae
        cortex-a725 cortex-r82 cortex-r82ae cortex-x1 cortex-x1c cortex-x2 cortex-x3 cortex-x4 cortex-x925
        a64fx ampere1 ampere1a ampere1b ampere1c apple-m1 apple-m2 apple-m3 apple-m4 apple-m5 carmel
        cobalt-100 exynos-m3 exynos-m4 exynos-m5 falkor gb10 grace kryo neoverse-512tvb neoverse-e1
        neoverse-n1 neoverse-n2 neoverse-n3 neoverse-v1 neoverse-v2 neoverse-v3 neoverse-v3ae oryon-1 saphira
        thunderx thunderx2t99 thunderx3t110 thunderxt81 thunderxt83 thunderxt88 tsv110
    """.split(),  # noqa: SIM905
}
"""CPUs that iree-compile 3.13.0 accepts; it only warns of one that it does not know and goes on without it."""

OWN_FLAGS = ("--iree-hal-", "--iree-llvmcpu-target-", "--iree-input-", "--iree-parameter-", "--output", "-o")
"""Beginnings of flags that say what the other keys of a target say, or what depthdial itself decides."""


class Tiles(Section):
    """How the loops of kernels are cut; what is null follows from the processor and the shapes."""

    accumulators: int | None = Field(default=None, ge=1, le=32)
    """Vector registers that hold sums in the innermost loop; the others hold weights and pixels."""
    channel_vectors: int | None = Field(default=None, ge=1, le=8)
    """Vector registers side by side over the output channels; a pixel that is read is used for all of them."""
    workers: int | None = Field(default=None, ge=1, le=64)
    """Parts into which a kernel is cut, at most: one for each core that shares an inference."""


class Variant(Section):
    """One way of compiling for a target."""

    tiles: Tiles = Tiles()
    """How loops are cut; what is not given follows from the processor and the shapes."""
    flags: tuple[str, ...] = ()
    """More flags of iree-compile."""

    @model_validator(mode="after")
    def _tuning_only(self) -> Variant:
        for flag in self.flags:
            if not flag.startswith("--iree-") or flag.startswith(OWN_FLAGS):
                raise ValueError(f"flags: {flag!r} is refused; give a tuning flag of iree-compile (--iree-...)")
        return self


class Target(Section):
    """A processor that IREE compiles for."""

    description: str = ""
    """What the target is, for readers."""
    backend: Literal["llvm-cpu"] = "llvm-cpu"
    """IREE's compiler backend."""
    triple: str
    """LLVM target triple."""
    cpu: str
    """CPU as LLVM names it; ``host`` is the machine that compiles."""
    features: tuple[str, ...] = ()
    """CPU features beyond those of the CPU (``+crc``) or less (``-sve``)."""
    variants: dict[Name, Variant] = Field(default={"tiled": Variant(tiles=Tiles())}, min_length=1)
    """Ways of compiling, of which the first is used. `deploy.tune: device` tries how the others cut loops, too."""
    l1_kb: int | None = Field(default=None, ge=1, le=4096)
    """First-level data cache of a core; null takes what is known of the CPU, or for ``host`` what this machine has."""
    l2_kb: int | None = Field(default=None, ge=1, le=65536)
    """Second-level cache of a core; null as above."""
    cores: int | None = Field(default=None, ge=1, le=64)
    """Cores that may share an inference; null takes 4, or for ``host`` those that this machine has."""
    emulator: tuple[str, ...] = ()
    """Command by which this machine runs programs of the target, where it is of another architecture."""

    @property
    def architecture(self) -> str:
        """The architecture as ``uname -m`` names it."""
        return TRIPLES[self.triple]

    @property
    def variant(self) -> str:
        """The name of the first variant."""
        return next(iter(self.variants))

    @model_validator(mode="after")
    def _known(self) -> Target:
        problems = []
        if self.triple not in TRIPLES:
            problems.append(f"triple: unknown triple {self.triple!r}; expected one of {', '.join(TRIPLES)}")
        else:
            problems += _cpu_problems(self.cpu, self.architecture)
        for feature in self.features:
            if not re.fullmatch(r"[+-][a-z0-9][a-z0-9.-]*", feature):
                problems.append(f"features: {feature!r} is no feature; write +name or -name")
        if problems:
            raise ValueError("; ".join(problems))
        return self


def _cpu_problems(cpu: str, architecture: str) -> list[str]:
    if cpu == "host":
        here = platform.machine()
        return [] if here == architecture else [f"cpu: host is {here} here, the triple says {architecture}"]
    if cpu in CPUS[architecture]:
        return []
    close = difflib.get_close_matches(cpu, CPUS[architecture], n=3) or CPUS[architecture][:3]
    return [f"cpu: unknown CPU {cpu!r} of {architecture}; did you mean {', '.join(close)}?"]


class Targets(Section):
    """``targets.yaml``."""

    targets: dict[Name, Target] = Field(min_length=1)
    """The targets by name."""


def load_targets(path: str | os.PathLike[str], names: tuple[str, ...] | None = None) -> dict[str, Target]:
    """The targets that a file describes, those of ``names`` if given. Raises ConfigError with every problem."""
    targets = validate(Targets, read_yaml(Path(path)), str(path)).targets
    if missing := [name for name in names or () if name not in targets]:
        known = ", ".join(targets)
        raise ConfigError(f"{path}: there is no target {', '.join(missing)}; there are {known}")
    return {name: targets[name] for name in names or targets}
