"""Replay a policy on a trace: energies, deadlines and accuracy as measured, one decision per step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from depthdial.schedule.choices import Choice
from depthdial.traces.trace import Array, Trace

MILLI = 1e-3
OBSERVED = 8
"""Latencies that a policy sees of each step; a step has far more inferences."""
IDLE = -1
"""No configuration: the step is not served."""


@dataclass(frozen=True)
class Moment:
    """What a policy may know when it decides: nothing of the future, nor of the slowdown."""

    time_s: float
    deadline_ms: float
    rate_hz: float
    energy_left_j: float
    charge_j: float
    planned_share: float
    """Share of the charge that the plan keeps for the rest of the horizon."""


class Policy(Protocol):
    """A rule that chooses a configuration for every step."""

    name: str

    def choose(self, moment: Moment) -> int:
        """Index of the configuration to run now, or IDLE."""

    def observe(self, choice: int, latencies_ms: Array) -> None:
        """How long some inferences of this step took; shape (observed,)."""


@dataclass(frozen=True)
class Replayed:
    """What happened, step by step; arrays have shape (steps,). ``choice`` is IDLE once the charge is used up."""

    policy: str
    trace: Trace
    choice: NDArray[np.intp]
    served: NDArray[np.float64]
    met: NDArray[np.float64]
    """Expected number of inferences that met their deadline."""
    value: NDArray[np.float64]
    """Expected number of inferences that were right and in time."""
    energy_j: NDArray[np.float64]
    left_j: NDArray[np.float64]
    """Energy left after each step."""

    @property
    def switches(self) -> int:
        """Changes of configuration."""
        running = self.choice[self.choice >= 0]
        return int((np.diff(running) != 0).sum())


def plan(traces: Sequence[Trace]) -> NDArray[np.float64]:
    """Share of the demand still to come at 0, 1/100, ... 1 of the horizon, the mean of some traces; shape (101,)."""
    points = np.linspace(0, 1, 101)
    curves = []
    for trace in traces:
        done = np.concatenate([[0.0], np.cumsum(trace.arrivals)])
        moments = np.append(trace.elapsed, 1.0)
        curves.append(1 - np.interp(points, moments, done / max(done[-1], 1.0)))
    return np.asarray(np.mean(curves, axis=0), dtype=np.float64)


def replay(
    policy: Policy,
    trace: Trace,
    choices: Sequence[Choice],
    charge_j: float,
    planned: NDArray[np.float64],
    *,
    seed: int = 0,
    switch_energy_mj: float = 0.0,
) -> Replayed:
    """Run a policy over a trace on one charge.

    Latencies are the measured ones times the slowdown of the trace; the share of a step's inferences that meet
    the deadline follows the measured quantiles, so that nothing but what the policy observes is drawn at random.
    """
    uniform = np.random.default_rng(seed).uniform(size=(trace.steps, OBSERVED))
    in_time = np.array([choice.met(trace.deadline_ms / trace.slowdown) for choice in choices])
    taken = [choice.drawn(uniform) * trace.slowdown[:, None] for choice in choices]
    choice = np.full(trace.steps, IDLE, dtype=np.intp)
    served, met, value, spent = (np.zeros(trace.steps) for _ in range(4))
    left = np.zeros(trace.steps)
    energy, previous = charge_j, IDLE
    shares = np.interp(trace.elapsed, np.linspace(0, 1, 101), planned)
    rate = trace.rate_hz
    for t in range(trace.steps):
        energy -= trace.background[t] * charge_j
        if energy > 0:
            moment = Moment(
                float(trace.time_s[t]),
                float(trace.deadline_ms[t]),
                float(rate[t]),
                energy,
                charge_j,
                float(shares[t]),
            )
            c = policy.choose(moment)
            if c == IDLE:
                left[t] = energy
                continue
            price = switch_energy_mj * MILLI if previous not in (IDLE, c) else 0.0
            each = choices[c].energy_mj * MILLI
            served[t] = min(trace.arrivals[t], max(0.0, energy - price) / each)
            spent[t] = min(energy, served[t] * each + price)
            met[t] = served[t] * in_time[c, t]
            value[t] = met[t] * choices[c].accuracy
            energy -= spent[t]
            choice[t], previous = c, c
            policy.observe(c, taken[c][t])
        left[t] = max(energy, 0.0)
    return Replayed(policy.name, trace, choice, served, met, value, spent, left)
