"""The selector in C against the one in Python: every cell, the edges of cells, random input; sanitizers, fuzzing."""

from __future__ import annotations

import random
import shutil
import subprocess
from itertools import pairwise, product
from pathlib import Path

import pytest

from depthdial.schedule.grid import AXES, LARGEST, UNKNOWN
from depthdial.schedule.header import c_header
from depthdial.schedule.selector import Inputs, Selector
from depthdial.schedule.table import (
    ScheduleTable,
    TableAxis,
    TableConfiguration,
    TableSelector,
    read_schedule,
)

ROOT = Path(__file__).parents[2]
RUNTIME = ROOT / "runtime"
GOLDEN = ROOT / "tests/data"
STRICT = ["-Wall", "-Wextra", "-Wconversion", "-Werror", "-pedantic"]
SANITIZE = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
compilers = [c for c in ("gcc", "clang") if shutil.which(c)]


def made_up(seed: int, axes: tuple[str, ...], **selector: int) -> ScheduleTable:
    """A table with the named axes and random cells."""
    draw = random.Random(seed)
    golden = read_schedule(GOLDEN / "schedule.json")
    sizes = {axis: draw.randint(1, 6) for axis in axes}
    scale = {"deadline": 1_000_000, "reserve": 2000}
    listed = tuple(
        TableAxis(
            name=axis,
            unit="",
            side="floor" if axis in ("reserve", "battery", "deadline") else "ceiling",
            levels=tuple(sorted(draw.sample(range(1, scale.get(axis, 5000)), sizes[axis]))),
        )
        for axis in AXES
        if axis in axes
    )
    cells = 1
    for axis in listed:
        cells *= len(axis.levels)
    count = draw.randint(1, 6)
    configurations = tuple(
        TableConfiguration(
            name=f"c{i:02d}",
            accuracy=0.9,
            latency_ms=0.1 * (i + 1),
            median_ms=0.09 * (i + 1),
            energy_mj=1.0,
            resident_bytes=0,
        )
        for i in range(count)
    )
    settings = {"gain": 64, "margin": 8, "band": 51, "min_dwell": 2, "max_age_ms": 1000} | selector
    return ScheduleTable.model_validate(
        golden.model_dump()
        | {
            "axes": [axis.model_dump() for axis in listed],
            "cells": [draw.randrange(count) for _ in range(cells)],
            "configurations": [configuration.model_dump() for configuration in configurations],
            "selector": TableSelector(**settings).model_dump(),
            "unserved": [],
        }
    )


