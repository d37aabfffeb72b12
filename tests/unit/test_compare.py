"""Comparisons over seeds: intervals by hand, tables of planted networks, verdicts that follow from them."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t as student

from depthdial.compare.claims import DROP, FAILS, HOLDS, OPEN, UNCHECKED, Claim, Evidence, claims, time
from depthdial.compare.equal import configurations, equal_macs, equal_time
from depthdial.compare.files import write_csv
from depthdial.compare.findings import ALIKE, LESS, MORE, Finding, against_static, as_accurate
from depthdial.compare.rankings import rankings
from depthdial.compare.recipes import differing, front_hypervolume, recipes
from depthdial.compare.runs import Trained, bits, trained_networks
from depthdial.compare.skipping import skipping
from depthdial.compare.training import trained_table, training_time
from depthdial.evaluate.budgets import best_within
from depthdial.evaluate.results import Evaluation
from depthdial.evaluate.tables import mask_table, write_masks
from depthdial.networks.configurations import Configuration, ConfigurationSet, write_configurations
from depthdial.networks.families.he_shapes import Architecture
from depthdial.networks.masks import Mask, sampled_masks
from depthdial.report.findings import HARDER, first_sentence, further_sentences, off_front
from depthdial.report.sections import training_hours
from depthdial.report.worth import worth
from depthdial.statistics.intervals import (
    Interval,
    difference,
    mean,
    measured_ratio,
    paired,
    ratio,
    same_images,
    share,
    wilson_interval,
)
from tests.rigs.trained import N_IMAGES, packed, plant

FULL, HALF, ONE = "111111", "101010", "100000"


# --- intervals ---


def test_a_mean_by_hand() -> None:
    found = mean([1.0, 2.0, 3.0])
    assert found.value == 2
    assert found.n == 3
    assert found.high - 2 == pytest.approx(4.302653 * 1 / math.sqrt(3), rel=1e-6), "t of two degrees of freedom"
    assert found.low == pytest.approx(4 - found.high)


@pytest.mark.parametrize("values", [[0.9], [0.9, 0.9], [0.9, 0.9, float("nan")]])
def test_seeds_that_do_not_differ_give_no_interval(values: list[float]) -> None:
    found = mean(values)
    assert found.value == pytest.approx(0.9)
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert math.isnan(mean([]).value)


def test_an_interval_of_a_share_stays_a_share() -> None:
    found = share([0.99, 0.97])
    assert found.high == 1
    assert 0 < found.low < 0.97


@given(*2 * [st.lists(st.floats(0, 1), min_size=2, max_size=6)])
def test_differences_of_networks_trained_apart_are_welchs(a: list[float], b: list[float]) -> None:
    """By hand: the variances of the means add; degrees of freedom as of Satterthwaite."""
    found = difference(a, b)
    value = np.mean(a) - np.mean(b)
    assert found.value == pytest.approx(value)
    if len(set(a)) == len(set(b)) == 1:
        assert math.isnan(found.low)
        assert math.isnan(found.high)
        return
    parts = [np.var(x, ddof=1) / len(x) if len(set(x)) > 1 else 0.0 for x in (a, b)]
    if sum(parts) < 1e-20:
        return  # nothing but rounding
    freedom = sum(parts) ** 2 / sum(part**2 / (len(x) - 1) for part, x in zip(parts, (a, b), strict=True))
    margin = student.ppf(0.975, freedom) * math.sqrt(sum(parts))
    assert found.low == pytest.approx(value - margin, abs=1e-9)
    assert found.high == pytest.approx(value + margin, abs=1e-9)


def test_pairs_cancel_what_they_share() -> None:
    first, second = [0.9, 0.8, 0.7], [0.89, 0.79, 0.685]
    assert paired(first, second).low > 0
    assert difference(first, second).low < 0


def test_a_ratio_is_of_geometric_means() -> None:
    found = ratio([2.0, 8.0], [4.0, 1.0])
    assert found.value == pytest.approx(2)
    assert found.low < 2 < found.high
    assert found.low * found.high == pytest.approx(4), "symmetric in logarithms"


@given(*2 * [st.tuples(st.floats(0.1, 10), st.floats(1.001, 1.5), st.floats(1.001, 1.5))])
def test_a_ratio_of_medians_reaches_as_far_as_both_and_no_further(one: tuple, other: tuple) -> None:
    first, second = (Interval(v, v / down, v * up, 9) for v, down, up in (one, other))
    found = measured_ratio(first, second)
    assert found.value == pytest.approx(first.value / second.value)
    assert first.low / second.high <= found.low < min(first.low / second.value, first.value / second.high)
    assert max(first.high / second.value, first.value / second.low) < found.high <= first.high / second.low
    back = measured_ratio(second, first)
    assert (back.low, back.high) == pytest.approx((1 / found.high, 1 / found.low))


def test_the_same_images_by_hand() -> None:
    first = np.array([1] * 60 + [1] * 20 + [0] * 10 + [0] * 10, bool)
    second = np.array([1] * 60 + [0] * 20 + [1] * 10 + [0] * 10, bool)
    found = same_images(first, second)
    assert found.value == pytest.approx(0.1)
    middle = (20.5 - 10.5) / 102
    margin = 1.96 * math.sqrt(31 - 100 / 102) / 102
    assert found.low == pytest.approx(middle - margin, abs=1e-5)
    assert found.high == pytest.approx(middle + margin, abs=1e-5)


def test_the_interval_for_the_same_images_covers() -> None:
    generator = np.random.default_rng(0)
    hits = 0
    for _ in range(400):
        both = generator.random((2, 300)) < np.array([[0.9], [0.86]])
        found = same_images(*both)
        hits += found.low <= 0.04 <= found.high
    assert hits >= 0.92 * 400


# --- budgets ---


def test_ties_go_to_the_cheaper_mask_then_to_the_first() -> None:
    rows = [("11", 3.0, 0.9), ("10", 2.0, 0.8), ("01", 2.0, 0.8), ("00", 1.0, 0.8)]
    table = pd.DataFrame(rows, columns=["mask", "macs", "val_accuracy"])
    assert best_within(table, 3) == Mask("11")
    assert best_within(table, 2.5) == Mask("00")
    assert best_within(table[:3], 2) == Mask("01")
    assert best_within(table, 0.5) is None


# --- planted networks ---


@pytest.fixture
def dials(tmp_path: Path) -> list:
    values = [{FULL: 0.90, HALF: 0.88, ONE: 0.80}, {FULL: 0.92, HALF: 0.89, ONE: 0.81}]
    return [plant(tmp_path, "dial", "dial", seed, 14, each) for seed, each in enumerate(values)]


@pytest.fixture
def controls(tmp_path: Path) -> list:
    values = [{FULL: 0.91, HALF: 0.60}, {FULL: 0.93, HALF: 0.61}]
    return [plant(tmp_path, "control", "control", s, 14, each, seconds=20.0 + s) for s, each in enumerate(values)]


@pytest.fixture
def statics(tmp_path: Path) -> list:
    return [plant(tmp_path, "small", "static", seed, 8, {"111": 0.84 + 0.02 * seed}) for seed in (0, 1)]


def test_equal_macs(dials: list, controls: list, statics: list) -> None:
    table = equal_macs(dials, controls, statics).set_index("budget")
    assert list(table.index) == ["full", "50 %", "small"]
    assert table["budget_macs"].is_monotonic_decreasing
    full, half, small = (table.loc[name] for name in table.index)
    assert full["dial"] == pytest.approx(0.90), "0.90 and 0.92 on validation, 0.01 less on test"
    assert full["to_constant"] == pytest.approx(-0.01)
    assert half["dial"] == pytest.approx(0.875)
    assert half["to_stochastic"] == pytest.approx(-0.025)
    assert half["control_skipped"] == pytest.approx(0.595)
    assert math.isnan(half["static"])
    assert small["static"] == pytest.approx(0.84)
    assert small["to_static"] == pytest.approx(small["dial"] - 0.84)
    assert small["to_static_low"] < small["to_static"] < small["to_static_high"]
    assert (table["dial_macs"] <= table["budget_macs"]).all()


def test_fine_tuned_configurations_count_beside_the_masks(dials: list, statics: list) -> None:
    assert equal_macs(dials, [], statics)["finetuned"].isna().all()
    for seed, run in enumerate(dials):
        deploy(run, {"c00": 0.8, "c01": 0.8, "c02": 0.8})
        deploy(run, {"c00": 0.9, "c01": 0.85, "c02": 0.86 + 0.01 * seed}, "finetuned")
    again = [Trained(run.folder, fine_tuned=True) for run in dials]
    assert equal_macs(dials, [], statics)["finetuned"].isna().all(), "left there by an earlier run that fine-tuned"
    found = equal_macs(again, [], statics).set_index("budget")
    assert found.loc["full", "finetuned"] == pytest.approx(0.9)
    assert found.loc["50 %", "finetuned"] == pytest.approx(0.84), "c02 is the best of half the MACs on validation"
    static = found[found["static"].notna()]
    assert len(static) == len(statics) // len(again)
    np.testing.assert_allclose(static["finetuned_to_static"], static["finetuned"] - static["static"])
    assert found.loc["50 %", "finetuning_gain"] == pytest.approx(0.84 - 0.875)
    assert recipes(again, {"dial": {}}, 0)["finetuning"].iloc[0] == pytest.approx((0.10 + 0.05 + 0.065) / 3)


def test_without_a_control_its_columns_are_empty(dials: list) -> None:
    table = equal_macs(dials, [], [])
    assert table["constant"].isna().all()
    assert table["to_skipped"].isna().all()


def test_of_one_seed_the_images_are_the_repetitions(dials: list, controls: list, statics: list) -> None:
    """Paired by image, as the same test on the packed bits says, and claims say that it is about this network."""
    table = equal_macs(dials[:1], controls[:1], statics[:1]).set_index("budget")
    full, small = table.loc["full"], table.loc["small"]
    assert (full["dial_low"], full["dial_high"]) == pytest.approx(wilson_interval(178, N_IMAGES))
    right = [
        bits(run.tested_at(budget)["correct"], N_IMAGES)
        for run, budget in ((dials[0], "small"), (statics[0], "as trained"))
    ]
    expected = same_images(*right)
    assert (small["to_static_low"], small["to_static"], small["to_static_high"]) == pytest.approx(
        (expected.low, expected.value, expected.high)
    )
    assert math.isnan(table.loc["50 %", "to_static"])
    assert recipes(dials[:1], {"dial": {}}, 1)["at_50_low"].iloc[0] == pytest.approx(table.loc["50 %", "dial_low"])
    found = verdicts(claims([evidence(dials[:1], controls[:1], statics[:1])]))
    goal = found["The dial is at least as accurate as the static small of no fewer MACs"]
    assert goal.here.endswith("on the same test images of one seed: about this network")


def test_skipping(dials: list, controls: list) -> None:
    table = skipping(dials, controls).set_index("skipped")
    assert list(table.index) == [*range(7), "all"]
    assert list(table["masks"]) == [1, 6, 15, 20, 15, 6, 1, 64]
    assert table["complete"].all()
    three = table.loc[3]
    assert three["dial_best"] == pytest.approx(0.885)
    assert three["dial_spread"] == pytest.approx(0.385)
    assert three["difference_best"] == pytest.approx(0.28)
    assert table.loc["all", "dial_mean"] > table.loc["all", "control_mean"]


def test_masks_of_a_search_are_not_compared(dials: list, controls: list) -> None:
    table = pd.read_parquet(dials[1].folder / "masks.parquet").query("kept != 2")
    table.to_parquet(dials[1].folder / "masks.parquet")
    found = skipping(dials, controls).set_index("skipped")
    assert not found.loc[4, "complete"]
    assert math.isnan(found.loc[4, "difference_mean"])
    assert not found.loc["all", "complete"]
    assert found.loc[3, "complete"]


def test_random_masks_stand_for_all_of_a_deep_network(dials: list, controls: list, statics: list) -> None:
    """At 3 skipped the tables of searches are put aside for what was drawn, in two shards."""
    n, drawn = 6, sampled_masks(6, 3, 10)
    assert len(set(drawn)) == 10
    assert drawn == sampled_masks(6, 3, 10)
    assert all(len(mask.skipped) == 3 for mask in drawn)
    assert len(sampled_masks(n, 3, 20)) == 20 == len(sampled_masks(n, 3, 2000))
    runs = []
    for run, top in ((dials[0], 0.9), (controls[0], 0.6)):
        (run.folder / "samples").mkdir()
        given = np.linspace(0.1, top, 10)
        for shard, part in enumerate((slice(0, 4), slice(4, 10))):
            evaluation = Evaluation(tuple(drawn[part]), N_IMAGES, packed(given[part], np.random.default_rng(0)))
            write_masks(run.folder / f"samples/shard{shard}.parquet", mask_table(run.arch, evaluation), {})
        paths = [
            run.folder / name for name in ("weights.safetensors", "samples/shard0.parquet", "samples/shard1.parquet")
        ]
        runs += trained_networks(paths)
    table = skipping([runs[0]], [runs[1]]).set_index("skipped")
    three = table.loc[3]
    assert three["sampled"]
    assert not three["complete"]
    assert three["masks"] == 10
    assert three["dial_best"] == pytest.approx(0.9, abs=0.01)
    assert three["dial_median"] == pytest.approx(0.5, abs=0.01)
    assert three["dial_worst"] == pytest.approx(0.1, abs=0.01)
    assert three["difference_mean"] == pytest.approx(0.15, abs=0.01)
    assert three["difference_mean_low"] < 0.15 < three["difference_mean_high"], "paired over the ten masks"
    assert three["dial_apart_low"] < 0.8 < three["dial_apart_high"]
    assert not table.loc[2, "sampled"]
    assert math.isnan(table.loc[2, "dial_apart"])
    wide = table.reset_index()
    wide.loc[3, "skipped"] = 37
    found = verdicts(claims([evidence(dials, controls, statics, skipping=wide, depth=110)]))
    gap = found["ResNet-110, 37 of 54 blocks skipped"]
    assert gap.verdict == HOLDS
    assert "drawn at random: the true spread is no smaller" in gap.here
    assert "of this one network" in gap.here
    deep = wide.assign(complete=False)
    said = claims([evidence(dials, controls, statics, skipping=deep)])
    resilient = next(claim for claim in said if "resilient" in claim.claim)
    assert resilient.verdict == HOLDS
    assert resilient.here.startswith("mean over 10 random masks that skip 37 blocks: 50.")


def test_what_stochastic_depth_does_is_not_asked_of_a_dial_that_was_trained_without(
    dials: list, controls: list, statics: list
) -> None:
    given = evidence(dials, controls, statics)
    asked, not_asked = (claims([replace(given, stochastic=trained)]) for trained in (True, False))
    changed = [(one, other) for one, other in zip(asked, not_asked, strict=True) if one != other]
    assert {one.source for one, _ in changed} >= {"the paper's abstract", "Huang et al. 2016"}
    assert all("Stochastic Depth" in one.claim or "mask" in one.claim for one, _ in changed)
    assert {other.verdict for _, other in changed} == {UNCHECKED}
    assert not any("Stochastic Depth" in one.claim and one.verdict != UNCHECKED for one in not_asked)


def test_training_time(dials: list, controls: list, statics: list) -> None:
    table = training_time([*dials, *controls, *statics]).set_index("network")
    assert table.loc["dial", "seconds"] == pytest.approx(40)
    assert table.loc["dial", "time_share"] == pytest.approx(40 / math.sqrt(80 * 84))
    assert table.loc["dial", "open_share"] == pytest.approx(0.75)
    assert table.loc["dial", "mmacs"] == pytest.approx(10)
    assert math.isnan(table.loc["small", "time_share"])


def test_training_costs_what_the_network_cost_that_it_began_with(tmp_path: Path, controls: list) -> None:
    earlier = {"epochs": 4, "processor_seconds": 30.0, "mmacs": 8.0}
    later = plant(tmp_path, "later", "dial", 0, 14, {FULL: 0.9}, weights="control", earlier=earlier)
    table = training_time([later, *controls]).set_index("network")
    found = table.loc["later", ["epochs", "seconds", "earlier_seconds", "mmacs", "begins_with"]]
    assert list(found) == [8, 70, 30, 18, "control"]
    assert table.loc["later", "time_share"] == pytest.approx(70 / math.sqrt(80 * 84))
    own = sum(run.history["processor_seconds"].sum() for run in [later, *controls])
    assert 3600 * training_hours([table.reset_index()]) == pytest.approx(own), "no second is counted twice"


def test_the_networks_say_what_they_are(dials: list) -> None:
    table = trained_table(dials)
    assert list(table["seed"]) == [0, 1]
    assert set(table["commit"]) == {"0123456789ab"}


# --- recipes ---


def test_recipes_are_compared_within_a_shape(tmp_path: Path, dials: list) -> None:
    other = plant(tmp_path, "other", "dial", 0, 14, {FULL: 0.91, HALF: 0.90}, recipe={"name": "longer", "epochs": 4})
    deep = plant(tmp_path, "deep", "dial", 0, 20, {"1" * 9: 0.9})
    settings = {
        "dial": {"epochs": 4, "sandwich": None, "survival": {"last": 0.5}},
        "other": {"epochs": 4, "sandwich": {"every": 2, "distil": True}, "survival": {"last": 0.8}},
        "deep": {"epochs": 99, "sandwich": None, "survival": {"last": 0.1}},
    }
    table = recipes([deep, *dials, other], settings, 0).set_index("network")
    assert list(table.index) == ["dial", "other", "deep"], "by depth, then as listed"
    assert table.loc["dial", "differs"] == "no sandwich, survival.last 0.5"
    assert table.loc["other", "differs"] == "sandwich.distil true, sandwich.every 2, survival.last 0.8"
    assert table.loc["deep", "differs"] == ""
    assert table.loc["dial", "at_50"] == pytest.approx(0.875)
    assert table.loc["dial", "gain"] == pytest.approx(0.1)
    assert table.loc["other", "all_masks"] == pytest.approx(np.mean([0.5] * 62 + [0.91, 0.90]))
    assert differing("a", {"a": {"x": 1}}) == ""


def test_hypervolume_by_hand(tmp_path: Path) -> None:
    run = plant(tmp_path, "dial", "dial", 0, 8, {"000": 0.5, "111": 0.9} | dict.fromkeys(["100", "010", "001"], 0.1))
    arch = Architecture(8, 4, 1, 8, 10).describe()
    low = arch.fixed_macs / arch.full_macs
    assert front_hypervolume(run) == pytest.approx((1 - low) * 0.4 + 0.1 * 0.8)


# --- rankings ---


def searches(sensitivity: float, random: tuple[float, float], cost: float = 40.0) -> pd.DataFrame:
    rows = [("sensitivity", 0, cost, sensitivity), ("random", 0, 30.0, random[0]), ("random", 0, 90.0, random[1])]
    table = pd.DataFrame(rows, columns=["strategy", "search_seed", "block_evaluations", "hypervolume_share"])
    return table.assign(masks=10, share_of_exhaustive=table["block_evaluations"] / 100, igd_plus=0.0)


def test_a_strategy_is_judged_at_the_cost_of_the_ranking() -> None:
    table = rankings([searches(0.9, (0.8, 0.99)), searches(0.92, (0.83, 0.99))]).set_index("strategy")
    assert list(table.index) == ["random", "sensitivity"], "the best at the end first"
    assert table.loc["random", "hypervolume"] == pytest.approx(0.99)
    assert table.loc["random", "at_cost"] == pytest.approx(0.815)
    assert table.loc["random", "behind_sensitivity"] == pytest.approx(0.095)
    dear = rankings([searches(0.9, (0.8, 0.99), cost=10.0)]).set_index("strategy")
    assert dear.loc["random", "at_cost"] == pytest.approx(0.8), "after its first generation"


# --- devices ---


def on_device(valid: bool = True) -> pd.DataFrame:
    rows = [("dial", "c00", 1.0), ("dial", "c01", 0.5), ("dial", "c02", 0.3), ("small", "c00", 0.6)]
    table = pd.DataFrame(rows, columns=["network", "configuration", "latency_ms"])
    table["latency_low_ms"], table["latency_high_ms"] = table["latency_ms"] * 0.98, table["latency_ms"] * 1.02
    table["mask"] = [FULL, HALF, ONE, "111"]
    table["val_accuracy"] = [*VALIDATION.values(), 0.84]
    for end in ("", "_low", "_high"):
        table[f"energy{end}_mj"] = table[f"latency{end}_ms"] * 4
    table = table.assign(latency_p99_ms=table["latency_high_ms"], macs=1000, n_inferences=5000)
    return table.assign(energy_source="modelled", valid=valid)


VALIDATION = {"c00": 0.9, "c01": 0.88, "c02": 0.89}
TEST = {"c00": 0.9, "c01": 0.87, "c02": 0.84}


def deploy(dial: Trained, validation: dict[str, float] = VALIDATION, name: str = "configurations") -> None:
    """Write the configurations of a planted dial, and what they reach on the test images."""
    chosen = ConfigurationSet(
        dataset="made-up",
        network=dial.network,
        seed=dial.seed,
        scaling="survival",
        recalibrated=True,
        configurations=tuple(
            Configuration(
                name=slot,
                mask=mask,
                macs=dial.arch.macs(Mask(mask)),
                on_front=slot != "c00",
                validation_accuracy=validation[slot],
                validation_low=0.8,
                validation_high=1.0,
            )
            for slot, mask in zip(validation, (FULL, HALF, ONE), strict=True)
        ),
    )
    write_configurations(dial.folder / f"{name}.json", chosen)
    rows = []
    for slot, accuracy in TEST.items():
        right = np.arange(200) < round(200 * accuracy)
        rows.append((dial.network, slot, 200, right.mean(), 0.8, 0.95, np.packbits(right).tobytes()))
    columns = ["network", "name", "n_test", "test_accuracy", "low", "high", "correct"]
    pd.DataFrame(rows, columns=columns).to_parquet(dial.folder / "test.parquet")


def test_equal_time_takes_what_validation_prefers(dials: list, controls: list, statics: list) -> None:
    deploy(dials[0])
    table = equal_time(on_device(), dials[0], controls[0], [statics[0]], [0.5, 0.2]).set_index("budget")
    assert list(table.index) == ["small", "50 %", "20 %"]
    assert table.loc["small", "configuration"] == "c02", "0.89 on validation, though less accurate on test"
    assert table.loc["small", "speedup"] == pytest.approx(1 / 0.3)
    assert table.loc["small", "dial"] == pytest.approx(0.84)
    assert table.loc["small", "static"] == pytest.approx(0.83)
    assert table.loc["small", "to_static"] == pytest.approx(0.01)
    assert math.isnan(table.loc["50 %", "static"])
    assert table.loc["50 %", "to_constant"] == pytest.approx(-0.06)
    assert pd.isna(table.loc["20 %", "configuration"]), "nothing is that fast"


# --- findings ---


def tables(dials: list, controls: list, statics: list, **changes: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tables of a device: configurations and equal times, with other validation accuracies if asked for."""
    deploy(dials[0], VALIDATION | changes)
    measured = on_device()
    measured["val_accuracy"] = [*(VALIDATION | changes).values(), 0.84]
    control, shares = controls[0], [0.5]
    return configurations(measured, dials[0], control, statics[:1]), equal_time(
        measured, dials[0], control, statics[:1], shares
    )


