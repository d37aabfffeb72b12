"""Titles that are markup elsewhere: figures, the page of results and the report show them as they are."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest

from depthdial.compare.tables import escaped
from depthdial.config.load import load_experiment
from depthdial.errors import ConfigError
from depthdial.figures.style import Drawing, canvas, write
from depthdial.report.page import Section, render
from depthdial.report.results import linked

HOSTILE = [
    "$x_{",
    "a $ b $ \\frac{",
    "<script>alert(1)</script>",
    "a | b",
    "[x](y.csv)",
    "{{ 7 * 7 }}",
    "# *b* `c` ~~d~~ &lt;",
]


@pytest.mark.parametrize("title", HOSTILE)
def test_figures_show_titles_as_they_are(tmp_path: Path, title: str) -> None:
    with canvas(80) as (figure, axes):
        axes.set_title(title)
        axes.plot([1, 2], [1, 2], label=title)
        axes.legend()
        write(Drawing(figure, pd.DataFrame({"a": [1]}), title), [str(tmp_path / "x.svg"), str(tmp_path / "x.png")], 72)
    texts = [element.text for element in ElementTree.parse(tmp_path / "x.svg").iter() if element.text]
    assert title in texts


@pytest.mark.parametrize("title", HOSTILE)
def test_pages_show_titles_as_they_are(title: str) -> None:
    text = escaped(title)
    assert "<" not in text.replace("\\<", "")
    assert "|" not in text.replace("\\|", "")
    assert not linked(f"## {text}\n")
    page = render(title, [], [Section("device", title, title)], title)
    assert "<script>alert" not in page


@pytest.mark.parametrize("title", ["a\nb", "a\x1b[2J", "a\u202eb", " ", "", "x" * 61, "a\u2028b"])
def test_titles_that_no_line_can_show_are_refused(title: str) -> None:
    values = {"datasets": [{"name": "a", "source": "digits", "title": title}]}
    with pytest.raises(ConfigError, match=r"datasets\[0\].title"):
        load_experiment(values, "here")
