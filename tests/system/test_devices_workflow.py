"""The rule `benchmark_device` in a real workflow with two SSH devices."""

from __future__ import annotations

import os
import re
import shutil
import signal
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
from tests.rigs.ssh import SshDevice, wait_for

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


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "snakemake", *arguments, "--cores", "2", "--configfile", "config.yaml"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    )


def finish(run: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    output, errors = run.communicate()
    return subprocess.CompletedProcess(run.args, run.returncode, output, errors)


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return finish(start(folder, *arguments))


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


@pytest.mark.parametrize("ailment", ["changed key", "connection cut", "server killed", "head killed", "full disk"])
def test_what_one_device_did_not_finish_is_measured_when_the_workflow_is_run_again(
    workflow: tuple[Path, list[SshDevice]], ailment: str
) -> None:
    folder, (one, _) = workflow
    values = yaml.safe_load((folder / "config.yaml").read_text())
    values["datasets"], values["benchmark"]["rounds"] = values["datasets"][:1], 15
    (folder / "config.yaml").write_text(yaml.safe_dump(values))
    if ailment == "changed key":
        one.change_key()
    elif ailment == "full disk":
        one.kill()
        one.largest_file = 1_000_000
        one.start()
    run = start(folder, "bench_all", "--keep-going")
    if ailment in {"connection cut", "server killed", "head killed"}:
        wait_for(lambda: list(one.work.glob("session.*/samples")), 60)
        {
            "connection cut": one.proxy.cut,
            "server killed": one.kill,
            "head killed": lambda: os.killpg(run.pid, signal.SIGKILL),
        }[ailment]()
    broken = finish(run)
    assert broken.returncode != 0
    assert not list(folder.glob("results/e/a/dial/bench/one/*.parquet"))
    if ailment != "head killed":
        assert re.search(f"device one: .*{WHY[ailment]}", broken.stderr)
        assert len(list(folder.glob("results/e/a/dial/bench/two/latency.parquet"))) == 1
    one.kill()
    one.largest_file = None
    one.start()
    one.trust()
    again = snakemake(folder, "bench_all", "--rerun-incomplete")
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("rule benchmark_device:") == (2 if ailment == "head killed" else 1)
    for device in ("one", "two"):
        assert len(read_records(folder / f"results/e/a/dial/bench/{device}/records.jsonl")) == 15 * 4


WHY = {
    "changed key": "the host key of one is not the one you know",
    "connection cut": "the connection to one was lost",
    "server killed": "the connection to one was lost",
    "full disk": "files could not be written to",
}