def test_the_fastest_as_accurate_is_chosen_on_validation(dials: list, controls: list, statics: list) -> None:
    found = as_accurate(tables(dials, controls, statics, c01=0.91, c02=0.9)[0], "dial")
    assert found is not None
    assert found.configuration["configuration"] == "c02", "as accurate on validation as c00, and faster than c01"
    assert found.difference == pytest.approx(-0.06)
    assert found.verdict == LESS, "on the same 200 images it loses twelve and gains none"
    assert found.n_test == 200
    slow = as_accurate(tables(dials, controls, statics, c01=0.91, c02=0.899)[0], "dial")
    assert slow is not None
    assert slow.configuration["configuration"] == "c01"
    assert as_accurate(tables(dials, controls, statics)[0], "dial") is None, "c01 and c02 are less accurate"


def test_static_networks_are_met_by_what_validation_prefers(dials: list, controls: list, statics: list) -> None:
    _, times = tables(dials, controls, statics)
    found = against_static(times)
    assert list(found) == ["small"], "shares of the full network's time are no networks"
    small = found["small"]
    assert small is not None
    assert small.configuration["configuration"] == "c02"
    assert (small.difference, small.verdict) == (pytest.approx(0.01), ALIKE)
    assert against_static(times.assign(configuration=None)) == {"small": None}


