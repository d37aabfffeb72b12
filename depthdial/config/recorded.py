"""Recorded traces: CSV files of numbers, every cell of which is checked before anything runs, so in plain Python."""

from __future__ import annotations

import csv
import io
import math
import os
import re
from collections.abc import Iterator

from depthdial.config.problems import MOST, report, shown
from depthdial.config.yaml_file import read_text
from depthdial.errors import ConfigError

COLUMNS = ("time_s", "arrivals", "deadline_ms", "slowdown", "background")
"""Columns of a recorded trace; deadline_relative may stand in place of deadline_ms."""
RELATIVE = "deadline_relative"
NEEDED = ("time_s", "arrivals")
DEFAULTS = {"slowdown": 1.0, "background": 0.0}
LARGEST_FILE = 8 * 1024 * 1024
"""Bytes of a recorded trace."""
MOST_STEPS = 100_000
"""Steps of a trace: ten weeks, a minute each."""
BOUNDS = {
    "time_s": (0.0, 1e12),
    "arrivals": (0.0, 1e9),
    "deadline_ms": (1e-6, 1e9),
    RELATIVE: (1e-6, 1e6),
    "slowdown": (1e-3, 1e6),
    "background": (0.0, 1e6),
}
"""Least and greatest value of each column."""
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)

Columns = dict[str, list[float]]


def read_recorded(path: str | os.PathLike[str]) -> Columns:
    """The columns of a recorded trace, all of COLUMNS but for deadline_ms, in whose place RELATIVE may stand.

    Raises ConfigError that names the file and, line by line, every cell that is not what it must be.
    """
    rows = _rows(path, read_text(path, LARGEST_FILE))
    header = _header(path, next(rows, (1, []))[1])
    columns: Columns = {name: [] for name in header}
    problems: list[str] = []
    for line, cells in rows:
        if len(problems) > 4 * MOST:
            break
        if len(cells) != len(header):
            problem = f"line {line}: {len(cells)} cells, the header names {len(header)} columns"
            problems.append(problem + _semicolons(cells) + _commas(cells, header))
            continue
        if len(columns["time_s"]) >= MOST_STEPS:
            raise ConfigError(f"{path}, line {line}: more than {MOST_STEPS:,} steps; average several into one")
        for name, cell in zip(header, cells, strict=True):
            columns[name].append(_value(name, cell, line, problems))
        times = columns["time_s"][-2:]
        if len(times) == 2 and times[1] <= times[0]:
            problems.append(f"line {line}, column time_s: {times[1]:g} does not come after {times[0]:g}")
    if not any(columns.values()) and not problems:
        problems.append("there are no steps; write a row for each")
    if problems:
        raise ConfigError(report(str(path), problems))
    steps = len(columns["time_s"])
    return columns | {name: [value] * steps for name, value in DEFAULTS.items() if name not in columns}


def _rows(path: str | os.PathLike[str], text: str) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of every row; blank lines and comments are left out."""
    lines = io.StringIO(text, newline=None)
    reader = csv.reader("\n" if line.lstrip().startswith("#") else line for line in lines)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, [cell.strip() for cell in cells]
    except csv.Error as error:
        raise ConfigError(f"{path}, line {reader.line_num}: not readable as CSV ({error})") from None


def _header(path: str | os.PathLike[str], header: list[str]) -> list[str]:
    """The names in the header. Raises ConfigError for unknown, repeated and missing ones, all at once."""
    known = [*COLUMNS, RELATIVE]
    unknown = [shown(name) for name in header if name not in known]
    problems = [f"unknown columns {', '.join(unknown[:8])}; a trace has {', '.join(known)}{_semicolons(header)}"]
    problems = problems if unknown else []
    if twice := sorted({name for name in header if name in known and header.count(name) > 1}):
        problems.append(f"the columns {', '.join(twice)} are there more than once; keep one of each")
    if missing := [name for name in NEEDED if name not in header]:
        problems.append(f"the trace lacks the columns {', '.join(missing)}")
    if ("deadline_ms" in header) == (RELATIVE in header):
        problems.append(f"the trace has one of the columns deadline_ms and {RELATIVE}, and not both")
    if problems:
        raise ConfigError(report(str(path), problems))
    return header


def _semicolons(cells: list[str]) -> str:
    return "; separate cells by commas, not by semicolons" if len(cells) == 1 and ";" in cells[0] else ""


def _commas(cells: list[str], header: list[str]) -> str:
    return "; if numbers have decimal commas, write points" if len(cells) > len(header) else ""


def _value(name: str, cell: str, line: int, problems: list[str]) -> float:
    """The number in a cell; what is wrong with it is added to ``problems``."""
    least, greatest = BOUNDS[name]
    if not NUMBER.fullmatch(cell):
        problems.append(f"line {line}, column {name}: {shown(cell)} is no number{_advice(name, cell)}")
        return math.nan
    value = float(cell)
    if not least <= value <= greatest:
        problems.append(f"line {line}, column {name}: {shown(cell)} is not between {least:g} and {greatest:g}")
    return value


def _advice(name: str, cell: str) -> str:
    """What a cell that is no number probably was meant to be."""
    if cell in ("", "-", "–", "?") or cell.lower() in ("nan", "na", "n/a", "null", "none"):
        return "; nothing was recorded there: leave the row out, or fill it in"
    if NUMBER.fullmatch(cell.replace(",", ".", 1)):
        return "; write a decimal point"
    if name == "time_s" and re.match(r"\d+[-/:.]\d+[-/:.]\d+|\d+:\d+", cell, re.ASCII):
        return "; write seconds since the beginning"
    if re.match(rf"{NUMBER.pattern}\s*[^\d\s]", cell, re.ASCII):
        return f"; leave out the unit, the column's name has it ({name})" if "_" in name else "; leave out the unit"
    return ""
