"""Which cut of a convolution is fastest on a processor: what is tried, how it is compiled alone, what was found.

Each distinct convolution of a network is timed by itself, in all of its cuts: a few hundred kilobytes of code and a
minute in place of whole networks by every combination. ``devices.tune`` runs it where the network will run.
"""

from __future__ import annotations

import re
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from depthdial.config.targets import Target, Tiles
from depthdial.deploy.compile import COMMON_FLAGS, Compiler, target_flags
from depthdial.deploy.core import Processor
from depthdial.deploy.graph.convolution import Convolution, Cut
from depthdial.deploy.graph.tiling import cut, cuts
from depthdial.deploy.graph.write import alone
from depthdial.deploy.processor import processor
from depthdial.deploy.tuned import Found, Timing

CONFIGURED = "executable-configurations"
"""The phase of iree-compile at which it writes each kernel as a program of its own."""
TRIED = 6
"""Cuts that are tried for a convolution: those that the model finds fastest."""
_ALLOCATED = re.compile(r"%c(\d+) = arith\.constant \d+ : index\n *%buffer = hal\.allocator\.allocate")
_STORE = re.compile(r"^ *util\.global\.store %buffer, ", re.MULTILINE)


def candidates(shape: Convolution, core: Processor, ways: Sequence[Tiles], threads: int) -> list[Cut]:
    """Cuts worth trying, each once: the model's, what variants say, the next best by the model, other parts."""
    model, *others = cuts(shape, core, Tiles())
    tried = [model, *(cut(shape, core, one) for one in ways), *others[: TRIED - 1]]
    if threads > 1:
        tried += [model.model_copy(update={"parts": parts}) for parts in (1, threads, 2 * threads)]
    return list(dict.fromkeys(tried))


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
