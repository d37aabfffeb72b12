"""Titles and names of classes that are markup elsewhere: whatever shows them shows them as they are."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from depthdial.cli import app
from depthdial.compare.tables import escaped
from depthdial.config.data import Dataset
from depthdial.config.load import load_experiment
from depthdial.data.folder import read_classes
from depthdial.data.images import load_info, save_images
from depthdial.data.places import LONGEST_CLASS
from depthdial.data.prepare import prepare
from depthdial.deploy.manifest import Input
from depthdial.errors import ConfigError, DataError
from depthdial.figures.style import Drawing, canvas, write
from depthdial.report.page import Section, render
from depthdial.report.results import linked
from tests.unit.test_manifest import manifest_of

HOSTILE = [
    "$x_{",
    "a $ b $ \\frac{",
    "<script>alert(1)</script>",
    "a | b",
    "[x](y.csv)",
    "{{ 7 * 7 }}",
    "# *b* `c` ~~d~~ &lt;",
]

UNPRINTABLE = ["a\x1b[2J", "a\u202eb", "a\u200fb", "a\x00b"]


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


@pytest.mark.parametrize("title", ["a\nb", *UNPRINTABLE, " ", "", "x" * 61, "x" * 200, "a\u2028b"])
def test_titles_that_no_line_can_show_are_refused(title: str) -> None:
    values = {"datasets": [{"name": "a", "source": "digits", "title": title}]}
    with pytest.raises(ConfigError, match=r"datasets\[0\].title"):
        load_experiment(values, "here")


def folders(root: Path, *names: str) -> Dataset:
    for part in ("train", "test"):
        for index, name in enumerate(names):
            (root / part / name).mkdir(parents=True)
            for shade in range(3):
                Image.new("L", (8, 8), 10 * index + shade).save(root / part / name / f"{shade}.png")
    return Dataset(name="own", source="folder", path=str(root))


def test_names_of_classes_reach_the_terminal_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that happens to them: from the file of classes to the prepared images, the manifest and ``depthdial run``."""
    wanted = [*HOSTILE, "../..", "; reboot", "x" * LONGEST_CLASS]
    keys = [f"k{index:02}" for index in range(len(wanted))]
    settings = folders(tmp_path / "own", *keys)
    (tmp_path / "classes").write_text("".join(f"{key} {name}\n" for key, name in zip(keys, wanted, strict=True)))
    classes, splits = prepare(settings.model_copy(update={"classes": str(tmp_path / "classes")}))
    save_images(tmp_path / "images", "own", classes, splits)
    about = load_info(tmp_path / "images")
    assert list(about.classes) == wanted
    read = Input(shape=(1, *about.shape), mean=about.mean, deviation=about.deviation, classes=about.classes)
    manifest = manifest_of({}).model_copy(update={"input": read})
    for index, name in enumerate(wanted):
        bundle = SimpleNamespace(manifest=manifest, load=lambda name: None, classify=lambda pixels, name, i=index: i)
        monkeypatch.setattr("depthdial.deploy.runtime.Bundle", lambda folder, bundle=bundle: bundle)
        said = CliRunner().invoke(app, ["run", "unused", "--images", str(tmp_path / "own/test/k00")])
        assert said.output.splitlines() == [f"{shade}.png\t{name}" for shade in range(3)]


def test_folders_of_classes_with_odd_names_are_classes(tmp_path: Path) -> None:
    odd = ["$x_{", "a | b", "<script>alert(1)<", "`rm -rf .`", "%s{0}", "C:\\x", "-rf", "x" * LONGEST_CLASS]
    assert prepare(folders(tmp_path / "own", *odd))[0] == sorted(odd)


@pytest.mark.parametrize("name", ["a\nb", "x" * (LONGEST_CLASS + 1), *UNPRINTABLE])
def test_names_of_classes_that_no_line_can_show_are_refused(tmp_path: Path, name: str) -> None:
    if "\0" not in name:
        with pytest.raises(DataError, match=r"class '.*': its name .*; rename it") as caught:
            prepare(folders(tmp_path / "own", "a", name))
        assert all(line.isprintable() for line in str(caught.value).splitlines())
    if "\n" not in name:
        (tmp_path / "classes").write_text(f"a\nb {name}\n")
        with pytest.raises(DataError, match=r"line 2: '.*': its name .*; write another") as caught:
            read_classes(tmp_path / "classes", ["a", "b"])
        assert all(line.isprintable() for line in str(caught.value).splitlines())
