"""Measured tables and schedules to test with: the format that benchmarks write, numbers made up."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, product

import numpy as np
import pandas as pd

from depthdial.config.schedule import Grid as GridSettings
from depthdial.config.schedule import Schedule as Settings
from depthdial.replay.tables import Scores
from depthdial.schedule.choices import Choice
from depthdial.schedule.grid import make_grid
from depthdial.schedule.problem import Conditions, Problem, make_problem


def latency_table(count: int = 6, scale_ms: float = 0.5) -> pd.DataFrame:
    """A device's latency table: a dial of ``count`` configurations and two static networks."""
    rows = []
    for i, share in enumerate(np.linspace(1, 0.25, count)):
        rows.append(("resnet20-sd", f"c{i:02d}", share, 0.97 - 0.25 * (1 - share) ** 2 - 0.001 * i))
    rows += [("resnet8", "c00", 0.38, 0.90), ("resnet14", "c00", 0.69, 0.955)]
    return pd.DataFrame(
        [
            {
                "network": network,
                "configuration": name,
                "mask": "1",
                "macs": int(1e6 * share),
                "val_accuracy": accuracy,
                "n_inferences": 100,
                "latency_ms": scale_ms * share,
                "latency_low_ms": scale_ms * share * 0.99,
                "latency_high_ms": scale_ms * share * 1.01,
                "latency_p90_ms": scale_ms * share * 1.03,
                "latency_p99_ms": scale_ms * share * 1.08,
                "latency_mad_ms": scale_ms * share * 0.01,
                "energy_mj": 4 * scale_ms * share + 0.1,
                "energy_low_mj": 4 * scale_ms * share,
                "energy_high_mj": 4 * scale_ms * share + 0.2,
                "energy_source": "modelled",
                "resident_bytes": 100_000,
                "valid": True,
            }
            for network, name, share, accuracy in rows
        ]
    )


def scores_of(table: pd.DataFrame, less: float = 0.01) -> Scores:
    """Test accuracies for a latency table: those of validation, a little lower."""
    rows = table.to_dict("records")
    return Scores({(row["network"], row["configuration"]): row["val_accuracy"] - less for row in rows})


def random_problem(
    seed: int,
    levels: int,
    deadlines: int,
    configurations: int,
    *,
    resident: int = 2,
    budget: float = 0.6,
    axis: str = "battery",
    moves: bool = False,
    **settings: object,
) -> Problem:
    """A random instance; ``budget`` places the charge between the cheapest and the costliest configuration."""
    random = np.random.default_rng(seed)
    latency = np.sort(random.uniform(0.2, 1.0, configurations))[::-1]
    energy = latency * random.uniform(0.9, 1.1, configurations)
    accuracy = np.clip(0.7 + 0.25 * (1 - np.exp(-3 * latency)) + random.normal(0, 0.01, configurations), 0, 1)
    choices = tuple(
        Choice(f"c{i:02d}", "net", float(a), float(t) * 0.8, float(t) * 0.9, float(t), float(e), "modelled", 1000 + i)
        for i, (a, t, e) in enumerate(zip(accuracy, latency, energy, strict=True))
    )
    steps = tuple(np.round(np.linspace(0.5, 1.5, levels), 3) if axis == "reserve" else np.arange(levels) / levels)
    grid_settings = GridSettings(
        reserve=steps if axis == "reserve" else (),
        battery=steps if axis == "battery" else (),
        deadline_relative=(),
        deadline_ms=tuple(np.linspace(0.15, 1.2, deadlines)),
    )
    mean = float(energy.min() + budget * (energy.max() - energy.min()))
    full = Settings.model_validate(
        {
            "grid": grid_settings,
            "resident": resident,
            "charge_relative": None,
            "charge_j": mean,
            **settings,
        }
    )
    grid = make_grid(full.grid, float(latency[0]))
    weight = random.dirichlet(np.ones(grid.size) * 2)
    transitions = {}
    if moves:
        for s, t in grid.neighbours("deadline"):
            transitions[s, t] = 0.01 * float(weight[s])
            transitions[t, s] = 0.01 * float(weight[t])
    conditions = Conditions(weight, np.full(grid.size, 0.1), transitions, 1000.0)
    return make_problem(full, grid, choices, conditions)


def brute_force(problem: Problem) -> tuple[float, float, float] | None:
    """(misses, accuracy, switches) of the best table, by trying all; budgets must not need to yield."""
    best: tuple[float, float, float] | None = None
    count = len(problem.choices)
    for size in range(1, problem.resident + 1):
        for residents in combinations(range(count), size):
            if problem.memory_bytes is not None and problem.memory[list(residents)].sum() > problem.memory_bytes:
                continue
            for found in _tables(problem, residents):
                if best is None or _better(found, best):
                    best = found
    return best


def _better(a: tuple[float, float, float], b: tuple[float, float, float]) -> bool:
    for x, y, more in ((a[0], b[0], False), (a[1], b[1], True), (a[2], b[2], False)):
        if abs(x - y) > 1e-7:
            return x > y if more else x < y
    return False


def _tables(problem: Problem, residents: Sequence[int]) -> list[tuple[float, float, float]]:
    """(misses, accuracy, switches) of all valid tables of one resident set; cells are missed only if need be."""
    fastest = min(residents, key=lambda c: (problem.latency_ms[c], c))
    options = []
    for s in range(problem.grid.size):
        serving = [c for c in residents if problem.serves[s, c]]
        options.append([(c, False) for c in serving] or [(fastest, True)])
    found = []
    for table in product(*options):
        choice = np.array([c for c, _ in table])
        missed = np.array([m for _, m in table])
        energy = problem.energy_mj[choice]
        servable = ~problem.unservable
        if any(servable[s] and servable[t] and energy[s] > energy[t] for s, t in problem.ordered):
            continue
        if any(
            (problem.weight * energy)[b.cells].sum() > b.limit_mj * problem.weight[b.cells].sum() * (1 + 1e-9)
            for b in problem.budgets
        ):
            continue
        moves = problem.conditions.transitions.items()
        found.append(
            (
                float(problem.weight[missed].sum()),
                float((problem.weight * problem.accuracy[choice] * ~missed).sum()),
                float(sum(rate for (s, t), rate in moves if choice[s] != choice[t])),
            )
        )
    return found
