"""Tuning on a device: the convolutions of a network in all their cuts, over the connection and under the lock of
benchmarks, in rounds, each between two timings of the model's cut."""

from __future__ import annotations

import logging
import os
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from depthdial.config.benchmark import Benchmark
from depthdial.config.devices import Device
from depthdial.config.targets import Target
from depthdial.deploy.calls import BENCHMARK, parse_report, timing_arguments
from depthdial.deploy.compile import Compiler, compiled_for
from depthdial.deploy.graph.convolution import Convolution, Cut
from depthdial.deploy.graph.nodes import Graph
from depthdial.deploy.manifest import device_arguments
from depthdial.deploy.processor import processor
from depthdial.deploy.tune import candidates, compile_alone, judged
from depthdial.deploy.tuned import Found, Tuning, distinct, kept_at, kept_findings
from depthdial.devices.provision import KEPT, check_machine, provide, provide_runtime, remove
from depthdial.devices.sensors import processor as device_processor
from depthdial.devices.session import Session
from depthdial.errors import DeviceError
from depthdial.files import write_json
from depthdial.runs.progress import report_step

logger = logging.getLogger(__name__)
REPETITIONS = 20
AT_ONCE = 20
"""Times that a convolution runs in a repetition, whose mean is one sample."""
StrPath = str | os.PathLike[str]


def tune_on_device(
    device: Device,
    graph: Graph,
    target: Target,
    settings: Benchmark,
    *,
    name: str,
    cache: StrPath,
    output: StrPath,
    log_path: StrPath,
) -> Tuning:
    """Find the fastest cut of each convolution of a network on the device that will run it, and write it.

    ``name`` is the target's. What was found for a processor of the same
    kind, by the same compiler, is taken from ``cache``, and what is found is added to it. A device that is too noisy
    to tell keeps the model's cuts. Raises DeviceError or DeployError.
    """
    compiler = Compiler(f"tuning on device {device.name}, target {name}", Path(log_path))
    shapes, counts = distinct(graph, processor(target))
    with Session(device) as session:
        kind = device_processor(session)
        known = kept_at(compiled_for(name, target), kind, device.threads, cache)
        before = kept_findings(known)
        missing = {name: shape for name, shape in shapes.items() if name not in before}
        if missing:
            session.lock(f"tuning of target {name}")
            machine = check_machine(session, target.triple)
            tools = provide_runtime(session, machine, Path(cache))
            found = _Trial(session, tools, target, settings, compiler).run(missing)
            remove(session, keep=KEPT)
            if found:
                write_json(known, {shape: one.model_dump(mode="json") for shape, one in (before | found).items()})
            before |= found
    tuning = Tuning(
        target=name,
        device=device.name,
        threads=device.threads,
        processor=kind,
        found={shape: before[shape] for shape in shapes if shape in before},
        counts={shape: count for shape, count in counts.items() if shape in before},
        kept=len(shapes) - len(missing),
    )
    write_json(output, tuning.model_dump(mode="json"))
    logger.info("device %s: %.1f %% less time in convolutions than by the model", device.name, 100 * tuning.tuned.gain)
    return tuning


class _Trial:
    """One run of tuning on a held device."""

    def __init__(self, session: Session, tools: str, target: Target, settings: Benchmark, compiler: Compiler) -> None:
        self.session, self.tools, self.target = session, tools, target
        self.settings, self.compiler = settings, compiler

    def run(self, shapes: Mapping[str, Convolution]) -> dict[str, Found]:
        """What rounds that hold up say of each convolution; nothing if too few of them do."""
        with tempfile.TemporaryDirectory() as folder:
            cuts, files = self._compile(shapes, Path(folder))
            place = provide(self.session, "tuning", files)
            rounds: list[dict[str, dict[Cut, float]]] = []
            for number in range(self.settings.rounds + self.settings.extra_rounds):
                taken = self._round(cuts, place, len(rounds))
                if taken is not None:
                    rounds.append(taken)
                logger.info("device %s: tuning, round %d", self.session.device.name, number)
                if len(rounds) == self.settings.rounds:
                    break
        if len(rounds) < self.settings.rounds:
            logger.warning("device %s is too noisy to tune; the model's cuts stay", self.session.device.name)
            return {}
        return {
            shape: judged({own: [one[shape][own] for one in rounds] for own in tried}) for shape, tried in cuts.items()
        }

    def _compile(self, shapes: Mapping[str, Convolution], folder: Path) -> tuple[dict[str, list[Cut]], dict[str, Path]]:
        """What is tried of each convolution, and a module for each."""
        core, files = processor(self.target), {}
        ways = [way.tiles for way in self.target.variants.values() if not way.flags]
        cuts: dict[str, list[Cut]] = {}
        for name, shape in shapes.items():
            cuts[name] = candidates(shape, core, ways, self.session.device.threads)
            for number, own in enumerate(cuts[name]):
                path = folder / f"{name}-{number}.vmfb"
                path.write_bytes(compile_alone(shape, own, self.target, self.compiler))
                files[path.name] = path
            report_step("convolution to compile", len(cuts), len(shapes))
        return cuts, files

    def _round(
        self, cuts: Mapping[str, Sequence[Cut]], place: str, earlier: int = 0
    ) -> dict[str, dict[Cut, float]] | None:
        """Medians in microseconds; None if the model's cut of any convolution drifted while the others were timed.

        ``earlier`` rounds have held up.
        """
        found: dict[str, dict[Cut, float]] = {}
        for shape, tried in cuts.items():
            taken = {own: self._median(f"{shape}-{index}.vmfb", place) for index, own in enumerate(tried)}
            again, model = self._median(f"{shape}-0.vmfb", place), taken[tried[0]]
            if abs(again / model - 1) > self.settings.drift_limit:
                logger.info("device %s: %s took %.4g, then %.4g us", self.session.device.name, shape, model, again)
                return None
            found[shape] = taken | {tried[0]: (model + again) / 2}
            report_step("convolution to time", earlier * len(cuts) + len(found), self.settings.rounds * len(cuts))
        return found

    def _median(self, module: str, place: str) -> float:
        device = self.session.device
        command = [*device.launch, f"{self.tools}/{BENCHMARK}", *device_arguments(device.threads, device.pinned)]
        command += [f"--module={module}", f"--batch_size={AT_ONCE}"]
        command += timing_arguments(REPETITIONS)
        done = self.session.run(command, folder=place, limit_s=300)
        try:
            return 1000 * statistics.median(one.real_time for one in parse_report(done.output).benchmarks)
        except (ValueError, DeviceError) as error:
            raise DeviceError(
                f"device {device.name}: {module} could not be timed (status {done.status}, {error}): "
                f"{done.errors.strip()[-400:] or 'it said nothing'}"
            ) from None
