"""The workflow on a real Slurm: the results of one machine, spread over nodes, whatever goes wrong underway."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path

import psutil
import pytest
import yaml

from tests.system.slurm_cluster import Cluster, Job, run, succeeds, wait_until
from tests.system.snakemake_run import (
    BRIEF,
    ON_SLURM,
    Run,
    brief_experiment,
    checkout,
    differing_results,
    on_a_site_with_gpus,
    snakemake,
)

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

DIAL = Path("results/digits/digits/resnet20-sd/seed0")


@pytest.fixture(scope="module")
def at_once() -> list[Job]:
    """The shards that were seen to run at the same time, once the workflow has run (``on_slurm``)."""
    return []


@pytest.fixture(scope="module")
def on_slurm(slurm: Cluster, at_once: list[Job], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout in which the default experiment, made brief, has run on Slurm, against four accidents."""
    place = brief_experiment(checkout(tmp_path_factory.mktemp("slurm") / "depthdial"))
    # The first attempt of one job gets too little memory for Snakemake alone; the others get more and more.
    scarce = ("--set-resources", "prepare_data:mem_mb=100 * 8 ** (attempt - 1)")
    head = Run(place, *ON_SLURM, *BRIEF, *scarce)
    cancelled = slurm.running("train_wildcards_digits_digits_resnet20-sd")
    run("scancel", cancelled.name)
    late = slurm.running("train_wildcards_digits_digits_resnet8")
    run("scontrol", "update", f"JobId={late.name}", "EndTime=now")
    slurm.running("train_wildcards_digits_digits_resnet20-sd")
    at_once += slurm.together("evaluate_masks_wildcards_digits_digits_resnet20-sd")
    cut_off = slurm.running("evaluate_masks_wildcards_digits_digits_resnet20-sd")
    slurm.kill_node(cut_off.node)
    wait_until("the node is given up", lambda: slurm.node_state(cut_off.node) == "down")
    slurm.start_node(cut_off.node)
    done = head.wait(1800)
    (place / "run.txt").write_text(done.text)
    assert done.code == 0, done.text
    for job, state in ((cancelled, "CANCELLED"), (late, "TIMEOUT")):
        assert f"SLURM-job '{job.name}' failed, SLURM status is: '{state}'" in done.text
    assert "exceeded memory limit" in slurm_logs(place, "prepare_data")
    assert restarted(cut_off)
    return place


def slurm_logs(place: Path, rule: str) -> str:
    """What Slurm itself has written of the jobs of a rule; it is kept of those that failed, and runs."""
    logs = (place / f".snakemake/slurm_logs/rule_{rule}").rglob("*.log")
    return "".join(log.read_text(errors="replace") for log in logs)


def restarted(job: Job) -> bool:
    """Whether Slurm has started a job once more by itself, and it has completed then."""
    told = run("scontrol", "show", "job", job.name)
    return "Restarts=1 " in told and "JobState=COMPLETED " in told


def test_the_results_are_those_of_one_machine(on_slurm: Path, finished_locally: Path) -> None:
    assert not differing_results(finished_locally / "results", on_slurm / "results")


def test_shards_run_on_different_nodes_at_the_same_time(on_slurm: Path, at_once: list[Job]) -> None:
    assert len({job.node for job in at_once}) > 1, at_once


def test_devices_and_the_solver_stay_on_the_head(on_slurm: Path, slurm: Cluster) -> None:
    submitted = " ".join(job.comment for job in slurm.jobs())
    assert "compile" in submitted
    assert "benchmark_device" not in submitted
    assert "build_schedule" not in submitted


def test_a_finished_run_has_nothing_to_do(on_slurm: Path) -> None:
    done = snakemake(on_slurm, *ON_SLURM, *BRIEF)
    assert done.code == 0
    assert "Nothing to be done" in done.text


def test_a_site_with_gpus_says_so_in_one_place(on_slurm: Path, slurm: Cluster, tmp_path: Path) -> None:
    place = shutil.copytree(on_slurm, tmp_path / "depthdial", symlinks=True)
    for made in ("masks.parquet", "configurations.json", "test.parquet"):
        (place / DIAL / made).unlink()
    profile = on_a_site_with_gpus((place / "slurm/config.yaml").read_text())
    profile["set-resources"]["score_configurations"] = profile["set-resources"]["score_configurations"] | {"gpu": 1}
    (place / "slurm/config.yaml").write_text(yaml.safe_dump(profile))
    before = {job.name for job in slurm.jobs("choose")}
    done = snakemake(place, f"{DIAL}/test.parquet", *ON_SLURM, *BRIEF)
    assert done.code == 0, done.text
    (job,) = (each for each in slurm.jobs("choose") if each.name not in before)
    asked = run("scontrol", "show", "job", job.name)
    assert "Partition=gpu " in asked
    assert "TresPerJob=gres:gpu:a100:1" in asked


