"""Which cut of a convolution is fastest on a processor: what is tried, how it is compiled alone, what was found.

Each distinct convolution of a network is timed by itself, in all of its cuts: a few hundred kilobytes of code and a
minute in place of whole networks by every combination. ``devices.tune`` runs it where the network will run.
"""

from __future__ import annotations

import os
import re
import statistics
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from depthdial.artefacts import read_record
from depthdial.config.targets import Target, Tiles
from depthdial.deploy.compile import COMMON_FLAGS, Compiler, target_flags
from depthdial.deploy.graph.convolution import Convolution, Cut
from depthdial.deploy.graph.nodes import Graph
from depthdial.deploy.graph.tiling import cut, cuts
from depthdial.deploy.graph.write import alone, convolutions
from depthdial.deploy.manifest import Tuned
from depthdial.deploy.processor import Processor, processor

CONFIGURED = "executable-configurations"
"""The phase of iree-compile at which it writes each kernel as a program of its own."""
TRIED = 6
"""Cuts that are tried for a convolution: those that the model finds fastest."""
CLEARLY = 0.98
"""Share of the time of the model's cut below which another one is taken in its place."""
_ALLOCATED = re.compile(r"%c(\d+) = arith\.constant \d+ : index\n *%buffer = hal\.allocator\.allocate")
_STORE = re.compile(r"^ *util\.global\.store %buffer, ", re.MULTILINE)


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Timing(_Record):
    """A cut and what a convolution takes with it."""

    cut: Cut
    median_us: float
    """Median over rounds of medians within a round."""
    against_model: float
    """Median over rounds of the ratio to the model's cut in the same round."""


class Found(_Record):
    """What was found of one convolution: the model's cut first."""

    timings: tuple[Timing, ...]

    @property
    def best(self) -> Timing:
        """The fastest, or the model's where none is clearly faster."""
        model, *others = self.timings
        best = min(others, key=lambda one: one.against_model, default=model)
        return best if best.against_model < CLEARLY else model


class Tuning(_Record):
    """The cuts of a target's convolutions that were measured to be fastest on a device."""

    target: str
    device: str
    threads: int
    processor: dict[str, str]
    """What the device says of its processor."""
    found: dict[str, Found]
    """By the name of the shape."""
    counts: dict[str, int]
    """How often the full network has each."""
    kept: int
    """Shapes that an earlier run on a processor of the same kind had found already."""

    @property
    def tuned(self) -> Tuned:
        """What manifests say of it."""
        cuts = {name: one.best.cut for name, one in self.found.items()}
        before = sum(count * self.found[name].timings[0].median_us for name, count in self.counts.items())
        after = sum(count * self.found[name].best.median_us for name, count in self.counts.items())
        return Tuned(device=self.device, gain=max(0.0, 1 - after / before) if before else 0.0, cuts=cuts)


def read_tuning(path: str | os.PathLike[str]) -> Tuning:
    """Read and check. Raises ArtefactError that names the file."""
    return read_record(path, Tuning, "the result of tuning")


def candidates(shape: Convolution, core: Processor, ways: Sequence[Tiles], threads: int) -> list[Cut]:
    """Cuts worth trying, each once: the model's, what variants say, the next best by the model, other parts."""
    model, *others = cuts(shape, core, Tiles())
    tried = [model, *(cut(shape, core, one) for one in ways), *others[: TRIED - 1]]
    if threads > 1:
        tried += [model.model_copy(update={"parts": parts}) for parts in (1, threads, 2 * threads)]
    return list(dict.fromkeys(tried))


def distinct(graph: Graph, target: Target) -> tuple[dict[str, Convolution], Counter[str]]:
    """The distinct convolutions of the full network by the names of their shapes, and how often there is which."""
    found = convolutions(graph, processor(target))
    return {one.name: one for one in found}, Counter(one.name for one in found)


def _touched(written: str) -> str:
    size, at = _ALLOCATED.search(written), _STORE.search(written)
    if size is None or at is None:
        return written
    loop = (
        "    %first = arith.constant 0 : index\n"
        f"    %end = arith.constant {int(size[1]) - 8} : index\n"
        "    %page = arith.constant 1024 : index\n"
        "    %one = arith.constant 1.0 : f32\n"
        "    scf.for %at = %first to %end step %page {\n"
        "      hal.buffer.store<%buffer : !hal.buffer>[%at] value(%one : f32)\n"
        "    }\n"
    )
    return written[: at.start()] + loop + written[at.start() :]


def compile_alone(shape: Convolution, own: Cut, target: Target, compiler: Compiler) -> bytes:
    """The module of a convolution by itself, which runs it as often as it is told.

    A buffer's pages are written first: pages that nobody wrote are all one page of zeros, which fits into any cache.
    """
    with tempfile.TemporaryDirectory() as folder:
        flags = [*target_flags(target, target.variant), f"--compile-to={CONFIGURED}"]
        text = alone(shape, own, processor(target))
        compiler.run(text, [*flags, f"--iree-hal-dump-executable-benchmarks-to={folder}"])
        (path,) = Path(folder).iterdir()
        return compiler.run(_touched(path.read_text()), [*COMMON_FLAGS, f"--compile-from={CONFIGURED}"])


def judged(samples: Mapping[Cut, Sequence[float]]) -> Found:
    """What rounds of medians, in microseconds and paired by round, say; the first cut is the model's."""
    model = next(iter(samples.values()))
    return Found(
        timings=tuple(
            Timing(
                cut=own,
                median_us=statistics.median(taken),
                against_model=statistics.median(one / other for one, other in zip(taken, model, strict=True)),
            )
            for own, taken in samples.items()
        )
    )
