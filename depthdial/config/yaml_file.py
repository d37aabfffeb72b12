"""One reader of YAML for every file that a user writes: experiment, devices, targets and traces.

PyYAML alone keeps the last of two equal keys, spends minutes on a few lines of nested aliases, and raises whatever
Python raises for a number that is none. Here everything that is wrong is one ConfigError with the file and the line,
and what a file may hold is bounded before it is built.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any
from unicodedata import category

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode

from depthdial.errors import ConfigError

LARGEST_FILE = 256 * 1024
"""Bytes of a file. The largest that is shipped has 4,000."""
MOST_VALUES = 20_000
"""Keys and values of a file, those behind aliases counted wherever they are used."""
DEEPEST = 32
"""Levels of nesting."""
LONGEST_NUMBER, LONGEST_KEY = 100, 100
"""Characters."""


class _Loader(yaml.SafeLoader):
    """Plain values alone, bounded in number and depth; equal keys are refused. Dates are text: no setting is one."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in pairs if not tag.endswith(":timestamp")]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._values = 0
        self._sizes: dict[int, int] = {}

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        """The next node, counted with all that it stands for."""
        before, mark = self._values, self.peek_event().start_mark
        if self.check_event(yaml.AliasEvent):
            node = super().compose_node(parent, index)
            if id(node) not in self._sizes:
                raise yaml.MarkedYAMLError(problem="an alias within what it stands for", problem_mark=mark)
            self._values += self._sizes[id(node)]
        else:
            self._depth += 1
            if self._depth > DEEPEST:
                raise yaml.MarkedYAMLError(problem=f"nested more than {DEEPEST} levels deep", problem_mark=mark)
            node = super().compose_node(parent, index)
            self._depth -= 1
            self._values += 1
            self._sizes[id(node)] = self._values - before
        if self._values > MOST_VALUES:
            problem = f"more than {MOST_VALUES:,} values, aliases counted wherever they are used"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)
        return node

    def compose_mapping_node(self, anchor: Any) -> MappingNode:
        """A mapping whose keys are words, each there once."""
        node = super().compose_mapping_node(anchor)
        lines: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, ScalarNode) or key.tag not in _KEYS or len(key.value) > LONGEST_KEY:
                problem = f"a key must be a word of at most {LONGEST_KEY} characters; put it in quotes if it is one"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            if key.value in lines:
                problem = f"the key {key.value} is given twice, in line {lines[key.value]} and in line {line}; keep one"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            lines[key.value] = line
        return node

    def construct_object(self, node: Node, deep: bool = False) -> Any:
        """The value of a node; whatever Python cannot make of a scalar is told with its line."""
        if node.tag not in _KINDS:
            problem = f"the tag {_short(node.tag)} is not read; plain values alone are"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
        if isinstance(node, ScalarNode):
            _check_scalar(node)
        try:
            return super().construct_object(node, deep)
        except yaml.YAMLError:
            raise
        except Exception:
            problem = f"{_short(node.value)!r} is no {node.tag.rpartition(':')[2]}"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark) from None


_CORE = "tag:yaml.org,2002:"
_KEYS = {f"{_CORE}str", f"{_CORE}merge"}
_KINDS = {f"{_CORE}{kind}" for kind in ("null", "bool", "int", "float", "str", "seq", "map", "merge")}


def _check_scalar(node: ScalarNode) -> None:
    """Raise unless a scalar is of bounded size and holds nothing that terminals, file names or pages choke on."""
    if node.tag in (f"{_CORE}int", f"{_CORE}float") and len(node.value) > LONGEST_NUMBER:
        problem = f"a number of {len(node.value):,} characters; at most {LONGEST_NUMBER} are read"
        raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
    for letter in node.value:
        if category(letter) in ("Cc", "Cs") and letter not in "\n\t":
            problem = f"text that holds the character U+{ord(letter):04X}, which cannot be printed; remove it"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)


def _short(text: Any) -> str:
    text = str(text)
    return text if len(text) <= 60 else f"{text[:60]}..."


def read_yaml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The mapping in a YAML file. Raises ConfigError that names the file and the line if there is none."""
    text = read_text(path, LARGEST_FILE)
    loader = _Loader(text) if _readable(path, text) else None
    try:
        values = loader.get_single_data() if loader else None
    except yaml.MarkedYAMLError as error:
        raise ConfigError(f"{path}{_line(error)}: {_problem(error)}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected keys and values, found {type(values).__name__}")
    return values


def read_text(path: str | os.PathLike[str], largest: int) -> str:
    """The text of a file in UTF-8 of at most ``largest`` bytes, a byte order mark left out. Raises ConfigError."""
    try:
        kind = Path(path).stat()
        if not stat.S_ISREG(kind.st_mode):
            raise ConfigError(f"{path}: cannot be read (it is no file)")
        if kind.st_size > largest:
            raise ConfigError(f"{path}: {kind.st_size:,} bytes; at most {largest:,} are read")
        content = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise ConfigError(f"{path}: cannot be read (it is UTF-16); save it as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        found = f"byte 0x{content[error.start]:02X}"
        raise ConfigError(f"{path}, line {line}: cannot be read ({found} is no UTF-8); save it as UTF-8") from None


def _readable(path: str | os.PathLike[str], text: str) -> bool:
    """True; raises ConfigError for a character that YAML does not allow at all, which PyYAML finds by position."""
    if found := yaml.reader.Reader.NON_PRINTABLE.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise ConfigError(f"{path}, line {line}: the character U+{ord(found.group()):04X} is not allowed; remove it")
    return True


def _line(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    return f", line {mark.line + 1}" if mark else ""


def _problem(error: yaml.MarkedYAMLError) -> str:
    """What is wrong, in one line; PyYAML's own findings are about YAML itself."""
    if error.context is None and type(error) is yaml.MarkedYAMLError:
        return str(error.problem)
    problem = [_short(part) for part in (error.context, error.problem) if part]
    return f"not valid YAML: {', '.join(problem)}"
