"""The integer program: against brute force, planted optima, monotone tables, duals, refusals."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from depthdial.config.schedule import Floor, Grid, Schedule
from depthdial.errors import ArtefactError, ScheduleError
from depthdial.schedule.build import build_schedule, describe
from depthdial.schedule.check import check_solution, violations
from depthdial.schedule.choices import Choice, choices_of, read_latency_table
from depthdial.schedule.conditions import estimate
from depthdial.schedule.grid import encode, make_grid
from depthdial.schedule.problem import Conditions, Problem, make_problem
from depthdial.schedule.sensitivity import curve, energy_prices, is_binding, time_prices
from depthdial.schedule.solution import Solution
from depthdial.schedule.solve import prune, solve
from depthdial.schedule.table import read_schedule, write_schedule
from depthdial.traces.trace import read_traces
from tests.rigs.schedules import brute_force, latency_table, random_problem

TRACES = ["config/traces/drain.yaml", "config/traces/bursty.yaml"]


def agrees(problem: Problem) -> Solution | None:
    """Solve and compare with brute force; None if neither finds a table."""
    wanted = brute_force(problem)
    if wanted is None:
        with pytest.raises(ScheduleError):
            solve(problem)
        return None
    found = solve(problem)
    assert violations(problem, found) == []
    assert found.misses == pytest.approx(wanted[0], abs=1e-6)
    assert found.accuracy == pytest.approx(wanted[1], abs=2e-7)
    assert found.accuracy <= found.bound + 1e-9
    assert found.gap <= 1e-6
    return found


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10_000),
    shape=st.sampled_from([(1, 4, 4), (2, 3, 4), (3, 2, 3), (2, 2, 5)]),
    resident=st.integers(1, 3),
    budget=st.floats(0.05, 1.0),
)
def test_agrees_with_brute_force(seed: int, shape: tuple[int, int, int], resident: int, budget: float) -> None:
    agrees(random_problem(seed, *shape, resident=resident, budget=budget))


@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_brute_force_by_resident_sets(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("depthdial.schedule.solve.DIRECT", 0)
    agrees(random_problem(seed, 2, 3, 4, resident=2, budget=0.5))


@pytest.mark.parametrize("seed", range(4))
def test_floors_and_memory_agree_with_brute_force(seed: int) -> None:
    floors = (Floor(accuracy=0.9, where={"deadline": (0.8, 2.0)}),)
    found = agrees(
        random_problem(seed, 2, 3, 5, resident=3, budget=0.9, floors=floors, memory_bytes=2010, monotone=False)
    )
    if found is not None:
        assert len(found.residents) <= 2


def test_reserve_levels_have_budgets_of_their_own() -> None:
    problem = random_problem(3, 3, 2, 4, axis="reserve", resident=3, budget=0.4, monotone=False)
    found = solve(problem)
    assert len(problem.budgets) == 3
    assert np.all(found.energy_mj <= found.limits_mj * (1 + 1e-7))
    assert np.all(np.diff(found.energy_mj) >= -1e-12)
    wanted = brute_force(
        replace(
            problem,
            budgets=tuple(
                replace(b, limit_mj=float(limit)) for b, limit in zip(problem.budgets, found.limits_mj, strict=True)
            ),
        )
    )
    assert wanted is not None
    assert found.accuracy == pytest.approx(wanted[1], abs=2e-7)


def test_planted_optimum_is_found() -> None:
    """Each deadline has one configuration that is the most accurate in time; the charge pays for exactly those."""
    latency = [1.0, 0.7, 0.4]
    choices = tuple(
        Choice(f"c{i:02d}", "net", a, t, t, t, t, "rapl", 0)
        for i, (t, a) in enumerate(zip(latency, [0.95, 0.9, 0.8], strict=True))
    )
    grid_settings = Grid(reserve=(), deadline_relative=(), deadline_ms=(0.4, 0.7, 1.0))
    plan = Schedule(grid=grid_settings, charge_relative=None, charge_j=0.7 * 1e-3 * 90, resident=3)
    grid = make_grid(plan.grid, 1.0)
    conditions = Conditions(np.full(3, 1 / 3), np.full(3, 1.0), {}, 90.0)
    found = solve(make_problem(plan, grid, choices, conditions))
    assert found.choice.tolist() == [2, 1, 0]
    assert found.gap < 1e-12


@settings(max_examples=10)
@given(seed=st.integers(0, 1000), budget=st.floats(0.2, 0.9))
def test_less_energy_never_runs_the_costlier_configuration(seed: int, budget: float) -> None:
    problem = random_problem(seed, 4, 5, 5, resident=4, budget=budget)
    found = solve(problem)
    for less, more in problem.ordered:
        assert problem.energy_mj[found.choice[less]] <= problem.energy_mj[found.choice[more]]


def test_order_costs_accuracy_but_is_kept() -> None:
    problem = random_problem(5, 3, 3, 4, resident=3, budget=0.3)
    assert solve(replace(problem, ordered=())).accuracy >= solve(problem).accuracy - 1e-9


def test_fewest_switches_break_ties() -> None:
    """Two equal configurations: the table that never changes wins."""
    choices = tuple(Choice(f"c{i:02d}", "net", 0.9, 0.5, 0.5, 0.5, 1.0 + i, "rapl", 0) for i in range(2))
    plan = Schedule(
        grid=Grid(reserve=(), deadline_relative=(), deadline_ms=(0.6, 0.8, 1.0)),
        charge_relative=None,
        charge_j=1.0,
        monotone=False,
    )
    moves = {(0, 1): 0.1, (1, 2): 0.1}
    conditions = Conditions(np.full(3, 1 / 3), np.full(3, 1.0), moves, 100.0)
    found = solve(make_problem(plan, make_grid(plan.grid, 0.5), choices, conditions))
    assert found.switches == 0


def test_price_of_switching_is_paid_from_the_charge() -> None:
    free = random_problem(7, 1, 5, 4, resident=4, budget=0.6, moves=True)
    dear = replace(free, switch_energy_mj=50.0)
    assert solve(dear).switches <= solve(free).switches
    assert solve(dear).accuracy <= solve(free).accuracy + 1e-9
    assert violations(dear, solve(dear)) == []


def test_price_of_switching_in_time_comes_off_the_deadline() -> None:
    fast = random_problem(2, 1, 6, 4)
    slow = random_problem(2, 1, 6, 4, switch_ms=0.1)
    assert slow.serves.sum() < fast.serves.sum()


def test_load_excludes_what_cannot_keep_up() -> None:
    choices = choices_of(latency_table(), "resnet20-sd")
    plan = Schedule(grid=Grid(reserve=(), deadline_ms=(10.0,), deadline_relative=(), rate_hz=(100.0, 3000.0)))
    grid = make_grid(plan.grid, 0.54)
    conditions = Conditions(np.full(2, 0.5), grid.values("rate", 0), {}, 1000.0)
    problem = make_problem(plan, grid, choices, conditions)
    assert problem.serves[0].all()
    assert problem.serves[1].tolist() == [c.latency_p99_ms * 3 <= 0.9 for c in choices]


def test_unservable_cells_are_served_by_the_fastest_and_listed() -> None:
    problem = random_problem(1, 2, 4, 4, resident=2, budget=0.8)
    assert problem.unservable.any()
    found = solve(problem)
    fastest = min(found.residents, key=lambda c: problem.latency_ms[c])
    assert set(found.choice[found.missed].tolist()) == {fastest}
    settings_ = Schedule(grid=Grid(), charge_j=None)
    listed = describe(problem, found, settings_, "here").unserved
    assert [cell.cell for cell in listed] == np.flatnonzero(found.missed).tolist()
    assert not any(cell.servable for cell in listed if problem.unservable[cell.cell])


def test_binding_budget_is_found_by_its_dual() -> None:
    problem = random_problem(11, 4, 20, 8, resident=4, budget=0.2)
    found = solve(problem)
    prices = energy_prices(problem, found)
    assert is_binding(found, prices).all()
    step = 0.002 * problem.budgets[0].limit_mj
    more = solve(replace(problem, budgets=(replace(problem.budgets[0], limit_mj=problem.budgets[0].limit_mj + step),)))
    assert (more.accuracy - found.accuracy) / step == pytest.approx(prices[0], rel=0.25)
    rich = replace(problem, budgets=(replace(problem.budgets[0], limit_mj=10.0),))
    assert energy_prices(rich, solve(rich))[0] == 0
    assert not is_binding(solve(rich), energy_prices(rich, solve(rich))).any()


def test_time_has_a_price_where_a_better_configuration_is_too_slow() -> None:
    problem = random_problem(11, 1, 6, 5, resident=5, budget=1.0)
    found = solve(problem)
    prices = time_prices(problem, found, energy_prices(problem, found))
    assert any(price.accuracy_per_ms > 0 for price in prices)
    for price in prices:
        if price.accuracy_per_ms > 0:
            assert price.deadline_ms + price.next_ms == pytest.approx(problem.latency_ms[price.choice])


def test_curve_over_k_never_falls() -> None:
    problem = random_problem(4, 2, 6, 6, budget=0.5)
    accuracies = [solution.accuracy for _, solution in curve(problem, 6)]
    assert len(accuracies) == 6
    assert all(b >= a - 2e-7 for a, b in itertools.pairwise(accuracies))


def test_pruning_keeps_the_optimum() -> None:
    problem = random_problem(9, 2, 3, 5, resident=2, budget=0.5)
    worse = Choice("c99", "net", 0.1, 0.9, 0.95, 1.0, 2.0, "modelled", 9999)
    larger = replace(
        problem,
        choices=(*problem.choices, worse),
        serves=np.column_stack([problem.serves, problem.latency_ms[0] <= np.ones(problem.grid.size) * 0]),
        latency_ms=np.append(problem.latency_ms, 1.0),
        energy_mj=np.append(problem.energy_mj, 2.0),
        accuracy=np.append(problem.accuracy, 0.1),
        memory=np.append(problem.memory, 9999),
    )
    assert 5 not in prune(larger)[1]
    assert solve(larger).accuracy == pytest.approx(solve(problem).accuracy, abs=2e-7)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_six_hundred_cells_are_proven(seed: int) -> None:
    problem = random_problem(seed, 10, 60, 30, resident=6, budget=0.5)
    found = solve(problem)
    assert found.gap <= 2e-7
    assert violations(problem, found) == []


# ------------------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"resident": 0}, "K = 0, but at least one configuration runs"),
        ({"memory_bytes": 10}, "10 bytes hold no configuration; the smallest takes 1000"),
    ],
)
def test_senseless_bounds_are_refused(change: dict[str, int], text: str) -> None:
    with pytest.raises(ScheduleError, match=text):
        solve(replace(random_problem(0, 2, 2, 3), **change))  # type: ignore[arg-type]


def test_a_budget_of_nothing_is_refused() -> None:
    problem = random_problem(0, 2, 2, 3)
    budgets = tuple(replace(budget, limit_mj=0.0) for budget in problem.budgets)
    with pytest.raises(ScheduleError, match=r"budget .*: 0\.0 mJ per inference is no budget"):
        solve(replace(problem, budgets=budgets))


def test_a_table_that_breaks_its_constraints_is_never_handed_over() -> None:
    problem = random_problem(0, 2, 2, 3, resident=2, budget=0.6)
    found = solve(problem)
    check_solution(problem, found)
    broken = replace(found, limits_mj=found.limits_mj / 2)
    with pytest.raises(ScheduleError, match=r"violates its own constraints \(please report this\): budget .* at most"):
        check_solution(problem, broken)


def test_charge_below_the_cheapest_is_refused_with_what_is_needed() -> None:
    with pytest.raises(ScheduleError, match=r"charge is below the cheapest table: .* mJ are needed; .* raise schedule"):
        solve(random_problem(0, 2, 2, 3, budget=-0.2))


def test_charge_that_cannot_pay_for_the_deadlines_is_refused() -> None:
    """The cheapest configuration is too slow; the fast one is beyond the charge."""
    choices = (
        Choice("c00", "net", 0.9, 0.9, 0.9, 0.9, 1.0, "rapl", 0),
        Choice("c01", "net", 0.8, 0.2, 0.2, 0.2, 3.0, "rapl", 0),
    )
    plan = Schedule(grid=Grid(reserve=(), deadline_relative=(), deadline_ms=(0.3,)), charge_relative=None, charge_j=0.2)
    conditions = Conditions(np.ones(1), np.ones(1), {}, 100.0)
    with pytest.raises(ScheduleError, match="at least 3 mJ are needed"):
        solve(make_problem(plan, make_grid(plan.grid, 0.9), choices, conditions))


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("latency_ms", -1.0, "must be finite and above 0"),
        ("latency_ms", float("nan"), "must be finite and above 0"),
        ("energy_mj", float("inf"), "must be finite and above 0"),
        ("val_accuracy", float("nan"), r"accuracy is a fraction in \[0, 1\], got nan"),
        ("val_accuracy", 1.2, r"accuracy is a fraction in \[0, 1\], got 1.2"),
        ("latency_p90_ms", 99.0, "latency quantiles must ascend"),
        ("resident_bytes", -1, "resident bytes -1 are negative"),
    ],
)
def test_senseless_measurements_are_refused(field: str, value: float, text: str) -> None:
    table = latency_table().astype({"resident_bytes": float})
    table.loc[2, field] = value
    with pytest.raises(ScheduleError, match=text):
        choices_of(table, "resnet20-sd")


def test_network_without_valid_measurements_is_refused() -> None:
    with pytest.raises(ScheduleError, match=r"vgg: the latency table has no valid measurement.*'resnet14'"):
        choices_of(latency_table(), "vgg")
    table = latency_table()
    table.loc[0, "valid"] = False
    with pytest.raises(ScheduleError, match="no valid measurement of c00"):
        build_schedule(table, "resnet20-sd", "here", Schedule(), TRACES, (0,))


def test_a_grid_with_holes_is_refused() -> None:
    plan = Schedule()
    grid = make_grid(plan.grid, 0.5)
    choices = choices_of(latency_table(), "resnet20-sd")
    hole = Conditions(np.full(grid.size - 1, 1 / (grid.size - 1)), np.ones(grid.size), {}, 10.0)
    with pytest.raises(ScheduleError, match="the grid has a hole: 64 cells"):
        make_problem(plan, grid, choices, hole)
    weight = np.full(grid.size, 1 / grid.size)
    weight[5] = np.nan
    with pytest.raises(ScheduleError, match=r"weights: cell .* has nan"):
        make_problem(plan, grid, choices, Conditions(weight, np.ones(grid.size), {}, 10.0))
    with pytest.raises(ScheduleError, match=r"sum to 0\.5, not to 1"):
        make_problem(plan, grid, choices, Conditions(np.full(64, 0.5 / 64), np.ones(64), {}, 10.0))
    with pytest.raises(ScheduleError, match=r"a plan of 0\.0 inferences"):
        make_problem(plan, grid, choices, Conditions(np.full(64, 1 / 64), np.ones(64), {}, 0.0))


def test_levels_that_fall_together_are_refused() -> None:
    with pytest.raises(ScheduleError, match="are not distinct numbers in range"):
        make_grid(Grid(reserve=(1.0, 1.0001)), 0.5)


def test_floor_on_an_axis_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValidationError, match="floors: the grid has no axis rate; it has reserve, deadline"):
        Schedule(floors=(Floor(accuracy=0.5, where={"rate": (0, 1)}),))


def test_probabilities_must_fit_the_grid() -> None:
    with pytest.raises(ValidationError, match=r"probabilities.reserve: 8 weights, one for each level"):
        Schedule(probabilities={"reserve": (1.0,)})
    with pytest.raises(ValidationError, match="probabilities: the grid has no axis rate"):
        Schedule(probabilities={"rate": (1.0,)})


def test_traces_beyond_the_grid_are_refused() -> None:
    traces = read_traces(TRACES, (0,), 0.5)
    plan = Schedule(grid=Grid(deadline_relative=(), deadline_ms=(1e6,)))
    with pytest.raises(ScheduleError, match="no step of the training traces falls inside the grid"):
        estimate(plan, make_grid(plan.grid, 0.5), traces)


def test_unproven_table_is_refused() -> None:
    with pytest.raises(ScheduleError, match=r"the table is not proven optimal; raise schedule\.time_limit_s"):
        solve(random_problem(0, 8, 30, 12, resident=4, budget=0.5, axis="reserve"), time_limit_s=0.01)


# ------------------------------------------------------------------------------------------ whole


def test_probabilities_come_from_traces_or_are_given() -> None:
    plan = Schedule(probabilities={"reserve": tuple(range(1, 9))})
    grid = make_grid(plan.grid, 0.5)
    conditions = estimate(plan, grid, read_traces(TRACES, (0, 1), 0.5))
    assert conditions.weight.sum() == pytest.approx(1)
    assert (conditions.weight > 0).all()
    by_level = conditions.weight.reshape(grid.shape).sum(axis=1)
    assert np.all(np.diff(by_level) > 0)
    assert conditions.transitions
    assert conditions.inferences == pytest.approx(5 * 86400, rel=0.1)


def test_schedule_file_survives_a_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "schedule.json"
    table = build_schedule(
        latency_table(), "resnet20-sd", "here", Schedule(grid=Grid(reserve=(0.8, 1.0, 1.2)), resident=2), TRACES, (0,)
    )
    write_schedule(path, table)
    assert read_schedule(path) == table
    assert table.energy_source == "modelled"
    assert table.status == "optimal"
    assert len(table.curve) == 6
    text = path.read_text()
    path.write_text(text.replace('"schema_version": 1', '"schema_version": 2'))
    with pytest.raises(ArtefactError, match="cannot be read as a schedule of version 1"):
        read_schedule(path)


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ('"cells": [', '"cells": [\n    0,', "64 cells expected, got 65"),
        ('"name": "deadline"', '"name": "tide"', "must be some of"),
    ],
)
def test_damaged_schedule_is_refused(tmp_path: Path, old: str, new: str, text: str) -> None:
    path = tmp_path / "schedule.json"
    path.write_text((Path("tests/data/schedule.json")).read_text().replace(old, new, 1))
    with pytest.raises(ArtefactError, match=text):
        read_schedule(path)


@pytest.mark.parametrize(
    ("part", "value", "text"),
    [
        (("axes", 0, "levels"), [500, 500], "axis reserve: levels must ascend without repetition"),
        (("axes", 0, "levels", 0), -1, "axis reserve: levels are out of range"),
        (("cells", 0), 99, "a cell names a configuration that is not there"),
        (("configurations", 0, "latency_ms"), 1e9, "configurations must be ordered fastest first"),
        (("configurations",), [], "1 to 255 configurations expected, got 0"),
    ],
)
def test_a_schedule_that_contradicts_itself_is_refused(part: tuple, value: object, text: str, tmp_path: Path) -> None:
    values = json.loads(Path("tests/data/schedule.json").read_text())
    inner = values
    for key in part[:-1]:
        inner = inner[key]
    inner[part[-1]] = value
    if part[-1] == "levels":
        share = len(values["cells"]) // 8
        values["cells"] = values["cells"][: share * 2]
    (tmp_path / "schedule.json").write_text(json.dumps(values))
    with pytest.raises(ArtefactError, match=text):
        read_schedule(tmp_path / "schedule.json")


def test_latency_table_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "latency.parquet"
    latency_table().drop(columns="energy_source").to_parquet(path)
    with pytest.raises(ArtefactError, match="lacks energy_source; measure the device again"):
        read_latency_table(path)
    path.write_bytes(b"nothing")
    with pytest.raises(ArtefactError, match="cannot be read as a Parquet table"):
        read_latency_table(path)


def test_encoding_rounds_to_the_safe_side() -> None:
    assert encode("deadline", 0.0000015) == 1
    assert encode("rate", 0.0015) == 2
    assert encode("temperature", 20.0) == 2932
    unknown = 2**64 - 1
    assert [encode("deadline", x) for x in (float("nan"), -1.0, 1e30, float("inf"))] == [unknown] * 4