@pytest.mark.parametrize(("low", "high", "verdict"), [(0.001, 0.02, MORE), (-0.02, -0.001, LESS), (-0.01, 0.01, ALIKE)])
def test_an_interval_decides_where_it_lies_on_one_side(low: float, high: float, verdict: str) -> None:
    assert Finding({}, "c00", 0.0, low, high, 9).verdict == verdict


def test_the_page_says_what_it_counts(dials: list, controls: list, statics: list) -> None:
    rivals = [("schedule with feedback", 23.0), ("full network", 10.0)]
    policies = [{"policy": name, "inferences_per_charge": count} for name, count in rivals]
    on_device, in_time = tables(dials, controls, statics, c02=0.9)
    first = first_sentence(on_device, "dial", policies)
    assert re.fullmatch(
        r"c02 \(1 of 6 blocks\) answers \d\.\d times as fast as the full network at 6\.0 points less "
        r"accuracy \(paired interval -9\.3 to -2\.5\); "
        r"a charge serves 2\.3 times as many inputs\.",
        first,
    )
    second, third = further_sentences(on_device, in_time, "dial", False)
    assert second.startswith("c02 is the fastest configuration that is at least as accurate as the full network")
    assert "200 test images, read once, judge it" in second
    assert third.startswith("In the time of the static small, c02 is not told apart from it: +1.0 points [")


