"""Traces of edge conditions: which are generated or recorded, which are learnt from, which are held out."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from depthdial.config.base import Section, Seed
from depthdial.config.recorded import MOST_STEPS

TraceName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=40)]
Seeds = tuple[Seed, ...]
Multiple = Annotated[float, Field(ge=1e-6, le=1e9)]
Sigma = Annotated[float, Field(ge=0, le=3)]


class Regime(Section):
    """A state that the surroundings stay in for a while and come back to."""

    value: Multiple
    """Deadline as a multiple of the latency of c00 (or in ms), or slowdown as a multiple."""
    weight: Multiple = 1.0
    """How often this regime follows another, relative to the other regimes."""
    dwell_s: Multiple = 1800.0
    """Mean time in the regime, in seconds (exponentially distributed); not shorter than a step."""


class Load(Section):
    """Arrivals of inputs."""

    mean_hz: Annotated[float, Field(gt=0, le=1e6)] = 5.0
    """Mean arrivals per second over a day."""
    swing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Daily swing: the rate at midday is mean x (1 + swing), at midnight mean x (1 - swing)."""
    noise: Sigma = 0.0
    """Standard deviation of the logarithm of the rate, from step to step."""


class TraceSpec(Section):
    """A generated trace: a file config/traces/<name>.yaml."""

    duration_h: Annotated[float, Field(gt=0, le=100_000)] = 24.0
    """Length in hours."""
    step_s: Annotated[float, Field(ge=0.001, le=1e6)] = 60.0
    """Length of one step in seconds; one decision is made per step."""
    load: Load = Load()
    """Arrivals."""
    deadlines: tuple[Regime, ...] = Field(default=(Regime(value=1.5),), min_length=1)
    """Regimes of the deadline."""
    deadlines_in_ms: bool = False
    """The deadlines are milliseconds, not multiples of the latency of c00."""
    deadline_noise: Sigma = 0.0
    """Standard deviation of the logarithm of the deadline within a regime."""
    slowdowns: tuple[Regime, ...] = Field(default=(Regime(value=1.0),), min_length=1)
    """Regimes of the slowdown by heat or contention."""
    slowdown_noise: Sigma = 0.0
    """Standard deviation of the logarithm of the slowdown within a regime."""
    background: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the charge that other consumers draw over the whole trace."""

    @model_validator(mode="after")
    def _drawable(self) -> Self:
        if (steps := self.duration_h * 3600 / self.step_s) > MOST_STEPS:
            raise ValueError(
                f"duration_h, step_s: {steps:,.0f} steps, at most {MOST_STEPS:,}; shorten the trace or lengthen step_s"
            )
        if (most := self.load.mean_hz * (1 + self.load.swing) * self.step_s) < 1:
            raise ValueError(f"load.mean_hz: {most:g} arrivals in a step of {self.step_s:g} s at most; lengthen step_s")
        if short := [regime for regime in (*self.deadlines, *self.slowdowns) if regime.dwell_s < self.step_s]:
            raise ValueError(
                f"deadlines, slowdowns: a regime dwells {short[0].dwell_s:g} s, a step takes {self.step_s:g} s; "
                "a regime lasts a step at least"
            )
        return self


class Traces(Section):
    """Which traces are used, and for what."""

    folder: str = "config/traces"
    """The folder of the trace files, <name>.yaml or <name>.csv. A relative path counts from the Snakefile."""

    estimate: tuple[TraceName, ...] = Field(default=("steady", "drain", "bursty", "contention"), max_length=100)
    """Traces from which probabilities are estimated; a .yaml file is generated once per estimate seed."""
    held_out: tuple[TraceName, ...] = Field(
        default=("steady", "drain", "bursty", "contention", "recorded"), max_length=100
    )
    """Traces on which policies are compared; a .yaml file is generated once per held-out seed."""
    estimate_seeds: Seeds = Field(default=(0, 1, 2), min_length=1, max_length=100)
    """Seeds of the generated traces to learn from."""
    held_out_seeds: Seeds = Field(default=(100,), min_length=1, max_length=100)
    """Seeds of the generated traces that are held out."""

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if shared := set(self.estimate_seeds) & set(self.held_out_seeds):
            raise ValueError(
                f"estimate_seeds and held_out_seeds share {sorted(shared)}; held-out traces are kept apart"
            )
        if not self.estimate or not self.held_out:
            raise ValueError("estimate and held_out each name at least one trace")
        return self
