"""Every snakemake command of the guides is planned as it stands there."""

import re
import shlex
from pathlib import Path

import pytest

from tests.system.snakemake_run import plannable, snakemake

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").glob("*.md")))]
GENERATED = {"docs/configuration.md", "docs/rulegraph.md"}


def commands() -> list[str]:
    """The command lines, in code blocks and within sentences; those with <placeholders> are left out."""
    found = []
    for page in set(PAGES) - GENERATED:
        text = (ROOT / page).read_text().replace("\\\n", " ")
        for line in [*re.findall(r"^ {4}(snakemake .*)$", text, re.M), *re.findall(r"(?<!`)`(snakemake [^`]+)`", text)]:
            command = " ".join(line.partition("#")[0].split())
            if not re.search(r"<|--report|--lint|--rulegraph", command):
                found.append(command)
    return sorted(set(found))


def test_there_are_commands() -> None:
    assert "snakemake --profile slurm" in commands()
    assert len(commands()) > 10


@pytest.mark.slow
@pytest.mark.parametrize("command", commands())
def test_a_documented_command_can_be_planned(tmp_path: Path, command: str) -> None:
    place = plannable(tmp_path / "clone")
    words = shlex.split(command)[1:]
    if "my.yaml" in words:
        (place / "my.yaml").write_text((place / "config/config.yaml").read_text())
    engine = [] if "--cores" in words or "--profile" in words else ["--cores", "1"]
    done = snakemake(place, "-n", *engine, *words)
    assert done.code == 0, done.text
