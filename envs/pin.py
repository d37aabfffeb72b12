"""Write the conda environments of the rules: `python envs/pin.py` after a change of requirements.lock or of imports.

A rule names its environment (`conda: "../envs/train.yaml"`) and its script. What the scripts of an environment import,
themselves and through depthdial, is what it must hold; versions, and what those packages need in turn, are taken from
requirements.lock, so that a job sees the same packages with `--sdm conda` and without.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEAD = """\
# Written by envs/pin.py: what the rules {rules} need, with the versions of requirements.lock.
# The same minor version of Python as Snakemake's own: scripts see its packages too.
channels:
  - conda-forge
  - nodefaults
dependencies:
  - python =3.11
  - pip
  - pip:
"""
LOADED_BY_NAME = {"pandas": {"pyarrow"}, "pulp": {"highspy"}, "torch": {"numpy"}}
"""What a package needs for our use of it without requiring it: Parquet files, the solver, arrays."""
MODULES_LOADED_BY_NAME = {"draw_figure": "depthdial/figures"}
"""Folders whose modules a script imports without an import statement."""
Lock = dict[str, list[str]]
"""Canonical name -> its lines in the lock, several where markers choose."""


def environments() -> dict[str, str]:
    """The text of every environment that a rule names, by file name."""
    lines, needs = read_lock((ROOT / "requirements.lock").read_text())
    texts = {}
    for file, rules in sorted(rules_by_environment().items()):
        direct = {package for script in rules.values() for package in imported(script)} & lines.keys()
        extra = {package for name in direct for package in LOADED_BY_NAME.get(name, ())}
        wanted = closure(direct | extra, needs)
        pins = [f"      - {line}\n" for package in sorted(wanted) for line in lines[package]]
        texts[file] = HEAD.format(rules=", ".join(sorted(rules))) + "".join(pins)
    return texts


RULE = r"^( *)(?:rule|checkpoint) ?(\w*):\n((?:(?:\1[ \t].*)?\n)+)"


def rules_by_environment() -> dict[str, dict[str, Path]]:
    """Environment -> rule -> script, read from rules/*.smk."""
    found: dict[str, dict[str, Path]] = defaultdict(dict)
    for path in sorted((ROOT / "rules").glob("*.smk")):
        for _, name, body in re.findall(RULE, path.read_text(), re.M):
            script = re.search(r'script:\s+"\.\./(\S+)"', body)
            conda = re.search(r'conda:\s+"\.\./envs/(\S+)"', body)
            if script:
                if not conda:
                    raise ValueError(f"{path.name}: rule {name} has a script and no conda environment")
                # Rules that are made in a loop have no name here; their script's stands for theirs.
                found[conda.group(1)][name or Path(script.group(1)).stem] = ROOT / script.group(1)
    return found


def imported(script: Path) -> set[str]:
    """Distributions that a script imports, itself or through modules of depthdial, wherever the import stands."""
    names: set[str] = set()
    seen: set[Path] = set()
    waiting = [script, *(ROOT / MODULES_LOADED_BY_NAME.get(script.stem, "nowhere")).glob("*.py")]
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        for module in _modules(ast.parse(path.read_text())):
            if module.partition(".")[0] == "depthdial":
                waiting += _files(module)
            else:
                names.add(module.partition(".")[0])
    return {_canonical(package) for name in names for package in _installed().get(name, [])}


@cache
def _installed() -> Mapping[str, list[str]]:
    """Name that is imported -> distributions that provide it."""
    return packages_distributions()


def read_lock(text: str) -> tuple[Lock, dict[str, set[str]]]:
    """The lock's lines by package, and what each package needs, from the lock's `# via` comments."""
    lines: Lock = defaultdict(list)
    needs: dict[str, set[str]] = defaultdict(set)
    package = ""
    for line in text.splitlines():
        if pinned := re.match(r"([A-Za-z0-9_.-]+)(\[[^]]*\])?==", line):
            package = _canonical(pinned.group(1))
            lines[package].append(line.rstrip("\\ "))
        elif parent := re.match(r"    #(?: via)?\s+([A-Za-z0-9_.-]+)(?:\[[^]]*\])?", line):
            needs[_canonical(parent.group(1))].add(package)
    return lines, needs


def closure(packages: set[str], needs: dict[str, set[str]]) -> set[str]:
    """``packages`` and all that they need."""
    found: set[str] = set()
    waiting = set(packages)
    while waiting:
        package = waiting.pop()
        found.add(package)
        waiting |= needs.get(package, set()) - found
    return found


def _modules(tree: ast.Module) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def _files(module: str) -> list[Path]:
    """The sources of a module of depthdial and of the packages around it; none of a name that is no module."""
    parts = module.split(".")
    places = [ROOT.joinpath(*parts[:depth]) for depth in range(1, len(parts) + 1)]
    return [path for place in places for path in (place / "__init__.py", place.with_suffix(".py")) if path.is_file()]


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    for file, text in environments().items():
        (ROOT / "envs" / file).write_text(text)
        sys.stdout.write(f"envs/{file}: {text.count('==')} packages\n")
