"""A trace: what the surroundings asked of the device, step by step."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from depthdial.config.problems import validate
from depthdial.config.recorded import COLUMNS, RELATIVE, read_recorded
from depthdial.config.traces import Regime, TraceSpec
from depthdial.config.yaml_file import read_yaml

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Trace:
    """Conditions over time; all arrays have shape (steps,). One decision is made per step.

    ``arrivals`` counts the inputs of a step, ``deadline_ms`` bounds each of them, ``slowdown`` multiplies the
    measured latencies, ``background`` is the share of the full charge that others draw during the step.
    """

    name: str
    time_s: Array
    arrivals: Array
    deadline_ms: Array
    slowdown: Array
    background: Array

    @property
    def steps(self) -> int:
        """Number of decisions."""
        return len(self.time_s)

    @property
    def step_s(self) -> Array:
        """Length of each step in seconds: up to the next one, of the last as of most; a single step takes a second."""
        lengths = np.diff(self.time_s)
        return np.append(lengths, np.median(lengths) if self.steps > 1 else 1.0)

    @property
    def rate_hz(self) -> Array:
        """Arrivals per second in each step."""
        return self.arrivals / self.step_s

    @property
    def duration_s(self) -> float:
        """Length of the trace in seconds."""
        return float(self.time_s[-1] - self.time_s[0]) + float(self.step_s[-1])

    @property
    def elapsed(self) -> Array:
        """Share of the trace that has passed when each step begins."""
        return (self.time_s - self.time_s[0]) / self.duration_s

    def first(self, steps: int) -> Trace:
        """The first steps of the trace; all for 0."""
        if steps == 0:
            return self
        kept = {column: getattr(self, column)[:steps] for column in COLUMNS}
        return Trace(self.name, **kept)


def generate(name: str, spec: TraceSpec, full_latency_ms: float, seed: int) -> Trace:
    """Draw a trace; the same seed gives the same trace.

    Deadlines and slowdowns follow regimes with exponential dwell times (a semi-Markov chain); arrivals follow
    a daily curve. ``full_latency_ms`` is the latency of c00 to which relative deadlines refer.
    """
    random = np.random.default_rng(seed)
    time_s = np.arange(0.0, spec.duration_h * 3600, spec.step_s)
    steps = len(time_s)
    daily = 1 - spec.load.swing * np.cos(2 * np.pi * time_s / 86400)
    rate = spec.load.mean_hz * daily * _noise(random, spec.load.noise, steps)
    unit = 1.0 if spec.deadlines_in_ms else full_latency_ms
    deadline = unit * _regimes(random, spec.deadlines, time_s) * _noise(random, spec.deadline_noise, steps)
    slowdown = _regimes(random, spec.slowdowns, time_s) * _noise(random, spec.slowdown_noise, steps)
    return Trace(
        name=f"{name}-{seed}",
        time_s=time_s,
        arrivals=np.round(rate * spec.step_s),
        deadline_ms=deadline,
        slowdown=slowdown,
        background=np.full(steps, spec.background / steps),
    )


def _noise(random: np.random.Generator, sigma: float, steps: int) -> Array:
    """Log-normal factors with median 1."""
    return np.exp(random.normal(0.0, sigma, steps)) if sigma > 0 else np.ones(steps)


def _regimes(random: np.random.Generator, regimes: tuple[Regime, ...], time_s: Array) -> Array:
    """The value of the regime that holds at each time."""
    values = np.empty_like(time_s)
    weight = np.array([regime.weight for regime in regimes])
    now, end = float(time_s[0]), float(time_s[-1])
    current = int(random.choice(len(regimes), p=weight / weight.sum()))
    while now <= end:
        until = now + random.exponential(regimes[current].dwell_s)
        first, last = np.searchsorted(time_s, now), np.searchsorted(time_s, until, side="right")
        values[first:last] = regimes[current].value
        now = until
        if len(regimes) > 1:
            others = np.where(np.arange(len(regimes)) == current, 0.0, weight)
            current = int(random.choice(len(regimes), p=others / others.sum()))
    return values


def read_csv(path: str | os.PathLike[str], full_latency_ms: float) -> Trace:
    """Read a recorded trace: a CSV file with the columns time_s, arrivals and deadline_ms or deadline_relative.

    The columns slowdown (default 1) and background (share of the charge per step, default 0) may be there too.
    Raises ConfigError that names the file, the lines and the columns.
    """
    columns = {name: np.array(values, dtype=np.float64) for name, values in read_recorded(path).items()}
    if RELATIVE in columns:
        columns["deadline_ms"] = columns.pop(RELATIVE) * full_latency_ms
    return Trace(name=Path(path).stem, **columns)


def read_traces(paths: list[str], seeds: tuple[int, ...], full_latency_ms: float) -> tuple[Trace, ...]:
    """All traces of some files: one for each CSV file, one per seed for each YAML file."""
    found: list[Trace] = []
    for path in paths:
        if Path(path).suffix == ".csv":
            found.append(read_csv(path, full_latency_ms))
        else:
            spec = validate(TraceSpec, read_yaml(Path(path)), str(path))
            found += [generate(Path(path).stem, spec, full_latency_ms, seed) for seed in seeds]
    return tuple(found)
