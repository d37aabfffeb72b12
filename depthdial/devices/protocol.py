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

import numpy as np

from depthdial.config.benchmark import Benchmark
from depthdial.config.devices import ModelledMeter
from depthdial.deploy.calls import AS_JSON, BENCHMARK, RUN, Report, parse_report, timing_arguments
from depthdial.deploy.manifest import NAME, BundledConfiguration, device_arguments, gate_arguments, module_arguments
from depthdial.devices.energy import Idle, judge, judge_idle, settle_idle
from depthdial.devices.meters import Meter, open_meter
from depthdial.devices.provision import VerifiedBundle
from depthdial.devices.records import Window
from depthdial.devices.sensors import Sensors, environment, find_sensors, fingerprint
from depthdial.devices.session import Finished, Session
from depthdial.errors import DeviceError, MeasurementError
from depthdial.files import sha256_file
from depthdial.runs.progress import report_step

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

    bundle: VerifiedBundle
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
        self.before_s: dict[str, float] = {}
        self.seen: tuple[str, ...] = ()

    def program(self, tool: str) -> list[str]:
        """A tool of IREE on the measured cores."""
        device = self.session.device
        return [*device.launch, f"{self.tools}/{tool}", *device_arguments(device.threads, device.pinned)]

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
        """Choose the number of inferences in a window of each configuration; see what it needs beside them.

        Memory is taken here because the benchmark tool's own grows with the number of repetitions that it reports. A
        run with a single inference tells how long the tool takes to start and to warm up.
        """
        for job in self.jobs:
            extra = [AS_JSON, f"--benchmark_min_time={CALIBRATION_S}s"]
            done, report = self._benchmark(job, extra, limit_s=120, tick_ms=CALIBRATION_TICK_MS)
            self.resident_bytes[job.label] = done.peak_bytes
            count = math.ceil(MARGIN * self.settings.window_ms / report.benchmarks[0].real_time)
            self.inferences[job.label] = max(count, self.settings.least_inferences)
            done, report = self._benchmark(job, self._repeated(1), limit_s=120)
            self.before_s[job.label] = done.ended_s - done.began_s - report.timed_s
            self.seen = done.after

    def idle(self) -> Idle:
        """Power of the idle device, if there is a meter that tells it."""
        device = self.session.device
        if isinstance(device.meter, ModelledMeter):
            return Idle(None, ("there is no meter",))
        if not device.meter.idle_s:
            return Idle(None, ("it is not measured where idle_s is 0",))
        done = self._run(["sleep", f"{device.meter.idle_s:g}"], folder=".", limit_s=device.meter.idle_s + 30)
        power = self.meter.power(done, self._meter_values(done))
        idle = judge_idle(device, self.meter.source, power, done, self.settings.energy_samples)
        mean = "unknown" if idle.mean_w is None else f"{idle.mean_w:.3g}"
        logger.info("device %s: idle power %s W %s", device.name, mean, "; ".join(idle.doubts))
        return idle

    def round(self, number: int, order: Sequence[Job]) -> list[Window]:
        """One round: the reference, every other configuration in the given order, the reference again."""
        reference = self.jobs[0]
        sequence = [(reference, True), *((job, False) for job in order), (reference, True)]
        return [self.window(job, number, position, ref) for position, (job, ref) in enumerate(sequence)]

    def window(self, job: Job, number: int, position: int, reference: bool) -> Window:
        """Measure one configuration once."""
        started = datetime.now(UTC).isoformat(timespec="milliseconds")
        done, report, extra = self._long_enough(job)
        timed_s = report.timed_s
        latencies = [round(one.real_time, 6) for one in report.benchmarks]
        overhead_s = max(0.0, done.ended_s - done.began_s - self.before_s[job.label] - timed_s)
        before, self.seen = self.seen, done.after
        reasons: tuple[str, ...] = ()
        if timed_s < self.settings.window_ms / 1000:
            reasons = (f"it lasted {1000 * timed_s:.0f} ms, less than {self.settings.window_ms} ms",)
        energy = judge(
            self.session.device,
            self.meter.source,
            self.meter.power(done, self._meter_values(done)),
            done,
            latencies,
            timed_s,
            overhead_s,
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
            overhead_s=overhead_s,
            latencies_ms=tuple(latencies),
            mean_cpu_ms=float(np.mean([one.cpu_time for one in report.benchmarks])),
            resident_bytes=self.resident_bytes[job.label],
            energy=energy,
            environment=environment(self.sensors, done, timed_s, report.context.load_avg, before),
            valid=not reasons,
            reasons=reasons,
            command=(*self.program(BENCHMARK), *module_arguments(manifest, configuration.name), *extra),
            bundle_sha256=sha256_file(job.bundle.folder / NAME),
            module_sha256=manifest.files[configuration.module],
            compiler=manifest.target.compiler,
            fingerprint=self.fingerprint,
        )

    def _repeated(self, count: int) -> list[str]:
        """Arguments for ``count`` inferences, each timed alone, after warming up."""
        return [*timing_arguments(count), f"--benchmark_min_warmup_time={self.settings.warm_up_ms / 1000:g}"]

    def _long_enough(self, job: Job) -> tuple[Finished, Report, list[str]]:
        """Run a window; again with more inferences if it was shorter than it must be, but not for ever."""
        settings = self.settings
        for _ in range(ATTEMPTS):
            count = self.inferences[job.label]
            extra = self._repeated(count)
            limit_s = 60 + 5e-3 * (settings.window_ms + settings.warm_up_ms) * max(1, count / settings.least_inferences)
            done, report = self._benchmark(job, extra, limit_s)
            timed_ms = 1000 * report.timed_s
            if timed_ms >= settings.window_ms:
                break
            self.inferences[job.label] = math.ceil(MARGIN * count * settings.window_ms / timed_ms)
        return done, report, extra

    def _benchmark(
        self, job: Job, extra: Sequence[str], limit_s: float, tick_ms: int | None = None
    ) -> tuple[Finished, Report]:
        arguments = module_arguments(job.bundle.manifest, job.configuration.name)
        command = [*self.program(BENCHMARK), *arguments, *extra]
        done = self._run(command, job.folder, limit_s, tick_ms)
        if done.status:
            why = f"took longer than {limit_s:.0f} s" if done.overdue else f"status {done.status}"
            raise DeviceError(
                f"device {self.session.device.name}: {job.label} could not be measured ({why}): "
                f"{done.errors.strip()[-600:] or 'it said nothing'}"
            )
        try:
            return done, parse_report(done.output)
        except json.JSONDecodeError:
            raise DeviceError(
                f"device {self.session.device.name}: the output of {BENCHMARK} for {job.label} is cut short; "
                f"{self.session.disk_report()}"
            ) from None
        except DeviceError as error:
            raise DeviceError(f"device {self.session.device.name}: {job.label}: {error}") from None

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
        before = bench.idle()
        windows, verdict = _rounds(bench, settings)
        after = bench.idle()
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
        energy = settle_idle(window.energy, window.latencies_ms, before, after, subtract)
        marked.append(window.model_copy(update={"valid": not reasons, "reasons": reasons, "energy": energy}))
    return marked


def _rounds(bench: Bench, settings: Benchmark) -> tuple[list[Window], Verdict]:
    generator = np.random.default_rng(settings.seed)
    windows: list[Window] = []
    others = bench.jobs[1:]
    for number in range(settings.rounds + settings.extra_rounds):
        order = [others[index] for index in generator.permutation(len(others))]
        windows += bench.round(number, order)
        report_step("round", number + 1, settings.rounds + settings.extra_rounds)
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
    """Which rounds hold up: windows long enough, no throttling, no change of clock, no drift of the reference.

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
        reasons[window.round] += [f"position {window.position}: {why}" for why in window.reasons]
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
