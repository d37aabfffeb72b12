"""The one reader of YAML: what it refuses, with the line; bounded in time and memory whatever it is given."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from depthdial.config.devices import load_devices
from depthdial.config.problems import MOST
from depthdial.config.study import check_trace, read_study
from depthdial.config.targets import load_targets
from depthdial.config.yaml_file import read_yaml
from depthdial.errors import ConfigError
from tests.rigs.fuzz import fuzz

ROOT = Path(__file__).parents[2]
LAUGHS = "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n}\n  <<: [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10))


def read(tmp_path: Path, text: str | bytes) -> dict[str, Any]:
    path = tmp_path / "some.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    return read_yaml(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "line 3: the key a is given twice, in line 1 and in line 3"),
        ("a:\n  - {b: 1,\n     b: 2}\n", "line 3: the key b is given twice, in line 2 and in line 3"),
        ("a: 1\n'a': 2\n", "line 2: the key a is given twice"),
        ("x: &x {b: 1}\na:\n  <<: *x\n  <<: *x\n", "line 4: the key << is given twice"),
        ("a: !!int ''\n", "line 1: '' is no int"),
        ("\na: !!bool x\n", "line 2: 'x' is no bool"),
        ("a: 0x_\n", "line 1: '0x_' is no int"),
        ("a: " + "9" * 5000, "line 1: a number of 5,000 characters"),
        ("a: 0x" + "f" * 5000, "line 1: a number of 5,002 characters"),
        ("a: " + "[" * 900, "line 1: nested more than 32 levels deep"),
        ("a: " + "[" * 200_000, "line 1: nested more than 32 levels deep"),
        ("- " * 100_000, "line 1: nested more than 32 levels deep"),
        ('a: "x\\0y"', r"line 1: text that holds the character U\+0000"),
        ('a: "\\e[2J"', r"line 1: text that holds the character U\+001B"),
        ('a: "\\ud800"', r"line 1: text that holds the character U\+D800"),
        ("b: 1\na: \x07", r"line 2: the character U\+0007 is not allowed"),
        (LAUGHS, "line 9: more than 20,000 values, aliases counted"),
        ("a0: &a0 [1]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60)), "more than 20,000"),
        ("seeds: [" + "1," * 60_000 + "]", "line 1: more than 20,000 values"),
        ("seeds: [" + "1," * 1_000_000 + "]", "2,000,009 bytes; at most 262,144 are read"),
        ("a: &a [*a]", "line 1: an alias within what it stands for"),
        ("a: *b", "line 1: not valid YAML: found undefined alias"),
        ("a: !!python/object/apply:os.system [x]", "line 1: the tag .*os.system is not read"),
        ("a: !!binary x", "line 1: the tag .*binary is not read"),
        ("yes: 1", "line 1: a key must be a word"),
        ("? [1]\n: 2", "line 1: a key must be a word"),
        ("k" * 200 + ": 1", "line 1: a key must be a word of at most 100 characters"),
        ("a:\n\t- 1", "line 2: not valid YAML: .*cannot start any token"),
        ("a: 1\n---\nb: 2", "line 2: not valid YAML: expected a single document"),
        ("a: [", "line 1: not valid YAML"),
        ("a: {<<: 3}", "line 1: not valid YAML: while constructing a mapping"),
        ("- 1", "expected keys and values, found list"),
        ("", "expected keys and values, found NoneType"),
        ("a: é".encode("latin-1"), "line 1: cannot be read .byte 0xE9 is no UTF-8.; save it as UTF-8"),
        ("a: 1".encode("utf-16"), "it is UTF-16.; save it as UTF-8"),
    ],
)
def test_what_is_refused_is_told_with_its_line(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        read(tmp_path, text)
    assert len(str(caught.value)) < 1000


def test_what_is_sound_is_read(tmp_path: Path) -> None:
    text = "\ufeffbase: &base {a: 1, b: [x, 1.5, true, null]}\nmore: {<<: *base, a: 2}\ndate: 2024-02-30\n"
    found = read(tmp_path, text)
    assert found["more"] == {"a": 2, "b": ["x", 1.5, True, None]}
    assert found["date"] == "2024-02-30"


@pytest.mark.parametrize("path", sorted((ROOT / "config").rglob("*.yaml")), ids=lambda path: path.name)
def test_shipped_files_are_read_as_pyyaml_reads_them(path: Path) -> None:
    assert read_yaml(path) == yaml.safe_load(path.read_text())


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    for path in ("/dev/zero", str(tmp_path), str(tmp_path / "none"), "a\0b"):
        with pytest.raises(ConfigError, match="cannot be read"):
            read_yaml(path)


def test_messages_stay_short_however_much_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("seeds: [" + "x," * 10_000 + "]\n" + "".join(f"k{n}: {'v' * 200}\n" for n in range(500)))
    with pytest.raises(ConfigError) as caught:
        read_study([path], {}, ROOT)
    lines = str(caught.value).splitlines()
    assert len(lines) <= MOST + 3
    assert lines[-1].strip().startswith("- ... and ")
    assert max(map(len, lines)) < 500


WORDS = st.sampled_from(
    [
        "networks",
        "seeds",
        "role",
        "dial",
        "traces",
        "devices",
        "targets",
        "title",
        "$",
        "<<",
        "*a",
        "&a",
        "!!int",
        "---",
    ]
) | st.text(max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.sampled_from([10**400, "2024-02-30", "\0"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)
READERS: dict[str, Callable[[Path], Any]] = {
    "config.yaml": lambda path: read_study([path], {}, ROOT),
    "devices.yaml": load_devices,
    "targets.yaml": load_targets,
    "traces/drain.yaml": lambda path: check_trace(path, learnt_from=True),
}


@pytest.mark.parametrize("name", READERS)
@given(data=st.data())
@fuzz
def test_every_file_is_read_or_refused_by_name(name: str, data: st.DataObject) -> None:
    sound = (ROOT / "config" / name).read_text()
    if data.draw(st.booleans()):
        text = list(sound)
        for _ in range(data.draw(st.integers(1, 5))):
            at = data.draw(st.integers(0, len(text)))
            text[at : at + data.draw(st.integers(0, 6))] = data.draw(WORDS)
        content = "".join(text)
    else:
        values = yaml.safe_load(sound)
        where = values
        while isinstance(where, dict | list) and where and data.draw(st.integers(0, 3)):
            keys = list(where) if isinstance(where, dict) else list(range(len(where)))
            key = data.draw(st.sampled_from(keys))
            if not isinstance(where[key], dict | list) or not data.draw(st.booleans()):
                where[key] = data.draw(VALUES)
                break
            where = where[key]
        content = yaml.safe_dump(values, allow_unicode=True)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / Path(name).name
        path.write_bytes(content.encode("utf-8", "surrogatepass"))
        try:
            READERS[name](path)
        except ConfigError as error:
            told = str(error)
        else:
            told = str(path)
    assert len(told.splitlines()) <= 40
    assert str(path) in told or str(ROOT) in told or "traces" in told