@pytest.mark.parametrize("accident", ["memory", "time", "scancel"])
def test_a_job_that_fails_for_good_is_named_with_its_reason_and_the_next_run_completes(
    accident: str, on_slurm: Path, slurm: Cluster, tmp_path: Path
) -> None:
    place = shutil.copytree(on_slurm, tmp_path / "depthdial", symlinks=True)
    shard = f"{DIAL}/masks/shard0.parquet"
    (place / shard).unlink()
    poor = ("--set-resources", "evaluate_masks:mem_mb=150") if accident == "memory" else ()
    head = Run(place, shard, *ON_SLURM, *BRIEF, *poor, "--retries", "0")
    if accident != "memory":
        job = slurm.running("evaluate_masks_wildcards_digits_digits_resnet20-sd_0_0")
        end = (
            ("scontrol", "update", f"JobId={job.name}", "EndTime=now") if accident == "time" else ("scancel", job.name)
        )
        run(*end)
    done = head.wait()
    assert done.code == 1
    assert "Error in rule evaluate_masks" in done.text
    reason = {"memory": "(FAILED|OUT_OF_MEMORY)", "time": "TIMEOUT", "scancel": "CANCELLED"}[accident]
    assert re.search(f"SLURM-job '.*' failed, SLURM status is: '{reason}", done.text)
    assert "logs/digits/evaluate_masks/digits-resnet20-sd-seed0-shard0.log" in done.text
    if accident == "memory":  # of the others a short job may have ended before Slurm tells its script
        assert "exceeded memory limit" in slurm_logs(place, "evaluate_masks")
    assert snakemake(place, shard, *ON_SLURM, *BRIEF).code == 0
    assert not differing_results(place / DIAL / "masks", on_slurm / DIAL / "masks")


def test_a_job_that_lives_on_without_its_node_is_not_run_beside_itself(
    on_slurm: Path, slurm: Cluster, tmp_path: Path
) -> None:
    place = shutil.copytree(on_slurm, tmp_path / "depthdial", symlinks=True)
    (place / DIAL / "masks/shard0.parquet").unlink()
    lock = place / "logs/digits/evaluate_masks/.digits-resnet20-sd-seed0-shard0.lock"
    lock.unlink()
    head = Run(place, f"{DIAL}/masks/shard0.parquet", *ON_SLURM, *BRIEF)
    job = slurm.running("evaluate_masks_wildcards_digits_digits_resnet20-sd_0_0")
    wait_until("it holds its lock", lambda: lock.exists() and lock.read_text() != "")
    holder = psutil.Process(int(lock.read_text().split()[0]))
    holder.suspend()  # until Slurm has given the node up
    slurm.kill_daemon(job.node)
    wait_until(
        "it is started again, and waits", lambda: "already run by process" in slurm_logs(place, "evaluate_masks")
    )
    assert holder.status() == psutil.STATUS_STOPPED
    assert not (place / DIAL / "masks/shard0.parquet").exists()
    holder.resume()
    done = head.wait()
    slurm.start_node(job.node)
    assert done.code == 0, done.text
    assert restarted(job)
    assert not differing_results(on_slurm / DIAL / "masks", place / DIAL / "masks")


def test_a_killed_head_loses_nothing_and_no_job_runs_beside_itself(
    on_slurm: Path, slurm: Cluster, tmp_path: Path
) -> None:
    place = shutil.copytree(on_slurm, tmp_path / "depthdial", symlinks=True)
    shutil.rmtree(place / DIAL)
    head = Run(place, f"{DIAL}/masks.parquet", *ON_SLURM, *BRIEF)
    job = "train_wildcards_digits_digits_resnet20-sd"
    orphan = slurm.running(job)
    before = {each.name for each in slurm.jobs(job)}
    images = (place / "results/digits/digits/images.safetensors").stat().st_mtime_ns
    head.kill()
    assert list((place / ".snakemake/locks").iterdir())
    again = Run(place, f"{DIAL}/masks.parquet", *ON_SLURM, *BRIEF)
    wait_until("the job is submitted again", lambda: len(slurm.jobs(job)) > len(before))
    done = again.wait(600)
    assert done.code == 0, done.text
    assert "prepare_data" not in done.text
    assert (place / "results/digits/digits/images.safetensors").stat().st_mtime_ns == images
    assert not differing_results(on_slurm / DIAL / "masks", place / DIAL / "masks")
    first = next(each for each in slurm.jobs(job) if each.name == orphan.name)
    second = next(each for each in slurm.jobs(job) if each.name not in before)
    assert f"Cancelled 1 jobs of an earlier run in this folder: {orphan.name}" in done.text
    assert (first.state, second.state) == ("CANCELLED", "COMPLETED")
    assert first.end <= second.start


def test_a_controller_that_restarts_is_waited_for(on_slurm: Path, slurm: Cluster, tmp_path: Path) -> None:
    place = shutil.copytree(on_slurm, tmp_path / "depthdial", symlinks=True)
    (place / DIAL / "masks/shard0.parquet").unlink()
    job = "evaluate_masks_wildcards_digits_digits_resnet20-sd_0_0"
    before = len(slurm.jobs(job))
    head = Run(place, f"{DIAL}/masks/shard0.parquet", *ON_SLURM, *BRIEF)
    slurm.running(job)
    slurm.stop_controller()
    assert not succeeds("squeue")
    wait_until("the job ends, unseen", (place / DIAL / "masks/shard0.parquet").exists)
    time.sleep(25)  # longer than the head waits between its first questions, so that one begins in vain
    slurm.start_controller()
    done = head.wait()
    assert done.code == 0, done.text
    assert "failed" not in done.text
    assert len(slurm.jobs(job)) == before + 1
    assert not differing_results(on_slurm / DIAL / "masks", place / DIAL / "masks")
