"""The rule `benchmark_device` in a real workflow with two SSH devices."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest
import yaml

from depthdial.devices.records import read_records
from tests.rigs.bundles import make_bundle
from tests.rigs.ssh import SshDevice

pytestmark = [pytest.mark.slow, pytest.mark.ssh]
ROOT = Path(__file__).parents[2]
SNAKEFILE = """
include: "{root}/rules/common.smk"
include: "{root}/rules/bench.smk"
"""


@pytest.fixture
def workflow(tmp_path: Path) -> Iterator[tuple[Path, list[SshDevice]]]:
    """A run of two data sets on two devices in which all that comes before the benchmark is done already."""
    rigs = [SshDevice(tmp_path / name, name) for name in ("one", "two")]
    (tmp_path / "devices.yaml").write_text(
        yaml.safe_dump({"devices": [rig.device().model_dump(mode="json") for rig in rigs]})
    )
    config = {
        "experiment": "e",
        "datasets": [{"name": name, "source": "digits"} for name in ("a", "b")],
        "networks": [
            {"name": "dial", "role": "dial", "depth": 20, "survival": {"last": 0.5}},
            {"name": "small", "role": "static", "depth": 8},
        ],
        "seeds": [0],
        "benchmark": {
            "devices_file": str(tmp_path / "devices.yaml"),
            "devices": ["one", "two"],
            "rounds": 3,
            "extra_rounds": 0,
            "window_ms": 20,
            "warm_up_ms": 0,
            "least_inferences": 10,
            "resamples": 100,
        },
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    (tmp_path / "Snakefile").write_text(SNAKEFILE.format(root=ROOT))
    for network, masks in (("dial", ("111", "100")), ("small", ("1",))):
        made = make_bundle(tmp_path / f"results/e/a/{network}/seed0/bundle/host", network, masks)
        shutil.copytree(made, tmp_path / f"results/e/b/{network}/seed0/bundle/host")
    (tmp_path / "config").symlink_to(ROOT / "config")
    (tmp_path / ".cache").symlink_to(ROOT / ".cache")
    yield tmp_path, rigs
    for rig in rigs:
        rig.close()


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "snakemake", *arguments, "--cores", "2", "--configfile", "config.yaml"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def spans(folder: Path, device: str) -> list[tuple[datetime, datetime]]:
    """First and last window of each data set on a device."""
    found = []
    for dataset in ("a", "b"):
        records = read_records(folder / f"results/e/{dataset}/dial/bench/{device}/records.jsonl")
        found.append((datetime.fromisoformat(records[0].started), datetime.fromisoformat(records[-1].started)))
    return sorted(found)


def test_two_devices_work_at_the_same_time_and_never_two_jobs_on_one(
    workflow: tuple[Path, list[SshDevice]],
) -> None:
    folder, rigs = workflow
    rigs[1].kill()
    broken = snakemake(folder, "bench_all", "--keep-going")
    assert broken.returncode != 0
    assert "device two: the connection to two was lost" in broken.stderr
    assert len(list(folder.glob("results/e/[ab]/dial/bench/one/latency.parquet"))) == 2
    assert not list(folder.glob("results/e/*/dial/bench/two/*"))
    rigs[1].start()
    again = snakemake(folder, "bench_all")
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("rule benchmark_device:") == 2
    for table in folder.glob("results/e/*/dial/bench/*/latency.parquet"):
        assert len(pd.read_parquet(table)) == 3
        table.unlink()
    together = snakemake(folder, "bench_all")
    assert together.returncode == 0, together.stderr
    per_device = {name: spans(folder, name) for name in ("one", "two")}
    for (_, first_end), (second_start, _) in per_device.values():
        assert first_end < second_start
    assert any(
        start < other_end and other_start < end
        for start, end in per_device["one"]
        for other_start, other_end in per_device["two"]
    )
    nothing = snakemake(folder, "bench_all")
    assert "Nothing to be done" in nothing.stderr + nothing.stdout
    assert "is held by" not in together.stderr