def test_the_smallest_static_network_that_is_as_good_is_named(dials: list, controls: list, statics: list) -> None:
    on_device, in_time = tables(dials, controls, statics)
    rows = {name: in_time[in_time["budget"] == "small"].assign(budget=name) for name in ("small", "smaller")}
    smaller = on_device[on_device["network"] == "small"].assign(network="smaller", macs=1)
    both = pd.concat([on_device, smaller]), pd.concat([in_time, rows["smaller"]])

    def last(low: float, high: float, easy: bool = True) -> str:
        """The last sentence where the dial is so much better than ``smaller``; from ``small`` it is not told apart."""
        ends = both[1]["budget"] == "smaller"
        times = both[1].assign(
            to_static_low=both[1]["to_static_low"].mask(ends, low),
            to_static_high=both[1]["to_static_high"].mask(ends, high),
        )
        return further_sentences(both[0], times, "dial", easy)[-1]

    assert last(-0.01, 0.03).startswith(
        "On these digits the static smaller, in its own time, is as good as the dial, as far as 200 test images tell"
    )
    assert last(-0.03, -0.01).startswith("On these digits the static smaller, in its own time, is better than the dial")
    assert last(0.01, 0.03).startswith("On these digits the static small, in its own time, is as good as the dial")
    assert not last(-0.01, 0.03, easy=False).startswith("On these digits")


