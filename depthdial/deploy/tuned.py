"""What was found of the cuts of convolutions: the records of tuning, and what earlier runs kept. Needs no IREE."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, RootModel

from depthdial.artefacts import read_record
from depthdial.deploy.core import Processor
from depthdial.deploy.graph.convolution import Convolution, Cut
from depthdial.deploy.graph.nodes import Graph
from depthdial.deploy.graph.write import convolutions
from depthdial.deploy.manifest import CompiledFor, Tuned
from depthdial.errors import ArtefactError

CLEARLY = 0.98
"""Share of the time of the model's cut below which another one is taken in its place."""


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
        return Tuned(device=self.device, gain=saved(self.found, self.counts), cuts=cuts)


def read_tuning(path: str | os.PathLike[str]) -> Tuning:
    """Read and check. Raises ArtefactError that names the file."""
    return read_record(path, Tuning, "the result of tuning")


def distinct(graph: Graph, core: Processor) -> tuple[dict[str, Convolution], Counter[str]]:
    """The distinct convolutions of the full network by the names of their shapes, and how often there is which."""
    found = convolutions(graph, core)
    return {one.name: one for one in found}, Counter(one.name for one in found)


class _Kept(RootModel[dict[str, Found]]):
    """Earlier findings by shape."""


def kept_at(target: CompiledFor, kind: Mapping[str, str], threads: int, cache: str | os.PathLike[str]) -> Path:
    """Where findings for this kind of processor, target, number of threads and compiler are kept."""
    core = target.processor and target.processor.model_dump()
    key = [dict(kind), target.flags, core, threads, target.compiler]
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    return Path(cache) / "tuned" / f"{digest[:16]}.json"


def kept_findings(path: Path) -> dict[str, Found]:
    """Earlier findings; none where the file is not there or damaged: it is only a cache."""
    with suppress(ArtefactError):
        return dict(read_record(path, _Kept, "earlier findings of tuning").root)
    return {}


def known_gain(
    target: CompiledFor, graph: Graph, kind: Mapping[str, str], threads: int, cache: str | os.PathLike[str]
) -> float | None:
    """Share of the convolutions' time that tuning would save, if earlier runs on such a processor found it for all."""
    found = kept_findings(kept_at(target, kind, threads, cache))
    counts = distinct(graph, target.processor)[1] if target.processor else Counter[str]()
    return saved(found, counts) if counts and counts.keys() <= found.keys() else None


def saved(found: Mapping[str, Found], counts: Mapping[str, int]) -> float:
    """Share of the time of so many convolutions of each shape that the best cuts save against the model's."""
    before = sum(count * found[name].timings[0].median_us for name, count in counts.items())
    after = sum(count * found[name].best.median_us for name, count in counts.items())
    return max(0.0, 1 - after / before) if before else 0.0
