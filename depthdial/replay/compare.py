"""All policies on all held-out traces: the tables behind the figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from depthdial.config.schedule import Schedule as Settings
from depthdial.networks.configurations import FULL
from depthdial.replay.names import FULL_NETWORK, ORACLE
from depthdial.replay.oracle import plan_oracle, rewards
from depthdial.replay.policies import Fixed, Greedy, Scheduled
from depthdial.replay.simulate import Policy, Replayed, plan, replay
from depthdial.replay.tables import Scores
from depthdial.schedule.choices import Choice, choices_of
from depthdial.schedule.table import ScheduleTable
from depthdial.traces.trace import Trace


@dataclass(frozen=True)
class Comparison:
    """``summary``: a row per trace and policy. ``steps``: a row per trace, policy and step. See docs/schedule.md."""

    summary: pd.DataFrame
    steps: pd.DataFrame


class Run(NamedTuple):
    """A replayed policy, the charge that it had, and the bound on what any policy can get right and in time."""

    replayed: Replayed
    charge_j: float
    limit: float


def compare(
    measurements: pd.DataFrame,
    scores: Scores,
    table: ScheduleTable,
    settings: Settings,
    training: Sequence[Trace],
    held_out: Sequence[Trace],
) -> Comparison:
    """Replay every policy on every held-out trace; what is learnt, is learnt from the training traces alone.

    Every policy, the oracle too, chooses by the validation accuracies in ``measurements``. ``scores`` has the test
    accuracies, which enter when all is chosen. Raises ArtefactError if one is missing.
    """
    dial = choices_of(measurements, table.network)
    others = [name for name in dict.fromkeys(measurements["network"]) if name != table.network]
    static = [choice for name in others for choice in choices_of(measurements, name)]
    choices = (*dial, *static)
    horizon_s = settings.horizon_h * 3600
    planned = plan(training)
    single = _best_single(training, dial, table.charge_j, horizon_s)
    runs: list[Run] = []
    for trace in held_out:
        # A shorter trace gets its share of the charge, so that the task is as hard.
        charge = table.charge_j * trace.duration_s / horizon_s
        candidates = range(len(dial))
        oracle, limit = plan_oracle(trace, choices, candidates, charge)
        for policy in _policies(table, choices, static, single, settings.quantile):
            runs.append(Run(_run(policy, trace, choices, charge, planned, settings), charge, limit))
        runs.append(Run(_run(oracle, trace, choices, charge, planned, settings), charge, limit))
    tested = scores.of(choices)
    return Comparison(_summary(runs, tested, table.energy_source), _steps(runs, choices, tested))


def _run(
    policy: Policy,
    trace: Trace,
    choices: Sequence[Choice],
    charge: float,
    planned: np.ndarray,
    settings: Settings,
) -> Replayed:
    # The oracle pays nothing for switches, so that it bounds the others.
    price = 0.0 if policy.name == ORACLE else settings.switch_energy_mj
    return replay(policy, trace, choices, charge, planned, switch_energy_mj=price)


def _policies(
    table: ScheduleTable,
    choices: Sequence[Choice],
    static: Sequence[Choice],
    single: int,
    quantile: str,
) -> list[Policy]:
    dial = [c for c, choice in enumerate(choices) if choice.network == table.network]
    names = [choices[c].name for c in dial]
    resident = {configuration.name for configuration in table.configurations}
    full = next(c for c in dial if choices[c].name == FULL)
    found: list[Policy] = [Fixed(FULL_NETWORK, full)]
    found += [Fixed(f"static {choice.network}", len(dial) + i) for i, choice in enumerate(static)]
    found += [
        Fixed(f"best single ({choices[single].name})", single),
        Greedy(choices, [c for c in dial if choices[c].name in resident], quantile),
        Scheduled(table, names, feedback=False),
        Scheduled(table, names, feedback=True),
    ]
    return found


def _best_single(
    training: Sequence[Trace],
    dial: Sequence[Choice],
    charge_j: float,
    horizon_s: float,
) -> int:
    """The configuration that gets most inferences right and in time on the training traces."""
    totals = np.zeros(len(dial))
    for trace in training:
        charge = charge_j * trace.duration_s / horizon_s
        reward, cost = rewards(trace, dial, range(len(dial)))
        affordable = np.cumsum(cost, axis=0) <= charge * (1 - np.cumsum(trace.background))[:, None]
        totals += np.where(affordable, reward, 0.0).sum(axis=0)
    return int(np.argmax(totals))


def _summary(runs: Sequence[Run], tested: np.ndarray, energy_source: str) -> pd.DataFrame:
    """``tested`` has the test accuracy of every choice; shape (choices,)."""
    scored = {id(run): float((run.met * np.append(tested, 0.0)[run.choice]).sum()) for run, _, _ in runs}
    oracles = {run.trace.name: run for run, _, _ in runs if run.policy == ORACLE}
    rows = []
    for run, charge, limit in runs:
        served, met, expected = (float(a.sum()) for a in (run.served, run.met, run.value))
        energy, correct, arrivals = float(run.energy_j.sum()), scored[id(run)], float(run.trace.arrivals.sum())
        ended = np.flatnonzero(run.choice < 0)
        oracle = oracles[run.trace.name]
        best = float(oracle.value.sum())
        rows.append(
            {
                "trace": run.trace.name,
                "policy": run.policy,
                "arrivals": arrivals,
                "inferences": served,
                "met": met,
                "miss_rate": 1 - met / served if served else 0.0,
                "correct": correct,
                "accuracy": correct / met if met else 0.0,
                "accuracy_offered": correct / max(arrivals, 1.0),
                "val_accuracy_offered": expected / max(arrivals, 1.0),
                "energy_j": energy,
                "charge_j": charge,
                "inferences_per_charge": charge * served / energy if energy else 0.0,
                "switches": run.switches,
                "empty_at_h": float(run.trace.time_s[ended[0]]) / 3600 if ended.size else float("nan"),
                "regret": _behind(correct, scored[id(oracle)]),
                "val_regret": _behind(expected, best),
                "oracle_gap": max(0.0, _behind(best, limit)),
                "energy_source": energy_source,
            }
        )
    return pd.DataFrame(rows)


def _behind(value: float, best: float) -> float:
    """The share of ``best`` that is missing; none where nothing could be reached at all."""
    return 1 - value / best if best > 0 else 0.0


def _steps(runs: Sequence[Run], choices: Sequence[Choice], tested: np.ndarray) -> pd.DataFrame:
    frames = []
    names = np.array([*(choice.name for choice in choices), ""])
    accuracy = np.append(tested, np.nan)
    for run, charge, _ in runs:
        frames.append(
            pd.DataFrame(
                {
                    "trace": run.trace.name,
                    "policy": run.policy,
                    "time_s": run.trace.time_s,
                    "arrivals": run.trace.arrivals,
                    "deadline_ms": run.trace.deadline_ms,
                    "slowdown": run.trace.slowdown,
                    "configuration": names[run.choice],
                    "accuracy": accuracy[run.choice],
                    "met": run.met,
                    "energy_j": run.energy_j,
                    "battery": run.left_j / charge,
                }
            )
        )
    return pd.concat(frames, ignore_index=True).astype(
        {"trace": "category", "policy": "category", "configuration": "category"}
    )