def test_where_the_dial_beats_every_static_network_none_is_called_as_good(
    dials: list, controls: list, statics: list
) -> None:
    on_device, in_time = tables(dials, controls, statics)
    better = in_time.assign(to_static_low=0.002)
    assert not any("digits" in said for said in further_sentences(on_device, better, "dial", True))
    nothing_as_fast = in_time.assign(configuration=None)
    assert not any("digits" in said for said in further_sentences(on_device, nothing_as_fast, "dial", True))


def test_the_page_points_to_results_on_harder_images() -> None:
    pages = re.findall(r"docs/[\w/]+\.md", HARDER)
    assert pages
    for page in pages:
        assert "CIFAR-10" in (Path(__file__).parents[2] / page).read_text()


def test_a_page_begins_with_what_the_best_dial_is_worth(
    tmp_path: Path, dials: list, controls: list, statics: list
) -> None:
    """Against its own full network, the original of constant depth, and what one would deploy instead."""
    on_device, in_time = tables(dials, controls, statics)
    made = {
        "configurations": on_device,
        "equal_time": in_time,
        "equal_macs": equal_macs(dials, controls, statics),
        "training": training_time([*dials, *controls, *statics]),
        "recipes": pd.DataFrame({"network": ["other", "dial"], "hypervolume": [0.5, 0.6]}),
    }

    def said_of(tables: dict[str, pd.DataFrame]) -> str:
        for name, made_up in tables.items():
            write_csv(tmp_path / f"tables/{name}.csv", made_up)
        paths = {name: str(tmp_path / f"tables/{name}.csv") for name in tables}
        dials = [{"title": name, "network": name, "device": "a board"} | paths for name in ("other", "dial")]
        return worth(dials, tmp_path)

    said = said_of(made)
    prose, table, note = said.split("\n\n")
    assert prose.startswith("**dial**, on a board. With all blocks the dial has ")
    assert "In 30 % of the time of all blocks it is not told apart from that network (-6.00 [" in prose
    assert "In the time of the static networks it is not told apart from small. It was trained for " in prose
    rows = [line.split(" | ") for line in table.splitlines()[2:]]
    assert [row[0] for row in rows] == [
        "| its own full network",
        "| constant depth",
        "| constant depth, in half its time",
        "| the static small, in its time",
        "| the static small, at no more MACs",
    ]
    assert all(re.match(r"[+-]\d+\.\d\d \[", row[2]) for row in rows)
    assert "c02 (1 of 6 blocks): 30.00 % [29.16, 30.86] of the time" in rows[2][1]
    assert note.endswith(
        "Numbers: [configurations.csv](tables/configurations.csv), [equal_time.csv](tables/equal_time.csv), "
        "[equal_macs.csv](tables/equal_macs.csv)."
    )
    slow = on_device.assign(speedup=1.1, speedup_low=1.05, speedup_high=1.15)
    assert "No configuration takes half of the time of all blocks." in said_of(made | {"configurations": slow})
    alone = on_device.assign(to_constant=None, to_constant_low=None, to_constant_high=None)
    without = training_time([*dials, *statics])
    assert "constant depth" not in said_of(made | {"configurations": alone, "training": without})
    assert "trained for" not in said_of(made | {"training": made["training"].assign(epochs=0)})
    none_as_fast = in_time.assign(configuration=None)
    assert "None of its configurations is as fast as small." in said_of(made | {"equal_time": none_as_fast})


