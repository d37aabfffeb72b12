"""Time and size of the C selector: ``make bench-selector``; docs/benchmarks/selector.md, JSON on the last line."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import timeit
from pathlib import Path

import numpy as np

from depthdial.devices.processors import this_processor
from depthdial.files import write_text
from depthdial.schedule.header import c_header
from depthdial.schedule.selector import Inputs, Selector
from depthdial.schedule.table import ScheduleTable, TableAxis, read_schedule

ROOT = Path(__file__).parents[1]
RUNTIME = ROOT / "runtime"
RUNS = 60
COMPILERS = {
    "x86_64": (["gcc"], ["clang", "--target=x86_64-linux-gnu"]),
    "aarch64": (["aarch64-linux-gnu-gcc"], ["clang", "--target=aarch64-linux-gnu"]),
}


def tables() -> dict[str, ScheduleTable]:
    """The tested table, and one of 600 cells on three axes, with hysteresis and all estimates switched on."""
    small = read_schedule(ROOT / "tests/data/schedule.json")
    random = np.random.default_rng(0)
    axes = [
        TableAxis(name="reserve", unit="", side="floor", levels=tuple(range(500, 1500, 100))),
        TableAxis(name="rate", unit="", side="ceiling", levels=(1000, 10_000, 100_000)),
        TableAxis(name="deadline", unit="", side="floor", levels=tuple(range(50_000, 1_050_000, 50_000))),
    ]
    selector = small.selector.model_copy(update={"gain": 64, "margin": 16, "band": 51, "min_dwell": 2})
    update = {
        "axes": axes,
        "cells": [int(c) for c in random.integers(0, len(small.configurations), 600)],
        "unserved": [],
        "selector": selector.model_dump(),
    }
    large = ScheduleTable.model_validate(small.model_dump() | update)
    return {f"{len(small.cells)} cells, 2 axes": small, "600 cells, 3 axes, all parts on": large}


def decision_ns(table: ScheduleTable, folder: Path, *, observing: bool) -> float:
    """Mean time of a decision on random inputs, compiled with gcc -O2, in the least disturbed run."""
    (folder / "schedule.h").write_text(c_header(table))
    program = folder / "bench"
    command = ["gcc", "-std=c99", "-O2", f"-I{RUNTIME}", f"-I{folder}", RUNTIME / "tests/bench.c", "-o", program]
    subprocess.run(command, check=True)
    arguments = [str(program), *(["observe"] if observing else [])]
    times = [float(subprocess.run(arguments, capture_output=True, text=True).stdout.split()[0]) for _ in range(RUNS)]
    return min(times)


def code_bytes(machine: str, level: str, folder: Path) -> int | None:
    """Bytes of machine code of decide and observe together; None without a compiler for the machine."""
    built = folder / "size.o"
    for compiler in COMPILERS[machine]:
        if shutil.which(compiler[0]):
            options = ["-std=c99", level, "-ffreestanding", f"-I{RUNTIME}", "-c", RUNTIME / "tests/size.c"]
            subprocess.run([*compiler, *options, "-o", built], check=True)
            sections = subprocess.run(["readelf", "-SW", built], capture_output=True, text=True, check=True).stdout
            rows = [line.split("]", 1)[1].split() for line in sections.splitlines() if "PROGBITS" in line]
            return sum(int(row[4], 16) for row in rows if "X" in row[6])
    return None


def python_us(table: ScheduleTable) -> float:
    """Microseconds of a decision by the Python selector."""
    selector = Selector(table)
    inputs = Inputs.measured(deadline_ms=0.5, energy_left_mj=900.0, energy_planned_mj=1000.0, rate_hz=5.0)
    return min(timeit.repeat(lambda: selector.decide(inputs), number=2000, repeat=5)) / 2000 * 1e6


def main() -> None:
    """Measure, write the table, print the keys."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for label, table in tables().items():
            both = [decision_ns(table, folder, observing=observing) for observing in (False, True)]
            rows.append((label, *both, python_us(table)))
        sizes = {(m, o): code_bytes(m, o, folder) for m in COMPILERS for o in ("-O2", "-Os")}
    lines = [
        "# The selector",
        "",
        f"Written by `make bench-selector` on {this_processor()}. Nanoseconds are means over a million",
        f"decisions on random inputs, compiled with gcc -O2, in the least disturbed of {RUNS} runs; bytes are the",
        "machine code of decide and observe together.",
        "",
        "| table | decide / ns | decide and observe / ns | Python decide / us |",
        "|---|---|---|---|",
        *(f"| {label} | {decide:.1f} | {both:.1f} | {python:.1f} |" for label, decide, both, python in rows),
        "",
        "| machine | -O2 / bytes | -Os / bytes |",
        "|---|---|---|",
        *(f"| {machine} | {sizes[machine, '-O2']} | {sizes[machine, '-Os']} |" for machine in COMPILERS),
        "",
    ]
    write_text(ROOT / "docs/benchmarks/selector.md", "\n".join(lines))
    print("\n".join(lines))  # noqa: T201
    result = {
        "decision_ns": round(max(row[1] for row in rows), 2),
        "decide_and_observe_ns": round(max(row[2] for row in rows), 2),
        "code_bytes_x86_64": sizes["x86_64", "-O2"],
        "code_bytes_aarch64": sizes["aarch64", "-O2"],
        "python_decision_us": round(max(row[3] for row in rows), 2),
    }
    print(json.dumps(result))  # noqa: T201


if __name__ == "__main__":
    main()
