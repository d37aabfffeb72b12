"""The workflow, run by the real Snakemake in a copy of the checkout, and what it has left."""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from safetensors.numpy import load_file

ROOT = Path(__file__).resolve().parents[2]
SMALL = ("--configfile", "tests/system/cluster.yaml")
BRIEF = ("--configfile", "brief.yaml")
"""The default experiment, in a checkout that ``brief_experiment`` was called for."""
ON_SLURM = (
    *("--profile", "slurm", "--latency-wait", "10"),
    *("--slurm-init-seconds-before-status-checks", "3", "--max-status-checks-per-second", "1"),
)
"""The profile as it is shipped, only looking more often, so that the tests wait less."""


@dataclass(frozen=True)
class Done:
    """How a run of Snakemake has ended."""

    code: int
    text: str
    processor_seconds: float


def checkout(place: Path) -> Path:
    """What a fresh clone would hold, with the changes at hand, in a new folder."""
    files = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, files.stdout.split("\0")):
        if (ROOT / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, place / name)
    return place


def plannable(place: Path) -> Path:
    """A checkout with stand-ins for the weights that targets of the Makefile fetch: a plan asks that they are there."""
    for config in (checkout(place) / "config").glob("*.yaml"):
        for weights in re.findall(r"weights: (\.cache/\S+)", config.read_text()):
            (place / weights).parent.mkdir(parents=True, exist_ok=True)
            (place / weights).write_text("fetched by a target of the Makefile")
    return place


def brief_experiment(place: Path) -> Path:
    """Write ``brief.yaml`` to a checkout: the default experiment with two epochs, one seed, and masks in three shards.

    The nodes of the tests share this machine's cores; how well it measures is not the question there.
    """
    values = yaml.safe_load((place / "config/config.yaml").read_text())
    for recipe in values["recipes"]:
        recipe["epochs"] = 2
    values["seeds"] = [0]
    values["evaluate"] = {"shards": 3}
    values["benchmark"] = {"rounds": 3, "window_ms": 20, "drift_limit": 1.0, "frequency_limit": 1.0}
    (place / BRIEF[1]).write_text(yaml.safe_dump(values))
    return place


def on_a_site_with_gpus(profile: str) -> dict[str, Any]:
    """The profile with what it offers to sites with partitions for GPUs, and one for the rest, uncommented."""
    before, _, offer = profile.partition("# set-resources:\n")
    block, _, after = offer.partition("\n\n")
    uncommented = "".join(f"{line.removeprefix('# ')}\n" for line in ["# set-resources:", *block.splitlines()])
    before = re.sub(r"# (slurm_partition: \w+)", r"\1", before)
    return dict(yaml.safe_load(f"{before}{uncommented}\n{after}"))


class Run:
    """A run of Snakemake in the background, in a process group of its own."""

    def __init__(self, place: Path, *arguments: str) -> None:
        self._log = place / f"snakemake-{time.monotonic_ns()}.txt"
        command = [str(Path(sys.executable).with_name("snakemake")), *arguments]
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self._before = _of_children()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=place, stdout=log, stderr=log, start_new_session=True, env={**os.environ, "PATH": path}
            )

    @property
    def pid(self) -> int:
        """The head."""
        return self._process.pid

    @property
    def text(self) -> str:
        """What it has written so far."""
        return self._log.read_text(errors="replace")

    def kill(self) -> None:
        """``kill -9`` of the head and of all it has started on this machine."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def wait(self, timeout_s: float = 600) -> Done:
        """Wait for the end; past ``timeout_s`` kill it and raise what it wrote."""
        try:
            code = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"Snakemake has not ended within {timeout_s:g} s:\n{self.text}") from None
        return Done(code, self.text, _of_children() - self._before)


def _of_children() -> float:
    """Processor time of what this process has started and that has ended, in seconds: a busy machine adds little."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def snakemake(place: Path, *arguments: str, timeout_s: float = 600) -> Done:
    """Run Snakemake to its end."""
    return Run(place, *arguments).wait(timeout_s)


def differing_results(one: Path, other: Path) -> list[str]:
    """Files of two result folders that do not say the same."""
    return [name for name, same in compare_results(one, other).items() if not same]


def compare_results(one: Path, other: Path) -> dict[str, bool]:
    """Whether files of two result folders say the same, bit for bit; times are no result.

    Measurements and what follows from them differ between any two runs. Of the rest a text or a picture
    counts as it is; tables count by their cells, weights by their numbers, because their files tell the
    commit and the place of their making too. The claims follow from measurements.
    """
    names = {path.relative_to(base) for base in (one, other) for path in base.rglob("*") if path.is_file()}
    texts = {"configurations.json", "accuracies.csv", "equal_macs.csv", "skipping.csv", "rankings.csv", "recipes.csv"}
    compared = {name for name in names if name.suffix in {".parquet", ".safetensors"} or name.name in texts}
    comparable = sorted(name for name in compared if not {"bench", "schedule", "replay", "bundle"} & set(name.parts))
    assert comparable
    return {str(name): _same(one / name, other / name) for name in comparable}


def _same(one: Path, other: Path) -> bool:
    if not (one.exists() and other.exists()):
        return False
    if one.suffix == ".parquet":
        return pd.read_parquet(one).equals(pd.read_parquet(other))
    if one.suffix == ".safetensors":
        ours, theirs = load_file(one), load_file(other)
        return ours.keys() == theirs.keys() and all((ours[key] == theirs[key]).all() for key in ours)
    if one.name == "recipes.csv":  # which tells how long training took
        ours, theirs = (pd.read_csv(path).filter(regex="^(?!seconds)") for path in (one, other))
        return ours.equals(theirs)
    return one.read_bytes() == other.read_bytes()