def test_where_no_faster_one_is_as_accurate_the_page_says_so(dials: list, controls: list, statics: list) -> None:
    on_device, in_time = tables(dials, controls, statics)
    best = on_device[(on_device["network"] == "dial") & (on_device["configuration"] != "c00")]
    name = best.sort_values("val_accuracy").iloc[-1]["configuration"]
    assert first_sentence(on_device, "dial", []).startswith(f"{name} (")
    assert "charge" not in first_sentence(on_device, "dial", [])
    said = further_sentences(on_device, in_time, "dial", False)[0]
    assert said == "On the validation images every faster configuration is less accurate than the full network."


def test_the_page_says_where_the_full_network_is_not_on_the_front(tmp_path: Path, dials: list) -> None:
    table = equal_macs(dials, [], [])
    assert not table["seeds_off_front"].any()
    assert off_front(table) == []
    beaten = plant(tmp_path, "beaten", "dial", 2, 14, {FULL: 0.9, HALF: 0.9})
    table = equal_macs([dials[0], beaten], [], [])
    assert list(table["seeds_off_front"]) == [1, 0, 0], "masks that were chosen are on it"
    (said,) = off_front(table)
    assert said.startswith("In 1 of 2 seeds the full network is not on the front of accuracy against MACs")


# --- claims ---


