"""Imports go one way, and PyTorch stays where networks are trained, evaluated and exported."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
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


def test_imports_go_one_way_without_circles() -> None:
    """The contracts stand in pyproject.toml; imports within functions count."""
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", sorted((ROOT / "workflow_scripts").glob("*.py")), ids=lambda path: path.name)
def test_a_script_has_a_main_and_a_rule(path: Path) -> None:
    text = path.read_text()
    assert "def main(smk: Any)" in text
    assert 'if "snakemake" in globals():' in text
    rules = "".join(rule.read_text() for rule in (ROOT / "rules").glob("*.smk"))
    assert re.search(rf"^(rule|checkpoint) {path.stem}:", rules, re.M) or path.stem == "draw_figure"
    assert rules.count(f'"../workflow_scripts/{path.name}"') == 1


def test_no_module_and_no_rules_that_share_functions_are_long() -> None:
    long = [path for path in (ROOT / "depthdial").rglob("*.py") if len(path.read_text().splitlines()) > 400]
    assert not long, f"more than 400 lines: {long}; move a part that stands on its own into a module"
    assert len((ROOT / "rules" / "common.smk").read_text().splitlines()) < 200, "experiment logic is layout.py's"


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
