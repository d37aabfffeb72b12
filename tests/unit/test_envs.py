"""The conda environments hold what their rules import, with the versions of the lock."""

from __future__ import annotations

import re

import pytest
import yaml

from envs.pin import ROOT, closure, environments, read_lock, rules_by_environment

LOCK = """\
alpha==1.0 \\
    --hash=sha256:00
    # via depthdial (pyproject.toml)
beta-two==2.0 ; python_full_version < '3.12' \\
    --hash=sha256:00
    # via
    #   alpha
    #   gamma
beta-two==3.0 ; python_full_version >= '3.12' \\
    --hash=sha256:00
    # via alpha
"""


def test_the_lock_is_understood() -> None:
    lines, needs = read_lock(LOCK)
    assert lines["beta-two"] == [
        "beta-two==2.0 ; python_full_version < '3.12'",
        "beta-two==3.0 ; python_full_version >= '3.12'",
    ]
    assert closure({"alpha"}, needs) == {"alpha", "beta-two"}
    assert closure({"beta-two"}, needs) == {"beta-two"}


@pytest.mark.slow
def test_environments_are_current() -> None:
    written = {path.name: path.read_text() for path in (ROOT / "envs").glob("*.yaml")}
    assert written == environments(), "run: python envs/pin.py"


def test_every_pin_is_in_the_lock() -> None:
    locked = set(re.findall(r"^([A-Za-z0-9_.-]+==\S+)", (ROOT / "requirements.lock").read_text(), re.M))
    for path in (ROOT / "envs").glob("*.yaml"):
        pins = yaml.safe_load(path.read_text())["dependencies"][-1]["pip"]
        assert pins
        assert {pin.split()[0] for pin in pins} <= locked, path.name


@pytest.mark.parametrize("light", ["deploy", "schedule", "report"])
def test_torch_stays_where_networks_are_trained_and_exported(light: str) -> None:
    pins = yaml.safe_load((ROOT / "envs" / f"{light}.yaml").read_text())["dependencies"][-1]["pip"]
    assert not [pin for pin in pins if pin.startswith("torch")]


def test_every_script_has_a_rule_and_an_environment() -> None:
    scripts = {script for rules in rules_by_environment().values() for script in rules.values()}
    assert scripts == set((ROOT / "workflow_scripts").glob("*.py"))