def evidence(dials: list, controls: list, statics: list, **changes: object) -> Evidence:
    deploy(dials[0])
    known: dict[str, object] = {
        "network": "dial",
        "dataset": "made up",
        "depth": 14,
        "equal_macs": equal_macs(dials, controls, statics),
        "skipping": skipping(dials, controls),
        "training": training_time([*dials, *controls, *statics]),
        "rankings": None,
    }
    if "devices" not in changes:
        control = controls[0] if controls else None
        known["devices"] = {"here": configurations(on_device(), dials[0], control, statics[:1])}
    return Evidence(**(known | changes))  # type: ignore[arg-type]


def verdicts(found: list[Claim]) -> dict[str, Claim]:
    return {claim.claim.split(":")[0]: claim for claim in found}


def test_claims_that_hold_and_that_do_not(dials: list, controls: list, statics: list) -> None:
    found = verdicts(claims([evidence(dials, controls, statics)]))
    resilient = next(claim for name, claim in found.items() if "resilient" in name)
    assert resilient.verdict == HOLDS
    gap = found["ResNet-110, 37 of 54 blocks skipped"]
    assert gap.verdict == UNCHECKED
    assert "no ResNet-110 in this experiment; ResNet-14: at most" in gap.here
    assert found["Up to twice the power efficiency of the original ResNet at drops as low as 0.71 points"].verdict == (
        UNCHECKED
    )
    half = found["The same in time"]
    assert half.verdict == OPEN, "six points of 200 images say little"
    assert half.here.startswith("here: c02 takes 30.00 % [29.16, 30.86] of the time at -6.00 [")
    assert found["The dial is at least as accurate as the static small of no fewer MACs"].verdict == OPEN
    assert found["The results on CIFAR-100"].verdict == UNCHECKED


def test_a_claim_that_fails_is_said_to_fail(dials: list, controls: list, statics: list) -> None:
    turned = claims([evidence(controls, dials, statics, network="control", devices={})])
    resilient = next(claim for claim in turned if "resilient" in claim.claim)
    assert resilient.verdict == FAILS
    worse = pd.DataFrame({"strategy": ["sensitivity", "random", "l2"], "behind_sensitivity": [0.0, -0.2, 0.3]})
    worse["behind_sensitivity_low"] = worse["behind_sensitivity"] - 0.1
    worse["behind_sensitivity_high"] = worse["behind_sensitivity"] + 0.1
    ranking = next(
        claim for claim in claims([evidence(dials, controls, statics, rankings=worse)]) if "Ranking" in claim.claim
    )
    assert ranking.verdict == FAILS
    assert "random -20.00 [-30.00, -10.00], l2 +30.00 [+20.00, +40.00]" in ranking.here


def test_a_noisy_device_decides_nothing(dials: list, controls: list, statics: list) -> None:
    deploy(dials[0])
    noisy = configurations(on_device(valid=False), dials[0], controls[0], statics[:1])
    found = verdicts(claims([evidence(dials, controls, statics, devices={"here": noisy})]))
    assert found["The same in time"].verdict == OPEN
    assert found["The same in time"].here.endswith("the device was too noisy")


def test_measured_energy_is_judged(dials: list, controls: list, statics: list) -> None:
    deploy(dials[0])
    table = configurations(on_device().assign(energy_source="rapl"), dials[0], controls[0], statics[:1])
    found = verdicts(claims([evidence(dials, controls, statics, devices={"here": table})]))
    power = found["Up to twice the power efficiency of the original ResNet at drops as low as 0.71 points"]
    assert power.verdict == OPEN
    assert "c02 takes 30.00 % [29.16, 30.86] of the energy" in power.here


def half_time(speedups: list[tuple[float, float, float]], to_constant: tuple[float, float, float]) -> pd.DataFrame:
    """A device's rows: value, low and high of each speed-up; the same difference to constant depth for all."""
    rows = pd.DataFrame(speedups, columns=["speedup", "speedup_low", "speedup_high"])
    rows["configuration"] = [f"c{index:02d}" for index in range(len(rows))]
    rows["val_accuracy"] = [0.9 - 0.01 * index for index in range(len(rows))]
    rows[["to_constant", "to_constant_low", "to_constant_high"]] = to_constant
    return rows.assign(valid=True, energy_source="modelled", n_test=1500, energy_share=1 / rows["speedup"])


