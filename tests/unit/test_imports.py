"""Imports go one way, and PyTorch stays where networks are trained, evaluated and exported."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIBRARY = sorted((ROOT / "depthdial").rglob("*.py"))
LAYERS = [
    {"errors", "files", "artefacts"},
    {"statistics", "runs"},
    {"config"},
    {"networks"},
    {"layout"},
    {"data"},
    {"train", "evaluate", "select", "deploy", "traces"},
    {"search", "devices"},
    {"schedule"},
    {"replay"},
    {"compare"},
    {"figures"},
    {"report"},
    {"cli", "__main__"},
]
"""Packages of depthdial, lowest first: a module imports from its own layer and those below alone."""
WITHOUT_TORCH = [
    "config",
    "deploy.compile",
    "deploy.bundle",
    "devices",
    "select",
    "schedule",
    "replay",
    "compare",
    "traces",
    "figures",
    "report",
]


def imported(path: Path) -> set[str]:
    """The top-level names, and for depthdial the modules, that a file imports anywhere."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return names


def layer(module: str) -> int:
    """The index of a depthdial package's layer."""
    return next(index for index, names in enumerate(LAYERS) if module in names)


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_library_imports_downwards_and_knows_no_workflow(path: Path) -> None:
    parts = path.relative_to(ROOT / "depthdial").with_suffix("").parts
    if parts == ("__init__",):
        return
    here = layer(parts[0])
    for name in imported(path):
        assert name.split(".")[0] not in {"snakemake", "workflow_scripts", "tests", "benchmarks"}, name
        if name.startswith("depthdial.") and path.name != "cli.py":
            assert layer(name.split(".")[1]) <= here, f"{name} is above {'.'.join(parts)}"


@pytest.mark.parametrize("path", sorted((ROOT / "workflow_scripts").glob("*.py")), ids=lambda path: path.name)
def test_a_script_has_a_main_and_a_rule(path: Path) -> None:
    text = path.read_text()
    assert "def main(smk: Any)" in text
    assert 'if "snakemake" in globals():' in text
    rules = "".join(rule.read_text() for rule in (ROOT / "rules").glob("*.smk"))
    assert f"rule {path.stem}:" in rules or path.stem == "draw_figure"  # a rule for each figure
    assert rules.count(f'"../workflow_scripts/{path.name}"') == 1


@pytest.mark.parametrize("module", WITHOUT_TORCH)
def test_later_stages_start_without_torch(module: str) -> None:
    code = (
        "import importlib, pkgutil, sys\n"
        f"package = importlib.import_module('depthdial.{module}')\n"
        "for found in pkgutil.walk_packages(getattr(package, '__path__', []), package.__name__ + '.'):\n"
        "    if not found.name.startswith('depthdial.deploy.export'):\n"
        "        importlib.import_module(found.name)\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
