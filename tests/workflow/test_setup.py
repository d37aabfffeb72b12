"""A machine with less than is needed is told so in one sentence, and nothing is half set up."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def setup(place: Path, python: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run envs/setup.sh in a folder whose lock asks for one small package."""
    (place / "requirements.lock").write_text("six==1.17.0 --hash=sha256:" + "0" * 64 + "\n")
    command = ["bash", str(ROOT / "envs/setup.sh"), python, "venv"]
    variables = {**os.environ, **environment}
    return subprocess.run(command, cwd=place, env=variables, capture_output=True, text=True, timeout=120, check=False)


def program(place: Path, name: str, script: str) -> Path:
    """A program of that name that does what ``script`` says."""
    path = place / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_no_python(tmp_path: Path) -> None:
    done = setup(tmp_path, "python9")
    assert done.returncode != 0
    assert done.stderr.startswith("depthdial: no python9 on this machine; install Python 3.11 or newer")


def test_a_blank_in_the_path(tmp_path: Path) -> None:
    place = tmp_path / "my files"
    place.mkdir()
    done = subprocess.run(
        ["bash", ROOT / "envs" / "setup.sh", sys.executable, "venv"], cwd=place, capture_output=True, text=True
    )
    assert done.returncode != 0
    assert f"{place} has a blank in its path" in done.stderr
    assert not (place / "venv").exists()


def test_an_old_python(tmp_path: Path) -> None:
    old = program(tmp_path, "python3", '[ "$1" = --version ] && echo Python 3.9.2; [ "$1" = --version ]')
    done = setup(tmp_path, str(old))
    assert done.returncode != 0
    assert done.stderr.startswith("depthdial: Python 3.9.2 is too old; Python 3.11 or newer is needed")


def test_a_full_disk(tmp_path: Path) -> None:
    program(tmp_path, "df", "printf 'Filesystem 1024-blocks\\nx 9 9 2097152 9%% /\\n'")
    done = setup(tmp_path, sys.executable, PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert done.returncode != 0
    assert done.stderr.startswith("depthdial: 2 GiB are free here; the environment needs 9 GiB")
    assert not (tmp_path / "venv").exists()


@pytest.mark.slow
def test_no_network(tmp_path: Path) -> None:
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_EXTRA_INDEX_URL": "", "PIP_FIND_LINKS": ""}
    done = setup(tmp_path, sys.executable, **nowhere, PIP_RETRIES="0", PIP_CONFIG_FILE="/dev/null")
    assert done.returncode != 0
    assert (
        "depthdial: the packages could not be installed; pip says why above (no network, or no disk left?)"
        in done.stderr
    )
    assert not (tmp_path / "venv" / "complete").exists()