def device_alone(rows: pd.DataFrame) -> Evidence:
    nothing = pd.DataFrame()
    return Evidence("dial", "made up", 14, nothing, nothing, nothing, devices={"here": rows})


GOOD, BAD = (0.0, -0.005, 0.005), (-0.02, -0.03, -0.01)


@pytest.mark.parametrize(
    ("speedups", "to_constant", "verdict", "said"),
    [
        ([(1, 1, 1), (1.99, 1.97, 2.02), (3.0, 2.9, 3.1)], GOOD, HOLDS, "c02 takes 33.33 %"),
        ([(1, 1, 1), (1.99, 1.97, 2.02)], GOOD, OPEN, r"c01 takes 50.25 % \[49.50, 50.76\]"),
        ([(1, 1, 1), (1.99, 1.97, 2.02)], BAD, FAILS, "c01 takes 50.25 %"),
        ([(1, 1, 1), (1.9, 1.85, 1.95)], GOOD, FAILS, "none takes half of the time; c01 takes 52.63 %"),
        ([(1, 1, 1), (2.2, 2.1, 2.3), (3.0, 2.9, 3.1)], BAD, FAILS, "c01 takes 45.45 %"),
    ],
)
def test_half_the_time_is_judged_by_its_interval(
    speedups: list, to_constant: tuple[float, float, float], verdict: str, said: str
) -> None:
    """Half is not decided where the interval of the ratio holds it; c01 is preferred to c02 on validation."""
    found = time(device_alone(half_time(speedups, to_constant)))
    assert found.verdict == verdict
    assert re.search(said, found.here)


@pytest.mark.slow
def test_a_drop_that_is_exactly_the_bound_seldom_seems_to_hold() -> None:
    """Six configurations, each truly as much less accurate as the claim allows: 2.5 % of experiments may say "holds".

    The best of the six by test, as it was judged before, says so far more often.
    """
    generator = np.random.default_rng(0)
    images, k, experiments = 1500, 6, 1500
    gained, lost = 0.03, 0.03 + DROP
    holds, best_by_test = 0, 0
    rows = half_time([(2.5, 2.4, 2.6)] * k, GOOD)
    constant = np.arange(images) < 0.9 * images
    for _ in range(experiments):
        flips = generator.random((k, images)) < np.where(constant, lost / 0.9, gained / 0.1)
        differences = [same_images(constant ^ flip, constant) for flip in flips]
        table = rows.assign(val_accuracy=generator.normal(0.9, 0.006, k))
        table["to_constant_low"] = [found.low for found in differences]
        table["to_constant_high"] = [found.high for found in differences]
        holds += time(device_alone(table)).verdict == HOLDS
        best_by_test += max(found.low for found in differences) >= -DROP
    assert 0.012 < holds / experiments < 0.038
    assert best_by_test / experiments > 0.08


def test_the_gap_of_resnet_110(dials: list, controls: list, statics: list) -> None:
    wide = skipping(dials, controls)
    wide.loc[3, ["skipped", "dial_spread", "dial_spread_low", "masks", "complete"]] = [37, 0.52, 0.5, 300, False]
    found = verdicts(claims([evidence(dials, controls, statics, skipping=wide, depth=110)]))
    gap = found["ResNet-110, 37 of 54 blocks skipped"]
    assert gap.verdict == HOLDS
    assert "over the 300 masks measured, which are few and chosen" in gap.here
    both = claims([evidence(dials, controls, statics), evidence(dials, controls, statics, skipping=wide, depth=110)])
    assert not [claim for claim in both if "no ResNet-110" in claim.here], "there is one"


@pytest.mark.parametrize("drop", ["0.71", "0.30"])
def test_half_of_the_latency_is_a_goal(dials: list, controls: list, statics: list, drop: str) -> None:
    found = verdicts(claims([evidence(dials, controls, statics)]))
    goal = found[f"Half the latency of ResNet-14 of constant depth, at most {drop} points below it"]
    assert goal.here.startswith("here: c02 takes 30.00 % [29.16, 30.86] of the time at -6.00 [")
    assert goal.here.endswith("of the energy, modelled from time")


def test_without_a_control_nothing_is_claimed(dials: list, statics: list) -> None:
    found = claims([evidence(dials, [], statics)])
    judged = {claim.claim for claim in found if claim.verdict in (HOLDS, FAILS)}
    assert not judged
    assert sum("no constant-depth network" in claim.here for claim in found) == 4


def test_only_the_best_dial_is_held_against_the_goals(dials: list, controls: list, statics: list) -> None:
    ours = evidence(dials, controls, statics, published=False)
    paper = evidence(dials, controls, statics, best=False, network="dial")
    found = claims([ours, paper])
    assert sum("resilient" in claim.claim for claim in found) == 1
    assert sum("static small" in claim.claim for claim in found) == 1


def test_intervals_are_columns() -> None:
    assert Interval(1, 0, 2, 3).columns("x") == {"x": 1, "x_low": 0, "x_high": 2}
