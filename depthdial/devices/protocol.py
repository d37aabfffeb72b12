"""The measurement protocol: interleaved randomised rounds between windows of a reference.

Each window is one run of iree-benchmark-module that repeats a single inference, so the latency of every inference is
kept. Rounds during which the device changed are measured again; which ones, is decided from all of them together.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from depthdial.config.benchmark import Benchmark
from depthdial.config.devices import ModelledMeter
from depthdial.deploy.manifest import NAME, BundledConfiguration, device_arguments, gate_arguments, module_arguments
from depthdial.devices.meters import Meter, judge, open_meter, settle_idle
from depthdial.devices.provision import Bundle
from depthdial.devices.records import Window
from depthdial.devices.sensors import Sensors, environment, find_sensors, fingerprint
from depthdial.devices.session import Finished, Session
from depthdial.errors import DeviceError, MeasurementError
from depthdial.files import sha256_file
from depthdial.iree_tools import BENCHMARK, RUN

logger = logging.getLogger(__name__)
CALIBRATION_S = 0.05
CALIBRATION_TICK_MS = 10
MARGIN = 1.2
"""How many more inferences a window gets than it seems to need."""
ATTEMPTS = 4
TICK_MS = 100
"""How often sensors are read while a window runs without a meter that must be read."""


@dataclass(frozen=True)
class Job:
    """One configuration in its bundle, here and in a folder on the device."""

    bundle: Bundle
    folder: str
    configuration: BundledConfiguration

    @property
    def label(self) -> str:
        """Network and configuration."""
        return f"{self.bundle.manifest.network} {self.configuration.name}"


@dataclass(frozen=True)
class Verdict:
    """What the rounds amount to: reasons against each round (none: it holds), and whether enough of them hold."""

    reasons: dict[int, tuple[str, ...]]
    enough: bool

    @property
    def text(self) -> str:
        """The rejected rounds in words."""
        return "; ".join(f"round {number}: {', '.join(why)}" for number, why in self.reasons.items() if why)


class Bench:
    """A held device with everything in place: programs, bundles, sensors and meter."""

    def __init__(
        self, session: Session, tools: str, jobs: Sequence[Job], settings: Benchmark, meter: Meter, sensors: Sensors
    ) -> None:
        self.session, self.tools, self.jobs, self.settings = session, tools, tuple(jobs), settings
        self.meter, self.sensors = meter, sensors
        self.fingerprint = fingerprint(session, tools)
        self.inferences: dict[str, int] = {}
        self.resident_bytes: dict[str, int | None] = {}

    def program(self, tool: str) -> list[str]:
        """A tool of IREE on the measured cores."""
        device = self.session.device
        cores = ",".join(map(str, device.cores[: device.threads]))
        pinned = ["taskset", "-c", cores, *device.launcher, f"{self.tools}/{tool}"]
        return [*pinned, *device_arguments(device.threads)]

    def gate(self) -> None:
        """Run every configuration on the fixed inputs. Raises DeviceError if one differs from PyTorch."""
        for job in self.jobs:
            manifest = job.bundle.manifest
            for index in range(len(manifest.gate.inputs)):
                command = [*self.program(RUN), *gate_arguments(manifest, job.configuration.name, index)]
                done = self.session.run(command, folder=job.folder, limit_s=300)
                if done.status:
                    said = (done.errors or done.output).strip()[-600:]
                    raise DeviceError(
                        f"device {self.session.device.name}: {job.label} does not compute there what PyTorch computes "
                        f"on fixed input {index} (status {done.status}); it is not measured. Check the target's CPU "
                        f"and features.\n{said}"
                    )

    def calibrate(self) -> None:
        """Choose the number of inferences in a window of each configuration; see how much memory it needs.

        Memory is taken here because the benchmark tool's own grows with the number of repetitions that it reports.
        """
        for job in self.jobs:
            extra = [f"--benchmark_min_time={CALIBRATION_S}s"]
            done, report = self._benchmark(job, extra, limit_s=120, tick_ms=CALIBRATION_TICK_MS)
            self.resident_bytes[job.label] = done.peak_bytes
            latency_ms = _repetitions(report)[0]["real_time"]
            count = math.ceil(MARGIN * self.settings.window_ms / latency_ms)
            self.inferences[job.label] = max(count, self.settings.least_inferences)

    def idle(self) -> float | None:
        """Power of the idle device in watts, if there is a meter that tells it."""
        meter = self.session.device.meter
        if isinstance(meter, ModelledMeter) or not meter.idle_s:
            return None
        done = self._run(["sleep", f"{meter.idle_s:g}"], folder=".", limit_s=meter.idle_s + 30)
        mean_w = self.meter.power(done, self._meter_values(done)).part(done.began_s, done.ended_s).mean_w
        logger.info(
            "device %s: idle power %s W", self.session.device.name, "unknown" if mean_w is None else f"{mean_w:.3g}"
        )
        return mean_w

    def round(self, number: int, order: Sequence[Job]) -> list[Window]:
        """One round: the reference, every other configuration in the given order, the reference again."""
        reference = self.jobs[0]
        sequence = [(reference, True), *((job, False) for job in order), (reference, True)]
        return [self.window(job, number, position, ref) for position, (job, ref) in enumerate(sequence)]

    def window(self, job: Job, number: int, position: int, reference: bool) -> Window:
        """Measure one configuration once."""
        started = datetime.now(UTC).isoformat(timespec="milliseconds")
        done, report, extra = self._long_enough(job)
        repetitions = _repetitions(report)
        latencies = [round(repetition["real_time"], 6) for repetition in repetitions]
        timed_s = sum(latencies) / 1000
        energy = judge(
            self.session.device,
            self.meter.source,
            self.meter.power(done, self._meter_values(done)),
            done,
            latencies,
            timed_s,
            self.settings.energy_samples,
        )
        manifest, configuration = job.bundle.manifest, job.configuration
        return Window(
            device=self.session.device.name,
            dataset=manifest.dataset,
            network=manifest.network,
            seed=manifest.seed,
            configuration=configuration.name,
            mask=configuration.mask,
            role="reference" if reference else "measured",
            round=number,
            position=position,
            started=started,
            began_s=done.began_s,
            ended_s=done.ended_s,
            latencies_ms=tuple(latencies),
            mean_cpu_ms=float(np.mean([repetition["cpu_time"] for repetition in repetitions])),
            resident_bytes=self.resident_bytes[job.label],
            energy=energy,
            environment=environment(self.sensors, done, timed_s, report["context"].get("load_avg")),
            valid=True,
            command=(*self.program(BENCHMARK), *module_arguments(manifest, configuration.name), *extra),
            bundle_sha256=sha256_file(job.bundle.folder / NAME),
            module_sha256=manifest.files[configuration.module],
            fingerprint=self.fingerprint,
        )

    def _long_enough(self, job: Job) -> tuple[Finished, dict[str, Any], list[str]]:
        """Run a window; again with more inferences if it was shorter than it must be."""
        settings = self.settings
        for _ in range(ATTEMPTS):
            count = self.inferences[job.label]
            extra = ["--benchmark_min_time=1x", f"--benchmark_repetitions={count}"]
            extra.append(f"--benchmark_min_warmup_time={settings.warm_up_ms / 1000:g}")
            limit_s = 60 + 5e-3 * (settings.window_ms + settings.warm_up_ms) * max(1, count / settings.least_inferences)
            done, report = self._benchmark(job, extra, limit_s)
            timed_ms = sum(repetition["real_time"] for repetition in _repetitions(report))
            if timed_ms >= settings.window_ms:
                break
            self.inferences[job.label] = math.ceil(MARGIN * count * settings.window_ms / timed_ms)
        return done, report, extra

    def _benchmark(
        self, job: Job, extra: Sequence[str], limit_s: float, tick_ms: int | None = None
    ) -> tuple[Finished, dict[str, Any]]:
        arguments = module_arguments(job.bundle.manifest, job.configuration.name)
        command = [*self.program(BENCHMARK), *arguments, "--benchmark_format=json", *extra]
        done = self._run(command, job.folder, limit_s, tick_ms)
        if done.status:
            why = f"took longer than {limit_s:.0f} s" if done.overdue else f"status {done.status}"
            raise DeviceError(
                f"device {self.session.device.name}: {job.label} could not be measured ({why}): "
                f"{done.errors.strip()[-600:] or 'it said nothing'}"
            )
        try:
            return done, json.loads(done.output)
        except json.JSONDecodeError:
            raise DeviceError(
                f"device {self.session.device.name}: the output of {BENCHMARK} for {job.label} is cut short; "
                f"{self.session.disk_report()}"
            ) from None

    def _run(self, command: Sequence[str], folder: str, limit_s: float, tick_ms: int | None = None) -> Finished:
        meter = self.session.device.meter
        if tick_ms is None:
            tick_ms = meter.interval_ms if self.meter.files and not isinstance(meter, ModelledMeter) else TICK_MS
        return self.session.run(command, folder=folder, limit_s=limit_s, tick_ms=tick_ms)

    def _meter_values(self, done: Finished) -> list[tuple[str, ...]]:
        first, count = len(self.sensors.files), len(self.meter.files)
        short = ("",) * count
        return [(sample.values[first : first + count] + short)[:count] for sample in done.samples]


def measure(session: Session, tools: str, jobs: Sequence[Job], settings: Benchmark) -> list[Window]:
    """Measure ``jobs``, the first of which is the reference, on a device that is held.

    Returns every window, those of rejected rounds too, marked. Raises DeviceError if something does not run and
    MeasurementError if the device is too noisy and the settings say to stop.
    """
    meter = open_meter(session)
    try:
        sensors = find_sensors(session)
        bench = Bench(session, tools, jobs, settings, meter, sensors)
        bench.gate()
        session.watch([*sensors.files, *meter.files])
        bench.calibrate()
        before_w = bench.idle()
        windows, verdict = _rounds(bench, settings)
        after_w = bench.idle()
    finally:
        meter.close()
    if not verdict.enough:
        text = (
            f"device {session.device.name} is too noisy: fewer than {settings.rounds} of "
            f"{settings.rounds + settings.extra_rounds} rounds hold up ({verdict.text}). Close other programs, fix the "
            f"clock (governor performance, no turbo), cool it; or raise benchmark.drift_limit knowingly"
        )
        if settings.too_noisy == "stop":
            raise MeasurementError(text)
        logger.warning("%s. All its figures are marked as not valid", text)
    subtract = not isinstance(session.device.meter, ModelledMeter) and session.device.meter.subtract_idle
    marked = []
    for window in windows:
        reasons = verdict.reasons[window.round] if verdict.enough else ("too noisy", *verdict.reasons[window.round])
        energy = settle_idle(window.energy, window.latencies_ms, before_w, after_w, subtract)
        marked.append(window.model_copy(update={"valid": not reasons, "reasons": reasons, "energy": energy}))
    return marked


def _rounds(bench: Bench, settings: Benchmark) -> tuple[list[Window], Verdict]:
    generator = np.random.default_rng(settings.seed)
    windows: list[Window] = []
    others = bench.jobs[1:]
    for number in range(settings.rounds + settings.extra_rounds):
        order = [others[index] for index in generator.permutation(len(others))]
        windows += bench.round(number, order)
        if number + 1 < settings.rounds:
            level = float(np.median(windows[-1].latencies_ms))
            logger.info("device %s: round %d, reference %.4g ms", bench.session.device.name, number, level)
            continue
        verdict = judge_rounds(windows, settings)
        if verdict.enough:
            break
        held = sum(not why for why in verdict.reasons.values())
        logger.info("device %s: %d of %d rounds hold up so far", bench.session.device.name, held, number + 1)
    return windows, verdict


def judge_rounds(windows: Sequence[Window], settings: Benchmark) -> Verdict:
    """Which rounds hold up: no throttling, no change of clock, no drift of the reference.

    The level of the reference is the median over all its windows so far, so that the first round is judged as
    strictly as the last.
    """
    medians = {
        (window.round, window.position): float(np.median(window.latencies_ms))
        for window in windows
        if window.role == "reference"
    }
    level = float(np.median(list(medians.values())))
    clocks = [window.environment.frequency_mhz for window in windows]
    known = [clock[1] for clock in clocks if clock is not None]
    clock_level = float(np.median(known)) if known else None
    reasons: dict[int, list[str]] = {number: [] for number in sorted({window.round for window in windows})}
    for (number, _), median in medians.items():
        drift = median / level - 1
        if abs(drift) > settings.drift_limit:
            reasons[number].append(f"the reference took {median:.4g} ms, {drift:+.0%} from its level")
    for window in windows:
        if window.environment.throttled:
            reasons[window.round].append(f"throttled at position {window.position}")
        clock = window.environment.frequency_mhz
        if clock is None or clock_level is None:
            continue
        furthest = max(clock, key=lambda value: abs(value - clock_level))
        if abs(furthest / clock_level - 1) > settings.frequency_limit:
            reasons[window.round].append(f"clock at {furthest:.0f} MHz, level {clock_level:.0f} MHz")
    fixed = {number: tuple(why) for number, why in reasons.items()}
    return Verdict(fixed, sum(not why for why in fixed.values()) >= settings.rounds)


def _repetitions(report: dict[str, Any]) -> list[dict[str, Any]]:
    """The single runs in a report of the benchmark tool, in milliseconds. Raises MeasurementError."""
    runs = [entry for entry in report["benchmarks"] if entry.get("run_type") == "iteration"]
    if not runs or any(entry.get("time_unit") != "ms" or entry.get("error_occurred") for entry in runs):
        raise MeasurementError(f"expected runs in ms from {BENCHMARK}, got {str(runs)[:300]}")
    return runs
