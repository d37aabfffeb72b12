"""What a result was made by: digests of the code that a stage uses, versions, commit."""

from __future__ import annotations

import ast
import hashlib
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from depthdial import __version__

ROOT = Path(__file__).resolve().parents[1]


def code_digest(*modules: str) -> str:
    """SHA-256 over the sources of modules or packages (``depthdial.train``) and of all of depthdial that they import.

    Snakemake does not see that an imported module changed. A rule that has this digest among its params
    runs again when, and only when, code that it uses has changed. Nothing is imported: the sources are
    read. Comments and docstrings do not count.
    """
    digest = hashlib.sha256()
    for path in sorted(_closure(modules)):
        digest.update(_read(path)[0].encode())
    return digest.hexdigest()[:16]


def _closure(modules: tuple[str, ...]) -> set[Path]:
    """The source files of ``modules`` and, transitively, of the depthdial modules that they import."""
    found: set[Path] = set()
    waiting = [path for module in modules for path in _sources(module, package=True)]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting.extend(_read(path)[1])
    return found


def _sources(module: str, package: bool) -> list[Path]:
    """The files of a module; with ``package``, all files of a package, else its ``__init__`` alone."""
    base = ROOT.joinpath(*module.split(".")[1:])
    if base.is_dir():
        return sorted(base.rglob("*.py")) if package and base != ROOT else [base / "__init__.py"]
    if base.with_suffix(".py").is_file():
        return [base.with_suffix(".py")]
    raise ValueError(f"code_digest: there is no module {module}")


@cache
def _read(path: Path) -> tuple[str, tuple[Path, ...]]:
    """A source as its syntax tree says it, without docstrings, and the depthdial files that it imports anywhere."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported.extend(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported.extend([node.module, *(f"{node.module}.{alias.name}" for alias in node.names)])
        elif isinstance(body := getattr(node, "body", None), list):
            node.body = [line for line in body if not _is_text(line)]  # type: ignore[attr-defined]
    ours = dict.fromkeys(name for name in imported if name.startswith("depthdial.") and _is_module(name))
    files = tuple(file for name in ours for file in _sources(name, package=False))
    return f"{path.relative_to(ROOT)}\n{ast.dump(tree)}", files


def _is_module(name: str) -> bool:
    base = ROOT.joinpath(*name.split(".")[1:])
    return base.is_dir() or base.with_suffix(".py").is_file()


def _is_text(statement: ast.stmt) -> bool:
    """Whether a statement is a bare string, which does nothing."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def git_commit() -> str:
    """The commit of the checkout, with ``-dirty`` if it was changed; ``unknown`` outside one."""
    try:
        command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"


def versions(*packages: str) -> dict[str, str]:
    """Installed versions of depthdial and of the named distributions."""
    found = {"depthdial": __version__}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found
