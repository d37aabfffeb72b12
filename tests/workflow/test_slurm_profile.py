"""What `--profile slurm` would submit; a dry run needs no Slurm."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.system.snakemake_run import ROOT, checkout, on_a_site_with_gpus, snakemake


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A dry run of the default experiment in a fresh clone, on a cluster."""
    done = snakemake(checkout(tmp_path_factory.mktemp("fresh")), "--profile", "slurm", "--dry-run")
    assert done.code == 0, done.text
    return done.text


def test_small_steps_share_a_job(planned: str) -> None:
    groups = re.findall(r"Group job (\w+)", planned)
    assert groups.count("compile") == 2
    assert groups.count("choose") == 8


@pytest.mark.slow
def test_the_scale_of_the_paper_is_under_two_thousand_jobs(tmp_path: Path) -> None:
    done = snakemake(checkout(tmp_path), "--dry-run", "--quiet", "rules", "--configfile", "config/paper.yaml")
    assert done.code == 0, done.text
    total = int(re.search(r"^total +(\d+)$", done.text, re.M).group(1))  # type: ignore[union-attr]
    assert 1000 < total < 2000


def test_every_group_is_of_rules_that_exist() -> None:
    profile = yaml.safe_load((ROOT / "slurm/config.yaml").read_text())
    rules = {
        name for path in (ROOT / "rules").glob("*.smk") for name in re.findall(r"^rule (\w+)", path.read_text(), re.M)
    }
    assert set(profile["groups"]) <= rules
    assert {rule for rule in rules if rule.startswith("draw_")} <= set(profile["groups"])


def test_the_gpu_partition_is_for_the_rules_that_may_ask_for_a_gpu_and_those_that_share_a_job_with_one() -> None:
    rules = "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    asking = {rule.partition(":")[0] for rule in re.split(r"^rule ", rules, flags=re.M)[1:] if "gpu=" in rule}
    profile = on_a_site_with_gpus((ROOT / "slurm/config.yaml").read_text())
    offered, groups = profile["set-resources"], profile["groups"]
    shared = {groups[rule] for rule in asking & set(groups)}
    assert {rule for rule, resources in offered.items() if "gpu_model" in resources} == asking
    assert set(offered) == asking | {rule for rule, group in groups.items() if group in shared}
    assert {resources["slurm_partition"] for resources in offered.values()} == {"gpu"}


def test_the_profile_holds_nothing_that_snakemake_could_take_for_a_path() -> None:
    assert {path.name for path in Path(ROOT / "slurm").iterdir()} == {"config.yaml", "README.md"}
