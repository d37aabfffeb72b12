"""Where a site keeps accounts, the profile can ask sacct instead of squeue."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from tests.system.slurm_cluster import Cluster, run, succeeds, wait_until
from tests.system.snakemake_run import BRIEF, ON_SLURM, SMALL, Run, checkout, differing_results, snakemake

pytestmark = [pytest.mark.slurm, pytest.mark.slow]


def test_sacct_reports_what_jobs_have_come_to_and_a_gpu_is_asked_for(
    slurm_with_accounting: Cluster, finished_locally: Path, tmp_path: Path
) -> None:
    place = shutil.copytree(finished_locally, tmp_path / "depthdial", symlinks=True)
    network = Path("results/digits/digits/resnet8/seed0")
    for made in ("masks/shard0.parquet", "masks.parquet"):
        (place / network / made).unlink()
    asked = ("--set-resources", "evaluate_masks:gpu=1", "--slurm-status-command", "sacct")
    head = Run(place, str(network / "masks.parquet"), *ON_SLURM, *BRIEF, *asked)
    cancelled = slurm_with_accounting.running("evaluate_masks_wildcards_digits_digits_resnet8")
    assert cancelled.node == slurm_with_accounting.nodes[-1], "the only node with a GPU"
    run("scancel", cancelled.name)
    again = slurm_with_accounting.running("evaluate_masks_wildcards_digits_digits_resnet8")
    assert again.name != cancelled.name
    slurm_with_accounting.stop_accounting()
    wait_until("a query is not answered", lambda: not succeeds("sacct"))
    time.sleep(5)
    slurm_with_accounting.start_accounting()
    done = head.wait()
    assert done.code == 0, done.text
    # sacct tells a reason per step; squeue cannot, and the plugin then says so.
    assert f"SLURM-job '{cancelled.name}' failed, SLURM status is: 'CANCELLED" in done.text
    assert "Detailed failure reason unavailable" not in done.text
    kept = run("sacct", "--noheader", "--allocations", "--parsable2", "--format=Comment,State")
    assert "rule_evaluate_masks_wildcards_digits_digits_resnet8_0_0|COMPLETED" in kept
    assert not differing_results(finished_locally / network, place / network)


def test_a_whole_run_that_asks_sacct_ends_like_one_on_this_machine(
    slurm_with_accounting: Cluster, tmp_path: Path
) -> None:
    here, there = (checkout(tmp_path / name) for name in ("here", "there"))
    local = snakemake(here, "--cores", "2", *SMALL, timeout_s=900)
    assert local.code == 0, local.text
    done = snakemake(there, *ON_SLURM, *SMALL, "--slurm-status-command", "sacct", timeout_s=1800)
    assert done.code == 0, done.text
    assert "failed, SLURM status is" not in done.text
    assert not differing_results(here / "results", there / "results")
