"""The report as its reader meets it, without a browser: what is folded, what is short, what stays text."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder

import pandas as pd
import pytest

from depthdial.compare.files import write_csv
from depthdial.compare.tables import Column
from depthdial.deploy.graph.convolution import Cut
from depthdial.errors import ArtefactError
from depthdial.files import write_json
from depthdial.report.cli import results
from depthdial.report.findings import badges, loops_cut
from depthdial.report.page import Place, Section, cell_map, contents, number, render
from depthdial.report.pictures import Picture, inline, picture
from depthdial.report.places import CONFIGURATIONS, DEADLINES, configuration_table, more_time, said
from depthdial.report.tables import MOST_COLUMNS, Table, brief, comparison, table
from depthdial.schedule.table import DeadlinePrice
from tests.rigs.pages import HOSTILE, compiled_for

VOID = {"meta", "input", "br", "circle"}


class Tree(HTMLParser):
    """A page as elements."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.builder = TreeBuilder()
        self.feed(page)
        self.root = self.builder.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.builder.start(tag, {name: value or "" for name, value in attrs})
        if tag in VOID:
            self.builder.end(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.builder.start(tag, {name: value or "" for name, value in attrs})
        self.builder.end(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            self.builder.end(tag)

    def handle_data(self, data: str) -> None:
        self.builder.data(data)


def of_class(root: Element, name: str) -> list[Element]:
    """The elements of a class, in the page's order."""
    return [one for one in root.iter() if name in one.get("class", "").split()]


def text(element: Element) -> str:
    """All of its text."""
    return " ".join(" ".join(element.itertext()).split())


def dial() -> dict[str, Any]:
    """A dial of two axes, as ``report.dial.turned`` makes it: c00 where there is most time, else c01."""
    axes = [
        {"name": "reserve", "named": "reserve", "levels": ["0.8", "1.0"], "texts": ["0.8", "1.0"]},
        {"name": "deadline", "named": "deadline / ms", "levels": ["1", "2", "3"], "texts": ["1 ms", "2 ms", "3 ms"]},
    ]
    about = {"meaning": "what it is", "bound": "at least"}
    figures = {"accuracy": "97.0 ± 1.0 %", "latency": "1.5 ms", "energy": "15 mJ (modelled)"}
    return {
        "axes": [axis | about for axis in axes],
        "start": [1, 2],
        "settings": [{"name": "c01", "mask": "0110", **figures}, {"name": "c00", "mask": "1111", **figures}],
        "cells": [0, 0, 0, 0, 0, 1],
        "reasons": [f"Why of cell {cell}." for cell in range(6)],
        "unserved": [0, 3],
    }


def a_place(key: str = "place0", title: str = "resnet20 on digits", **changes: Any) -> Place:
    """A dial on a device, with everything that one may have but the day."""
    about: dict[str, Any] = {
        "sentence": "c01 answers 2.0 times as fast.",
        "sentences": ["It was chosen."],
        "badges": badges("modelled", valid=False),
        "hero": Picture("dial", '<svg viewBox="0 0 1 1"></svg>', "Accuracy against latency."),
        "dial": dial(),
        "front": [(1.0, 0.9), (2.0, 0.95)],
        "sections": [Section(f"{key}-policies", "Policies", "What it is worth.", ["A sentence."], [measured()])],
    }
    return Place(key=key, title=title, **(about | changes))


def measured() -> Table:
    """Configurations and one static network, of which one has no interval."""
    ends = {"low": -0.014, "high": 0.009}
    rows = [
        {"network": "dial", "configuration": f"c0{i}", "mask": f"{0b1111 >> i:04b}", "macs": 4e6, "val_accuracy": 0.98,
         "test_accuracy": 0.97512, "to_full": -0.0021, "latency_ms": 0.123456, "latency_p99_ms": 0.2, "energy_mj": 1.5,
         "energy_source": "modelled", "valid": i == 0}
        for i in range(2)
    ]  # fmt: skip
    rows.append(rows[0] | {"network": "resnet8", "configuration": "c00", "mask": "11"})
    data = pd.DataFrame(rows)
    for end, way in ends.items():
        data[f"test_accuracy_{end}"] = data["test_accuracy"] + way
        data[f"latency_ms_{end}"] = data["latency_ms"] * (1 + way)
    return configuration_table(data, "dial")


def page(*places: Place, sections: tuple[Section, ...] = (), title: str = "A title") -> Element:
    """The page of these places."""
    return Tree(render(title, places, sections, "the last line")).root


# --- tables ---


def test_a_table_shows_at_most_eight_columns_at_first() -> None:
    shown = measured()
    assert len(shown.columns) == len(CONFIGURATIONS) > MOST_COLUMNS == 8
    assert len(shown.columns) - len(shown.further) == 8
    assert {"source of energy", "device quiet enough"} <= {shown.columns[index] for index in shown.further}
    (drawn,) = of_class(page(a_place()), "table")
    heads = list(drawn.iter("th"))
    assert len([head for head in heads if head.get("class") != "more"]) == 8
    assert "all 11 columns" in text(drawn)
    wide = pd.DataFrame([{f"c{i}": i for i in range(12)}])
    columns = [Column(f"column {i}", f"c{i}", "count") for i in range(12)]
    assert len(table("Wide", "unheard-of", wide, columns).further) == 4, "tables that nobody planned for, too"


def test_intervals_are_short_and_exact_on_demand() -> None:
    row = dict(zip(measured().columns, measured().rows[0], strict=True))
    accuracy = row["test accuracy / %"]
    assert accuracy.brief == "97.5 ± 1.4", "the longer side"
    assert accuracy.exact == "97.51 [96.11, 98.41]"
    assert row["median / ms"].brief == "0.1235 ± 0.0017"
    assert (row["validation / %"].brief, row["validation / %"].exact) == ("98.0", "98.00")
    assert (row["device quiet enough"].brief, row["source of energy"].brief) == ("yes", "modelled")
    (drawn,) = of_class(page(a_place()), "table")
    cells = [one for one in drawn.iter("td") if one.get("data-label") == "test accuracy / %"]
    assert [text(one) for one in (*of_class(cells[0], "brief"), *of_class(cells[0], "exact"))] == [
        accuracy.brief,
        accuracy.exact,
    ]
    assert of_class(drawn, "exactly"), "a box to tick"


@pytest.mark.parametrize(
    ("style", "value", "half", "said"),
    [
        ("milliseconds", 0.302, 0.00444, "0.3020 ± 0.0044"),
        ("milliseconds", 123.456, 7.89, "123.5 ± 7.9"),
        ("milliseconds", 1234.5, 67.8, "1234 ± 68"),
        ("seconds", 9.432, 0.082, "9.4 ± 0.1"),
        ("seconds", 490.2, 31.4, "490 ± 31"),
        ("number", 0.85853, 0.0232, "0.859 ± 0.023"),
        ("points", -0.0021, 0.009, "-0.2 ± 0.9"),
        ("count", 17.0, 0.0, "17 ± 0"),
    ],
)
def test_a_number_has_the_digits_that_its_interval_leaves_it(style: str, value: float, half: float, said: str) -> None:
    row = {"x": value, "x_low": value - half, "x_high": value + half}
    assert brief(Column("x", "x", style), row) == said


def test_where_more_time_buys_nothing_nothing_is_named() -> None:
    gain = DeadlinePrice(deadline_ms=1.0, next_ms=0.5, configuration="c01", accuracy_per_ms=0.02)
    none = DeadlinePrice(deadline_ms=2.0, next_ms=0.0, configuration="c05", accuracy_per_ms=0.0)
    shown = table("", "deadlines", more_time([gain, none]), DEADLINES)
    assert [[cell.brief for cell in row] for row in shown.rows] == [["1", "c01", "0.5", "+2.0"], ["2", "–", "–", "–"]]


def test_a_mask_is_drawn_and_read_out_and_a_static_network_has_none() -> None:
    (drawn,) = of_class(page(a_place()), "table")
    masks = of_class(drawn, "mask")
    assert [one.get("aria-label") for one in masks] == ["keeps 4 of 4 blocks: 1111", "keeps 3 of 4 blocks: 0111"]
    assert [one.get("class") for one in masks[1]] == ["skipped", "kept", "kept", "kept"]
    assert [text(row[0]) for row in drawn.iter("tr")][1:] == ["c00", "c01", "resnet8"]


def test_a_csv_stands_beside_every_table(tmp_path: Path) -> None:
    path = tmp_path / "training.csv"
    write_csv(path, pd.DataFrame([{"network": "dial", "role": "dial", "seconds": 12.3456789}]))
    (drawn,) = of_class(
        page(sections=(Section("training", "Training", "", [], [comparison("Training", path)]),)), "table"
    )
    (link,) = drawn.iter("a")
    assert link.get("download") == "training.csv"
    kind, _, content = str(link.get("href")).partition(",")
    assert kind == "data:text/csv;base64"
    assert base64.b64decode(content) == path.read_bytes(), "to every digit, and it needs no other file"


# --- pictures ---

SVG = """<?xml version="1.0"?>
<!DOCTYPE svg>
<svg width="10pt" height="5pt" viewBox="0 0 10 5"><metadata>made by</metadata><defs><path id="m1"/></defs>
<use href="#m1" style="fill: #0072b2; stroke: #FFFFFF"/><g clip-path="url(#m1)" style="fill: #123456"/></svg>"""


def test_a_picture_has_the_pages_colours_and_names_of_its_own() -> None:
    drawn = inline(SVG, {"dial": "#0072B2"}, "place0-")
    assert drawn.startswith('<svg style="--drawn: 10" viewBox="0 0 10 5">'), "as wide as there is room"
    assert "made by" not in drawn
    assert 'id="place0-m1"' in drawn
    assert 'href="#place0-m1"' in drawn
    assert "url(#place0-m1)" in drawn
    assert "fill: var(--dial); stroke: var(--paper)" in drawn
    assert "#123456" in drawn, "what has no name keeps its colour"


def test_a_picture_brings_its_caption_and_its_data(tmp_path: Path) -> None:
    (tmp_path / "dial.svg").write_text(SVG)
    assert picture(tmp_path / "dial.svg", {"dial": "What it shows.\n"}, {}, "a").csv == ""
    (tmp_path / "dial.csv").write_text("x,y\n1,2\n")
    shown = picture(tmp_path / "dial.svg", {"dial": "What it shows.\n"}, {}, "a")
    assert (shown.name, shown.caption, shown.csv) == ("dial", "What it shows.", "x,y\n1,2\n")
    (figure,) = page(a_place(hero=shown)).iter("figure")
    (link,) = figure.iter("a")
    assert link.get("download") == "dial.csv"
    assert text(figure).startswith("What it shows.")


# --- the page ---


def test_the_result_stands_first_and_the_rest_is_folded() -> None:
    root = page(a_place(), sections=(Section("made", "How this was made", "Commands.", ["By hand."]),))
    folded = of_class(root, "section")
    assert [text(next(one.iter("h3"))) for one in folded] == ["Policies", "How this was made"]
    assert all(one.tag == "details" and one.get("open") is None for one in folded)
    assert [text(next(one.iter("summary"))) for one in folded] == [
        "Policies What it is worth.",
        "How this was made Commands.",
    ]
    order = list(root.iter())
    (result,) = of_class(root, "result")
    assert text(result) == "c01 answers 2.0 times as fast."
    assert order.index(result) < order.index(next(root.iter("svg"))) < order.index(next(root.iter("table")))


def test_rows_that_decide_nothing_are_folded_once_more() -> None:
    undecided = Section("paper", "Paper and here", "", [], [], [], [("3 more", measured())], code="seeds: [0]")
    (outer,) = of_class(page(sections=(undecided,)), "section")
    inner = of_class(outer, "undecided")
    assert [text(next(one.iter("summary"))) for one in inner] == ["3 more", "Settings"]
    assert all(one.tag == "details" and one.get("open") is None for one in inner)
    assert text(next(inner[1].iter("pre"))) == "seeds: [0]"


@pytest.mark.parametrize(
    ("source", "valid", "said"),
    [
        ("modelled", True, ["energy modelled", "one seed"]),
        ("rapl", True, ["one seed"]),
        ("rapl", False, ["device noisy", "one seed"]),
        ("modelled", False, ["device noisy", "energy modelled", "one seed"]),
    ],
)
def test_badges_warn_beside_the_result(source: str, valid: bool, said: list[str]) -> None:
    (words,) = of_class(page(a_place(badges=badges(source, valid))), "words")
    (row,) = of_class(words, "badges")
    assert [text(one) for one in row.iter("summary")] == said
    assert all(text(one).endswith(".") for one in row.iter("p")), "each says what it means"
    assert of_class(words, "result")


def test_several_dials_have_an_overview_first() -> None:
    root = page(
        a_place(),
        a_place("place1", "resnet20 on CIFAR-10, on a board", sentence="Another.", badges=badges("rapl", True)),
    )
    first, *places = list(next(root.iter("main")))
    rows = of_class(first, "row")
    assert [row.get("href") for row in rows] == ["#place0", "#place1"]
    assert [text(row) for row in rows] == [
        "resnet20 on digits c01 answers 2.0 times as fast. device noisy energy modelled one seed",
        "resnet20 on CIFAR-10, on a board Another. one seed",
    ]
    assert all(list(row.iter("polyline")) for row in rows), "its front, small"
    assert [one.get("data-place") for one in places] == ["place0", "place1"]
    assert not of_class(page(a_place()), "overview"), "one dial is no choice"


def test_the_contents_lead_to_every_part() -> None:
    made = Section("made", "How this was made", "Commands.")
    root = page(a_place(), sections=(made,))
    links = [str(one.get("href")) for one in next(root.iter("nav")).iter("a")]
    assert links == ["#place0", "#place0-dial", "#place0-policies", "#made"]
    assert {link[1:] for link in links} <= {one.get("id") for one in root.iter()}
    assert [key for key, _ in contents([a_place(), a_place("place1")], [made])] == [
        "overview",
        "place0",
        "place1",
        "made",
    ]


def test_without_scripts_the_dial_stands_where_it_begins() -> None:
    root = page(a_place())
    assert root.get("class") == "no-script"
    (chosen,) = of_class(root, "chosen")
    assert text(chosen).startswith("c00 keeps 4 of 4 blocks test accuracy 97.0 ± 1.0 %")
    assert text(of_class(chosen, "why")[0]) == "Why of cell 5."
    outputs = [text(one) for one in root.iter("output")]
    assert outputs == ["at least 1.0", "at least 3 ms"]
    rows = [[text(cell) for cell in row] for row in of_class(root, "map")[0].iter("tr")]
    assert rows == [["", "1", "2", "3"], ["1.0", "c01", "c01", "c00"], ["0.8", "c01", "c01", "c01"]]
    (now,) = of_class(root, "now")
    assert now.get("title") == "c00: 97.0 ± 1.0 %, 1.5 ms, 15 mJ (modelled)"
    assert len(of_class(root, "unserved")) == 2


def test_cells_are_numbered_as_in_the_table() -> None:
    turned = dial()
    assert [number(turned, [row, column]) for row in range(2) for column in range(3)] == list(range(6))
    drawn = cell_map(turned)
    assert (drawn["caption"], drawn["fixed"]) == ("deadline / ms across, reserve up", "")
    one_axis = turned | {"axes": turned["axes"][1:], "start": [0], "cells": [0, 0, 1], "unserved": []}
    assert [[cell["name"] for cell in row["cells"]] for row in cell_map(one_axis)["rows"]] == [["c01", "c01", "c00"]]


def test_nothing_that_is_named_becomes_more_than_text() -> None:
    """A title, a network, a class, a setting, a cell, a caption: all are the words of others."""
    hostile = dial() | {"reasons": [HOSTILE] * 6}
    hostile["settings"][1]["name"] = HOSTILE
    data = pd.DataFrame([{"class": HOSTILE, "accuracy": 0.5}])
    classes = table(HOSTILE, "classes", data, [Column(HOSTILE, "class", "text"), Column("accuracy", "accuracy")])
    section = Section("classes", HOSTILE, HOSTILE, [HOSTILE], [classes], [], [(HOSTILE, classes)], HOSTILE)
    place = a_place(title=HOSTILE, sentence=HOSTILE, sentences=[HOSTILE], dial=hostile, sections=[section])
    root = page(place, a_place("place1"), sections=(section,), title=HOSTILE)
    assert [script.get("type") for script in root.iter("script")] == ["application/json", None]
    assert not list(root.iter("img"))
    assert text(next(root.iter("h1"))) == " ".join(HOSTILE.split())
    assert text(next(root.iter("title"))) == " ".join(f"{HOSTILE} - depthdial".split())
    assert not [name for one in root.iter() for name in one.attrib if name.startswith("on")]


def test_the_page_asks_for_nothing_from_outside() -> None:
    root = page(a_place())
    addresses = [one.get(name) for one in root.iter() for name in ("src", "href") if one.get(name)]
    assert all(re.match(r"#|data:", str(address)) for address in addresses)
    (policy,) = [one for one in root.iter("meta") if one.get("http-equiv") == "Content-Security-Policy"]
    assert str(policy.get("content")).startswith("default-src 'none'")


# --- how loops were cut ---


def test_the_page_says_how_loops_were_cut_and_what_tuning_brings() -> None:
    tuned = {"device": "board", "gain": 0.0432, "cuts": {"3x3": Cut(rows=1, columns=4, vectors=2)}}
    assert loops_cut(compiled_for()) == (
        "The compiler cut loops by the model of the processor; what timing them on this device (deploy.tune: device) "
        "would bring is not known."
    )
    assert loops_cut(compiled_for(), 0.031).endswith(
        "(deploy.tune: device) would save 3.1 % of the convolutions' time."
    )
    assert loops_cut(compiled_for(tuned=tuned)) == (
        "The compiler cut loops as measured on board (deploy.tune: device), which saves 4.3 % of the convolutions' "
        "time."
    )
    assert "board was too noisy to tell" in loops_cut(compiled_for(tuned=tuned | {"cuts": {}, "gain": 0.0}))
    narrow = compiled_for(variant="narrow", tiles={"channel_vectors": 1})
    assert loops_cut(narrow).startswith("The compiler cut loops as variant narrow says; ")


# --- the last lines of `make demo` ---


def test_a_run_ends_with_five_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The result in words, where the page is, and what to try next, each with a guide that is there."""
    root = Path(__file__).parents[2]
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "results/digits"
    folder.mkdir(parents=True)
    with pytest.raises(ArtefactError, match=r"report\.html: not there yet; run `snakemake"):
        results(root / "config/config.yaml")
    (folder / "report.html").write_text("")
    write_json(folder / "report.json", said("A title", [a_place()]))
    results(root / "config/config.yaml")
    first, second, *further = capsys.readouterr().out.splitlines()
    assert first == "resnet20 on digits: c01 answers 2.0 times as fast. (device noisy, energy modelled, one seed)"
    assert second == f"The page with the dial to turn: {folder}/report.html"
    assert len(further) == 3
    guides = re.findall(r"docs/[\w-]+\.md", "".join(further))
    assert guides == ["docs/own-data.md", "docs/own-networks.md", "docs/devices.md", "docs/cluster.md"]
    assert all((root / guide).is_file() for guide in guides)
