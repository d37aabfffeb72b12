"""`depthdial choose` says what the selector does, on every table and under all conditions, and why."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from depthdial.cli import app
from depthdial.deploy.manifest import Manifest, read_manifest, write_manifest
from depthdial.errors import ScheduleError
from depthdial.files import sha256_file
from depthdial.schedule.explain import cell_at, explain, reasons
from depthdial.schedule.grid import AXES, decode
from depthdial.schedule.selector import Inputs, Selector
from depthdial.schedule.table import ScheduleTable, read_schedule
from tests.rigs.bundles import make_bundle
from tests.unit.test_selector import made_up

GOLDEN = Path(__file__).parents[1] / "data/schedule.json"
ARGUMENTS = {
    "battery": "battery",
    "rate": "rate_hz",
    "slowdown": "slowdown",
    "temperature": "temperature_c",
    "deadline": "deadline_ms",
}


def selected(table: ScheduleTable, conditions: dict[str, float]) -> str:
    """What the selector, which has learnt nothing yet, takes under conditions in physical units."""
    given = {ARGUMENTS[axis]: value for axis, value in conditions.items() if axis != "reserve"}
    given.setdefault("deadline_ms", 1.0)
    left = conditions.get("reserve", 1.0)
    inputs = Inputs.measured(**given, energy_left_mj=1000 * left, energy_planned_mj=1000)  # type: ignore[arg-type]
    return table.configurations[Selector(table).look_up(inputs)].name


@given(st.integers(0, 10**6), st.sets(st.sampled_from([a for a in AXES if a != "slowdown"]), min_size=1))
def test_what_is_explained_is_what_the_selector_takes(seed: int, axes: set[str]) -> None:
    table = made_up(seed, tuple(axes), gain=0)
    draw = random.Random(seed)
    for _ in range(10):
        conditions = {}
        for axis in table.grid.axes:
            # At levels, halfway between them, and beyond the grid.
            level = draw.choice([*axis.levels, axis.levels[0] / 2, axis.levels[-1] * 1.5])
            conditions[axis.name] = max(decode(axis.name, level), 0.0)
            conditions[axis.name] = round(conditions[axis.name], 9)
        assert explain(table, cell_at(table, conditions)).configuration == selected(table, conditions)


@given(st.integers(0, 10**6))
def test_what_would_be_better_is_the_nearest_that_is(seed: int) -> None:
    base = made_up(seed, ("reserve", "deadline"))
    ranked = [c.model_copy(update={"accuracy": 0.5 + 0.01 * i}) for i, c in enumerate(base.configurations)]
    table = base.model_copy(update={"configurations": tuple(ranked)})
    levels = table.grid.shape
    for cell in range(table.grid.size):
        at = [cell // levels[1], cell % levels[1]]
        expected = {}
        for position, name in enumerate(("reserve", "deadline")):
            for level in range(at[position] + 1, levels[position]):
                other = [*at]
                other[position] = level
                if table.cells[other[0] * levels[1] + other[1]] > table.cells[cell]:
                    expected[name] = level
                    break
        found = {b.axis: table.grid.axis(b.axis).values.tolist().index(b.value) for b in explain(table, cell).better}
        assert found == expected


def test_reasons_name_what_was_allowed_and_what_more_time_or_charge_buys() -> None:
    table = read_schedule(GOLDEN)
    for cell in range(table.grid.size):
        found = explain(table, cell)
        said = " ".join(reasons(table, found))
        allowed = found.level["deadline"]
        in_time = [c.name for c in table.configurations if c.latency_ms <= allowed]
        assert list(found.in_time) == in_time
        assert all(name in said for name in in_time) or not found.served
        assert all(f"With {b.axis}" in said and b.configuration in said for b in found.better)
        assert ("serves these conditions" in said) == (not found.served)
    assert "outside the grid" in reasons(table, explain(table, None))[0]


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with the golden schedule, of configurations of the same names."""
    table = read_schedule(GOLDEN)
    folder = make_bundle(tmp_path_factory.mktemp("bundle"))
    manifest = read_manifest(folder)
    names = [c.name for c in table.configurations]
    pattern = manifest.configurations[0]
    own = [pattern.model_copy(update={"name": name, "mask": f"{1 << i:09b}"}) for i, name in enumerate(names)]
    (folder / "schedule.json").write_bytes(GOLDEN.read_bytes())
    files = manifest.files | {"schedule.json": sha256_file(folder / "schedule.json")}
    changed = manifest.model_copy(
        update={"configurations": tuple(own), "schedule": "schedule.json", "files": files, "network": table.network}
    )
    write_manifest(folder, Manifest.model_validate(changed.model_dump()))
    return folder


def run(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["choose", *arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def test_every_cell_of_a_packed_bundle_can_be_asked_for(packed: Path) -> None:
    table = read_schedule(GOLDEN)
    for cell in (0, table.grid.size // 2, table.grid.size - 1):
        values = {axis: repr(value) for axis, value in table.grid.describe(cell).items()}
        options = [part for axis, value in values.items() for part in (f"--{axis}", value)]
        found = json.loads(run(str(packed), *options, "--json"))
        assert found["cell"] == cell
        assert found["configuration"] == table.configurations[table.cells[cell]].name
        assert found["mask"].count("1") == 1
        text = run(str(packed), *options)
        assert text.startswith(found["configuration"])
        assert all(reason in text for reason in found["reasons"])


def test_axes_must_be_those_of_the_schedule(packed: Path) -> None:
    with pytest.raises(ScheduleError, match=r"the schedule asks for .*; give also reserve"):
        run(str(packed), "--deadline", "1")
    with pytest.raises(ScheduleError, match="the schedule has no axis rate; it has "):
        run(str(packed), "--deadline", "1", "--reserve", "1", "--rate", "3")


def test_a_bundle_without_a_schedule_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScheduleError, match="holds no schedule; name a packed bundle"):
        run(str(make_bundle(tmp_path / "bundle")), "--deadline", "1")


def test_what_was_measured_is_shown_where_there_is_a_schedule(packed: Path) -> None:
    done = CliRunner().invoke(app, ["inspect", str(packed)])
    assert done.exit_code == 0, done.output
    head, *rows = done.output.split("\n\n")[1].splitlines()
    table = read_schedule(GOLDEN)
    assert f"median ms    {table.quantile} ms  mJ ({table.energy_source})" in head
    for one, row in zip(table.configurations, rows, strict=True):
        assert f"{one.median_ms:11.4g}{one.latency_ms:10.4g}  {one.energy_mj:<13.4g}" in row
