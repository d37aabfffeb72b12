"""Fronts against brute force, and the choice of configurations on tables whose answer is known."""

from itertools import combinations

import moocore
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from depthdial.config.select import Select
from depthdial.networks.families.he_shapes import Architecture
from depthdial.networks.masks import all_masks
from depthdial.select.choose import choose
from depthdial.select.front import best_subset, pareto_front, shortfall

POINTS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=14)


def arrays(points: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    cost, accuracy = zip(*points, strict=True)
    return np.asarray(cost, float), np.asarray(accuracy, float)


def hypervolume(cost: np.ndarray, accuracy: np.ndarray, reference: tuple[float, float]) -> float:
    """The area that points dominate, by moocore, for which less is better in both."""
    return float(moocore.hypervolume(np.column_stack([cost, -accuracy]), ref=[reference[0], -reference[1]]))


@given(POINTS)
def test_front_is_what_nothing_dominates(points: list[tuple[int, int]]) -> None:
    cost, accuracy = arrays(points)
    front = pareto_front(cost, accuracy)
    distinct = set(points)
    undominated = {p for p in distinct if not any(q[0] <= p[0] and q[1] >= p[1] and q != p for q in distinct)}
    assert {points[i] for i in front} == undominated
    assert len(front) == len(undominated), "of equal points one is kept"
    assert list(shortfall(cost, accuracy)[front]) == [0.0] * len(front)


@given(POINTS, st.integers(1, 6))
def test_subset_has_the_largest_hypervolume(points: list[tuple[int, int]], size: int) -> None:
    cost, accuracy = arrays(points)
    front = pareto_front(cost, accuracy)
    cost, accuracy = cost[front], accuracy[front]
    reference = (13.0, -1.0)
    chosen = best_subset(cost, accuracy, size, reference)
    best = max(
        hypervolume(cost[list(c)], accuracy[list(c)], reference)
        for c in combinations(range(len(cost)), min(size, len(cost)))
    )
    assert len(chosen) == min(size, len(cost))
    assert hypervolume(cost[chosen], accuracy[chosen], reference) == pytest.approx(best)


def table(accuracy: dict[str, float], default: float) -> pd.DataFrame:
    arch = Architecture(8, 4, 1, 8, 10).describe()
    rows = []
    for mask in all_masks(arch.n_units):
        value = accuracy.get(str(mask), default)
        rows.append(
            {
                "mask": str(mask),
                "kept": len(mask.kept),
                "macs": arch.macs(mask),
                "n_val": 1000,
                "val_correct": round(1000 * value),
                "val_accuracy": value,
            }
        )
    return pd.DataFrame(rows)


def test_first_configuration_is_the_full_network_even_off_the_front() -> None:
    chosen = choose(table({"111": 0.90, "011": 0.95, "001": 0.85}, 0.2), Select(configurations=3, largest_drop=0.1))
    assert [(c.name, c.mask, c.on_front) for c in chosen] == [
        ("c00", "111", False),
        ("c01", "011", True),
        ("c02", "001", True),
    ]
    assert chosen[0].validation_low < 0.9 < chosen[0].validation_high


def test_short_fronts_are_filled_with_the_nearest_masks() -> None:
    chosen = choose(table({"111": 0.95, "101": 0.94, "100": 0.95}, 0.2), Select(configurations=4, largest_drop=0.1))
    on_front = {c.mask: c.on_front for c in chosen}
    assert on_front["100"]
    assert not on_front["101"], "101 is dominated by 100, but nearest to the front"
    assert len(chosen) == 4
    assert len({c.mask for c in chosen}) == 4


def test_a_mask_that_is_accurate_enough_fills_a_slot_before_a_cheaper_one_that_is_not() -> None:
    accuracy = {"111": 0.95, "110": 0.94, "101": 0.93, "100": 0.94, "000": 0.3}
    chosen = [c.mask for c in choose(table(accuracy, 0.2), Select(configurations=4, largest_drop=0.1))]
    assert chosen[0] == "111"
    assert sorted(chosen[1:]) == ["100", "101", "110"]


def test_one_mask_gives_one_configuration() -> None:
    only = table({"111": 0.9}, 0.1).query("mask == '111'")
    assert [c.mask for c in choose(only, Select(configurations=6))] == ["111"]
