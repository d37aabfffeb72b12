"""The page of published results says what its CSV files say, number by number."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pandas as pd
import pytest

from depthdial.compare.equal import equal_macs
from depthdial.compare.files import write_csv
from depthdial.compare.recipes import recipes
from depthdial.compare.skipping import skipping
from depthdial.compare.training import trained_table, training_time
from depthdial.errors import ArtefactError
from depthdial.report.cli import publish as publish_command
from depthdial.report.results import Origin, Part, linked, publish, recipe_names, results_page
from tests.rigs.trained import plant

DOCS = Path(__file__).parents[2] / "docs"
NUMBER = re.compile(r"(?<![\w.])[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?(?![\w.]*\w)")
UNITS = {"/ %": 100, "/ points": 100, "million": 1e-6, "GMACs": 1e-3}


def disagreements(page: Path) -> list[str]:
    """Every cell of the page's tables that its CSV does not hold, and every file that it names and is not there."""
    text = page.read_text()
    wrong = [f"{name} is not there" for name in linked(text) if not (page.parent / name).is_file()]
    tables = re.findall(r"((?:^\|.*\|\n)+)\nNumbers: \[[^]]+\]\(([^)]+)\)", text, re.M)
    summaries = re.findall(r"((?:^\|.*\|\n)+)\nIntervals .* Numbers: (.*)\.$", text, re.M)
    if len(tables) + len(summaries) != len(re.findall(r"^\| ?---", text, re.M)):
        wrong.append("a table names no CSV file")
    for table, names in summaries:
        files = [page.parent / name for name in re.findall(r"\(([^)]+)\)", names)]
        records = [r for file in files for r in pd.read_csv(file, dtype=str, keep_default_na=False).to_dict("records")]
        head, *rows = rows_of(table)
        points = next(index for index, title in enumerate(head) if "points" in title)
        gaps = [(row[0], head[points], row[points]) for row in rows]
        wrong += [f"{beside}: {cell[1]}" for beside, *cell in gaps if not any(held(*cell, r) for r in records)]
    for table, name in tables:
        head, *rows = rows_of(table)
        known = pd.read_csv(page.parent / name, dtype=str, keep_default_na=False).to_dict("records")
        if len(rows) != len(known):
            wrong.append(f"{name}: {len(rows)} rows on the page, {len(known)} in the file")
        for row, record in zip(rows, known, strict=False):
            cells = zip(head, row, strict=True)
            wrong += [f"{name}: {title}: {cell}" for title, cell in cells if not held(title, cell, record)]
    return wrong


def rows_of(table: str) -> list[list[str]]:
    """The cells of a Markdown table as they are read: its head, then its rows."""
    head, _, *lines = [line.strip("|").split(" | ") for line in table.splitlines()]
    plain = [[html.unescape(cell.strip()) for cell in line] for line in (head, *lines)]
    return [[re.sub(r"\\([^a-zA-Z0-9\s])", r"\1", cell) for cell in line] for line in plain]


def held(title: str, cell: str, record: dict[str, str]) -> bool:
    """Whether a record holds the text of a cell, or every number in it to the digits shown, in the column's unit."""
    if cell == "–" or {"yes": "True", "no": "False"}.get(cell, cell) in record.values():
        return True
    unit = next((factor for word, factor in UNITS.items() if word in title), 1)
    values = []
    for value in record.values():
        try:
            values.append(float(value) * unit)
        except ValueError:
            continue
    numbers = NUMBER.findall(cell)
    return bool(numbers) and all(any(shown(number, value) for value in values) for number in numbers)


