"""Traces of edge conditions: which are generated or recorded, which are learnt from, which are held out."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, StringConstraints, model_validator

from depthdial.config.base import Section

COLUMNS = ("time_s", "arrivals", "deadline_ms", "slowdown", "background")
"""Columns of a recorded trace; deadline_relative may stand in place of deadline_ms."""
TraceName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=40)]
Seeds = tuple[Annotated[int, Field(ge=0)], ...]


class Regime(Section):
    """A state that the surroundings stay in for a while and come back to."""

    value: PositiveFloat
    """Deadline as a multiple of the latency of c00 (or in ms), or slowdown as a multiple."""
    weight: PositiveFloat = 1.0
    """How often this regime follows another, relative to the other regimes."""
    dwell_s: PositiveFloat = 1800.0
    """Mean time in the regime, in seconds (exponentially distributed)."""


class Load(Section):
    """Arrivals of inputs."""

    mean_hz: PositiveFloat = 5.0
    """Mean arrivals per second over a day."""
    swing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Daily swing: the rate at midday is mean x (1 + swing), at midnight mean x (1 - swing)."""
    noise: NonNegativeFloat = 0.0
    """Standard deviation of the logarithm of the rate, from step to step."""


class TraceSpec(Section):
    """A generated trace: a file config/traces/<name>.yaml."""

    duration_h: PositiveFloat = 24.0
    """Length in hours."""
    step_s: PositiveFloat = 60.0
    """Length of one step in seconds; one decision is made per step."""
    load: Load = Load()
    """Arrivals."""
    deadlines: tuple[Regime, ...] = Field(default=(Regime(value=1.5),), min_length=1)
    """Regimes of the deadline."""
    deadlines_in_ms: bool = False
    """The deadlines are milliseconds, not multiples of the latency of c00."""
    deadline_noise: NonNegativeFloat = 0.0
    """Standard deviation of the logarithm of the deadline within a regime."""
    slowdowns: tuple[Regime, ...] = Field(default=(Regime(value=1.0),), min_length=1)
    """Regimes of the slowdown by heat or contention."""
    slowdown_noise: NonNegativeFloat = 0.0
    """Standard deviation of the logarithm of the slowdown within a regime."""
    background: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the charge that other consumers draw over the whole trace."""


class Traces(Section):
    """Which traces are used, and for what."""

    folder: str = "config/traces"
    """The folder of the trace files, <name>.yaml or <name>.csv. A relative path counts from the Snakefile."""

    estimate: tuple[TraceName, ...] = ("steady", "drain", "bursty", "contention")
    """Traces from which probabilities are estimated; a .yaml file is generated once per estimate seed."""
    held_out: tuple[TraceName, ...] = ("steady", "drain", "bursty", "contention", "recorded")
    """Traces on which policies are compared; a .yaml file is generated once per held-out seed."""
    estimate_seeds: Seeds = Field(default=(0, 1, 2), min_length=1)
    """Seeds of the generated traces to learn from."""
    held_out_seeds: Seeds = Field(default=(100,), min_length=1)
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