def compile_c(
    table: ScheduleTable, folder: Path, source: str, compiler: str = "gcc", *options: str, name: str = "program"
) -> Path:
    """Compile a program of runtime/tests with a table's header; warnings are errors."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "schedule.h").write_text(c_header(table))
    program = folder / name
    language = ["-x", "c++"] if "++" in compiler else []
    subprocess.run(
        [
            compiler,
            *language,
            *STRICT,
            *options,
            f"-I{RUNTIME}",
            f"-I{folder}",
            RUNTIME / "tests" / source,
            "-o",
            program,
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    return program


def in_c(program: Path, lines: list[str], *runner: str) -> list[int]:
    """What the C selector answers to each line."""
    result = subprocess.run(
        [*runner, str(program)], input="\n".join(lines) + "\n", capture_output=True, text=True, check=True
    )
    return [int(line) for line in result.stdout.split()]


def in_python(table: ScheduleTable, lines: list[str]) -> list[int]:
    """What the Python selector answers to each line."""
    selector = Selector(table)
    answers = []
    for line in lines:
        kind, *words = line.split()
        numbers = [int(word) for word in words]
        if kind == "r":
            selector = Selector(table)
            answers.append(0)
        elif kind == "o":
            selector.observe(numbers[0] % 256, numbers[1])
            answers.append(selector.reckoned_slowdown())
        else:
            inputs = Inputs(dict(zip(AXES, numbers, strict=False)), numbers[6], numbers[7])
            answers.append(selector.decide(inputs))
    return answers


def line_for(values: dict[str, int], planned: int = 1_000_000, age_ms: int = 0) -> str:
    """A decision as a line for the C program."""
    return f"d {' '.join(str(values.get(axis, 0)) for axis in AXES)} {planned} {age_ms}"


def edges(table: ScheduleTable, planned: int = 1_000_000) -> list[str]:
    """Every level, one below it and one above it, on all axes, 2000 at most; each from a fresh state."""
    per_axis = []
    for axis in table.axes:
        factor = planned // 1000 if axis.name == "reserve" else 1
        per_axis.append([max(0, level * factor + step) for level in axis.levels for step in (-1, 0, 1)])
    names = [axis.name for axis in table.axes]
    lines = []
    every = list(product(*per_axis))
    for values in random.Random(0).sample(every, min(len(every), 2000)):
        lines += ["r", line_for(dict(zip(names, values, strict=True)), planned)]
    return lines


def random_lines(table: ScheduleTable, seed: int, count: int) -> list[str]:
    """Decisions near the levels, far off, unknown and stale, between observations of all sizes."""
    draw = random.Random(seed)
    lines = []
    for _ in range(count):
        if draw.random() < 0.3:
            latency = draw.choice([draw.randrange(10**6), draw.randrange(2**64), 0, 2**64 - 1])
            lines.append(f"o {draw.randrange(9)} {latency}")
            continue
        values = {}
        planned = draw.choice([1_000_000, draw.randrange(1, 10**9), 0, LARGEST, UNKNOWN])
        for axis in table.axes:
            factor = planned // 1000 if axis.name == "reserve" and planned < 10**9 else 1
            near = draw.choice(axis.levels) * factor + draw.randint(-3, 3)
            values[axis.name] = draw.choice([max(0, near)] * 6 + [draw.randrange(2**64), LARGEST, LARGEST + 1, UNKNOWN])
        lines.append(line_for(values, planned, draw.choice([0, 0, 0, 1000, 1001])))
    return lines


TABLES = [
    ("reserve", "deadline"),
    ("battery", "rate", "deadline"),
    ("temperature", "slowdown", "deadline"),
    ("deadline",),
    tuple(AXES),
]


@pytest.mark.parametrize("axes", TABLES, ids="-".join)
def test_c_and_python_agree(axes: tuple[str, ...], tmp_path: Path) -> None:
    for seed in range(3):
        table = made_up(seed, axes, band=0 if seed == 0 else 51, gain=0 if seed == 1 else 64)
        program = compile_c(table, tmp_path / str(seed), "decide.c", "gcc", "-O2")
        lines = [*edges(table), "r", *random_lines(table, seed, 3000)]
        assert in_c(program, lines) == in_python(table, lines)


def test_every_cell_of_the_golden_table(tmp_path: Path) -> None:
    """From the level of each cell the selector finds that cell: in C, in Python and in the file."""
    table = read_schedule(GOLDEN / "schedule.json")
    program = compile_c(table, tmp_path, "decide.c")
    lines = []
    for cell in range(table.grid.size):
        where = table.grid.describe(cell)
        reserve, deadline = round(where["reserve"] * 1000), round(where["deadline"] * 1e6)
        lines += ["r", line_for({"reserve": reserve * 1000, "deadline": deadline})]
    assert in_c(program, lines)[1::2] == list(table.cells)
    assert in_python(table, lines)[1::2] == list(table.cells)


def test_golden_header_says_what_the_file_says() -> None:
    table = read_schedule(GOLDEN / "schedule.json")
    assert c_header(table) == (GOLDEN / "schedule.h").read_text()


@pytest.mark.parametrize(
    ("compiler", "standard"),
    [(c, s) for c in compilers for s in ("c99", "c11", "c17")]
    + [(c, s) for c in ("g++", "clang++") if shutil.which(c) for s in ("c++11", "c++17", "c++20")],
)
@pytest.mark.parametrize("source", ["decide.c", "size.c"])
def test_compiles_without_warnings(compiler: str, standard: str, source: str, tmp_path: Path) -> None:
    table = read_schedule(GOLDEN / "schedule.json")
    compile_c(table, tmp_path, source, compiler, f"-std={standard}", "-c", "-O2")


def test_is_freestanding(tmp_path: Path) -> None:
    """No libc: the object refers to nothing outside itself, and it holds no division."""
    table = read_schedule(GOLDEN / "schedule.json")
    built = compile_c(table, tmp_path, "size.c", "gcc", "-ffreestanding", "-c", "-O2")
    undefined = subprocess.run(["nm", "-u", built], capture_output=True, text=True, check=True).stdout
    assert undefined.replace("_GLOBAL_OFFSET_TABLE_", "").split() in ([], ["U"])
    code = subprocess.run(["objdump", "-d", built], capture_output=True, text=True, check=True).stdout
    assert "div" not in code


@pytest.mark.skipif("clang" not in compilers, reason="needs clang")
def test_sanitizers_find_nothing(tmp_path: Path) -> None:
    for seed, axes in enumerate((TABLES[0], TABLES[-1])):
        table = made_up(seed, axes)
        program = compile_c(table, tmp_path / str(seed), "decide.c", "clang", *SANITIZE)
        lines = [*edges(table), "r", *random_lines(table, seed, 2000)]
        assert in_c(program, lines) == in_python(table, lines)


@pytest.mark.slow
@pytest.mark.skipif("clang" not in compilers, reason="needs clang")
def test_fuzzing_finds_nothing(tmp_path: Path) -> None:
    table = made_up(7, tuple(AXES))
    options = ["-g", "-O1", "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all"]
    program = compile_c(table, tmp_path, "fuzz.c", "clang", *options)
    limits = ["-max_total_time=10", "-max_len=4096", "-seed=1"]
    # Linux counts the memory of the process that started it as its own (getrusage(2)): gigabytes in a long test run.
    limits += ["-rss_limit_mb=0", "-malloc_limit_mb=100"]
    done = subprocess.run([program, *limits, f"-artifact_prefix={tmp_path}/"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.aarch64
@pytest.mark.skipif(
    not (shutil.which("aarch64-linux-gnu-gcc") and shutil.which("qemu-aarch64-static")),
    reason="needs gcc-aarch64-linux-gnu and qemu-user-static",
)
def test_aarch64_agrees_too(tmp_path: Path) -> None:
    table = made_up(3, tuple(AXES))
    program = compile_c(table, tmp_path, "decide.c", "aarch64-linux-gnu-gcc", "-O2", "-static")
    lines = [*edges(table), "r", *random_lines(table, 3, 2000)]
    assert in_c(program, lines, "qemu-aarch64-static") == in_python(table, lines)


# ------------------------------------------------------------------------------------------ behaviour


def level_table(**selector: int) -> ScheduleTable:
    """Deadlines 1, 2, 3 ms with configurations 0, 1, 2."""
    golden = read_schedule(GOLDEN / "schedule.json")
    settings = {"gain": 0, "margin": 0, "band": 0, "min_dwell": 0, "max_age_ms": 1000} | selector
    return ScheduleTable.model_validate(
        golden.model_dump()
        | {
            "axes": [TableAxis(name="deadline", unit="", side="floor", levels=(10**6, 2 * 10**6, 3 * 10**6))],
            "cells": (0, 1, 2),
            "selector": TableSelector(**settings),
            "unserved": (),
        }
    )


def at(deadline_ms: float, **more: float) -> Inputs:
    """Inputs with that deadline."""
    return Inputs.measured(deadline_ms=deadline_ms, age_ms=int(more.pop("age_ms", 0)))


@pytest.mark.parametrize("bad", [float("nan"), -1.0, float("inf"), 1e30, 0.5])
def test_unknown_and_out_of_range_inputs_lead_to_the_fail_safe(bad: float) -> None:
    selector = Selector(level_table())
    assert selector.decide(at(3.0)) == 2
    assert selector.decide(at(bad)) == 0


def test_stale_inputs_lead_to_the_fail_safe() -> None:
    selector = Selector(level_table())
    assert selector.decide(at(3.0, age_ms=1000)) == 2
    assert selector.decide(at(3.0, age_ms=1001)) == 0
    assert Selector(level_table(max_age_ms=0)).decide(at(3.0, age_ms=10**6)) == 2


def test_slowdown_is_learnt_and_scales_the_deadline() -> None:
    table = level_table(gain=128)
    selector = Selector(table)
    for _ in range(20):
        selector.observe(2, round(table.configurations[2].median_ms * 1.5e6))
    assert selector.reckoned_slowdown() == pytest.approx(1.5 * 1024, rel=0.01)
    assert selector.decide(at(3.2)) == 1
    assert selector.decide(at(4.6)) == 2
    for _ in range(40):
        selector.observe(2, round(table.configurations[2].median_ms * 0.5e6))
    assert selector.reckoned_slowdown() == 1024


def test_margin_grows_with_the_noise_of_the_slowdown() -> None:
    quiet, noisy = Selector(level_table(gain=64, margin=16)), Selector(level_table(gain=64, margin=16))
    median_ns = quiet.table.configurations[1].median_ms * 1e6
    for i in range(101):
        quiet.observe(1, round(1.5 * median_ns))
        noisy.observe(1, round((1.3 if i % 2 else 1.7) * median_ns))
    assert noisy.reckoned_slowdown() > quiet.reckoned_slowdown() * 1.1


def test_hysteresis_keeps_a_faster_configuration_near_an_edge() -> None:
    plain, steady = Selector(level_table()), Selector(level_table(band=102))
    deadlines = [1.9, 2.05] * 10
    assert sum(plain.decide(at(d)) != plain.decide(at(d)) for d in deadlines) == 0
    changes = {
        name: sum(a != b for a, b in pairwise(chosen))
        for name, chosen in (
            ("plain", [plain.decide(at(d)) for d in deadlines]),
            ("steady", [steady.decide(at(d)) for d in deadlines]),
        )
    }
    assert changes["plain"] == 19
    assert changes["steady"] == 0
    assert steady.decide(at(2.5)) == 1


def test_minimum_dwell_delays_slower_configurations_only() -> None:
    selector = Selector(level_table(min_dwell=3))
    assert selector.decide(at(3.0)) == 2
    assert selector.decide(at(1.0)) == 0
    assert [selector.decide(at(3.0)) for _ in range(5)] == [0, 0, 0, 2, 2]
    assert selector.decide(at(1.0)) == 0


def test_energy_really_used_moves_the_reserve() -> None:
    table = read_schedule(GOLDEN / "schedule.json")
    deadline = table.full_latency_ms * 1.5

    def chosen(left: float) -> float:
        inputs = Inputs.measured(deadline_ms=deadline, energy_left_mj=left, energy_planned_mj=1000.0)
        selector = Selector(table)
        return table.configurations[selector.decide(inputs)].energy_mj

    assert chosen(600.0) < chosen(1400.0)
    assert chosen(100.0) == table.configurations[0].energy_mj


def test_no_plan_left_is_plenty() -> None:
    table = read_schedule(GOLDEN / "schedule.json")
    rich = Inputs.measured(deadline_ms=table.full_latency_ms, energy_left_mj=1.0, energy_planned_mj=0.0)
    most = Inputs.measured(deadline_ms=table.full_latency_ms, energy_left_mj=9e6, energy_planned_mj=1.0)
    assert Selector(table).decide(rich) == Selector(table).decide(most)