def shown(number: str, value: float) -> bool:
    """Whether ``value`` rounds to ``number`` at its last digit."""
    digits = len(number.partition(".")[2])
    return bool(abs(float(number) - value) <= 0.5000001 * 10**-digits)


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A page of results published from planted networks."""
    folder = tmp_path / "run/made-up"
    dials = [plant(tmp_path, "dial", "dial", seed, 14, {"1" * 6: 0.9 + 0.01 * seed}) for seed in (0, 1)]
    control = [plant(tmp_path, "control", "control", 0, 14, {"1" * 6: 0.9})]
    statics = [plant(tmp_path, "small", "static", seed, 8, {"111": 0.8 + 0.011 * seed}) for seed in (0, 1)]
    write_csv(folder / "tables/equal_macs.csv", equal_macs(dials, control, statics))
    write_csv(folder / "tables/skipping.csv", skipping(dials, control))
    write_csv(folder / "tables/training.csv", training_time([*dials, *control, *statics]))
    write_csv(folder / "tables/recipes.csv", recipes(dials, {"dial": {}}, 0))
    networks = trained_table([*dials, *control, *statics])
    write_csv(folder / "tables/networks.csv", networks)
    (folder / "tables/networks.json").write_text("[]")
    (folder / "figures").mkdir()
    (folder / "figures/equal.png").write_bytes(b"picture")
    origin = Origin("snakemake all", "0123456789ab", "a machine").line([0, 1], recipe_names(networks, ["dial"]))
    names = ["equal_macs", "skipping", "training", "recipes", "networks"]
    figures = {"equal_macs": [str(folder / "figures/equal.png")]}
    parts = [
        Part(2, f"About {name}", str(folder / f"tables/{name}.csv"), origin, figures.get(name, [])) for name in names
    ]
    page = results_page("Results", "An introduction.", parts, folder, {"equal": "A caption."})
    (folder / "results.md").write_text(page)
    old = tmp_path / "docs/made-up/old.csv"
    old.parent.mkdir(parents=True)
    old.write_text("from an earlier run")
    publish(folder, tmp_path / "docs")
    assert not old.exists()
    return tmp_path / "docs/made-up.md"


def test_a_published_page_agrees_with_its_files(published: Path) -> None:
    assert disagreements(published) == []
    text = published.read_text()
    assert text.count("Seeds 0, 1; recipe brief; a machine; `snakemake all` at 0123456789ab.") == 5
    assert "![A caption.](made-up/figures/equal.png)" in text
    assert "[networks.json](made-up/tables/networks.json)" in text


@pytest.mark.parametrize(
    ("pattern", "change"),
    [
        (r"\| 89\.50 \[", "| 89.40 ["),
        (r"\| \+0\.50", "| -0.50"),
        (r"\| control \|", "| other |"),
        (r"(?m)^\| small \| static \| 0 .*\n", ""),
        (r"Numbers: \[skipping.csv\].*\n", "\n"),
    ],
)
def test_a_changed_page_is_noticed(published: Path, pattern: str, change: str) -> None:
    before = published.read_text()
    after = re.sub(pattern, change, before, count=1)
    assert after != before
    published.write_text(after)
    assert disagreements(published)


def test_a_changed_or_missing_file_is_noticed(published: Path) -> None:
    path = published.parent / "made-up/tables/training.csv"
    table = pd.read_csv(path)
    table["seconds"] += 3
    table.to_csv(path, index=False)
    assert any("training.csv: processor time" in problem for problem in disagreements(published))
    (published.parent / "made-up/figures/equal.png").unlink()
    assert "made-up/figures/equal.png is not there" in disagreements(published)


def test_the_results_of_this_repository_agree_with_their_files() -> None:
    assert [problem for page in (DOCS / "results").glob("*.md") for problem in disagreements(page)] == []


def test_publishing_needs_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = (DOCS.parent / "config/config.yaml").resolve()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArtefactError, match=r"results/digits/results.md: not there; run `snakemake --cores all"):
        publish_command(config)


def test_numbers_are_compared_at_the_digits_shown() -> None:
    assert shown("91.23", 91.2349)
    assert not shown("91.23", 91.2351)
    assert shown("+3", 3.4)
    assert not held("accuracy / %", "91.23", {"a": "0.5"})
    assert held("accuracy / %", "91.23 [90.00, 92.00]", {"a": "0.9123", "low": "0.9", "high": "0.92"})
    assert not held("accuracy / %", "91.23 [90.00, 92.10]", {"a": "0.9123", "low": "0.9", "high": "0.92"})
