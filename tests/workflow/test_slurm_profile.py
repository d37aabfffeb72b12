"""What `--profile slurm` would submit; a dry run needs no Slurm."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
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
    grouped = re.findall(r"Group job .*?figures.*?\n((?:\n| .*\n)+)", planned)
    assert sum(len(re.findall(r"rule draw_", jobs)) for jobs in grouped) == len(re.findall(r"rule draw_", planned))


def asked(text: str, rule: str, resource: str) -> set[str]:
    """What the jobs of a rule ask for of a resource, as a dry run tells it."""
    jobs = re.findall(rf"^ *rule {rule}:$.*?^ *resources: (.*?)$", text, re.M | re.S)
    assert jobs
    return {dict(part.split("=", 1) for part in job.split(", ")).get(resource, "") for job in jobs}


@pytest.mark.slow
def test_jobs_ask_for_a_gpu_where_the_experiment_says_cuda(planned: str, tmp_path: Path) -> None:
    masks = "results/paper/cifar10/resnet20-sd/seed0/masks.parquet"
    paper = ("--configfile", "config/paper.yaml")
    on_gpus = snakemake(checkout(tmp_path), "--profile", "slurm", "--dry-run", masks, *paper).text
    for rule in ("train", "evaluate_masks"):
        assert asked(on_gpus, rule, "gpu") == {"1"}
        assert asked(planned, rule, "gpu") == {"0"}


@dataclass(frozen=True)
class DryRun:
    """Jobs by rule, and what the dry run took."""

    jobs: dict[str, int]
    starts: float  # processor time, in that of a start of Snakemake that does nothing
    peak_mb: float


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> DryRun:
    """The dry run of the paper-scale experiment."""
    place = checkout(tmp_path_factory.mktemp("paper"))
    start_s, _, _ = used(place, "--version")
    cpu_s, peak_mb, text = used(place, "--dry-run", "--quiet", "rules", "--configfile", "config/paper.yaml")
    jobs = re.findall(r"^(\w+) +(\d+)$", text.partition("Job stats:")[2], re.M)
    return DryRun({rule: int(count) for rule, count in jobs}, cpu_s / start_s, peak_mb)


USED = """
import json, resource, subprocess, sys
status = subprocess.run(sys.argv[1:], stderr=subprocess.STDOUT).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))
sys.exit(status)
"""
"""Runs a command and prints what it used. The peak of a process begins with that of the process that starts it, and
that of these tests is larger than any dry run: so a small one starts it."""


def used(place: Path, *arguments: str) -> tuple[float, float, str]:
    """Processor time in seconds and peak memory in megabytes of Snakemake, and what it printed."""
    command = [sys.executable, "-c", USED, str(Path(sys.executable).with_name("snakemake")), *arguments]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    text, _, measured = done.stdout.rstrip().rpartition("\n")
    cpu_s, peak_mb = json.loads(measured)
    return cpu_s, peak_mb, text


@pytest.mark.slow
def test_the_scale_of_the_paper_is_under_two_thousand_jobs_ten_starts_and_a_gigabyte(paper: DryRun) -> None:
    """A start took 2.0 to 2.4 s on a Zen 3, the dry run 10 to 13 s: five times as much, on whatever processor."""
    assert 1000 < paper.jobs["total"] < 2000
    assert paper.starts < 10
    assert paper.peak_mb < 1000


STAGES = {
    "data and training": ("prepare_data", "describe_network", "find_units", "adopt_weights", "train"),
    "masks of": ("evaluate_masks", "collect_masks"),
    "search in": ("ask_masks", "evaluate_generation"),
    "searches and scalings": ("compare_searches", "ablate_scaling"),
    "choice and test": ("select_front", "calibrate_configurations", "score_configurations", "export$"),
    "test at equal MACs": ("score_budgets",),
    "compilation and bundles": ("compile$", "link_bundle"),
    "devices": ("benchmark_device", "build_schedule", "replay_traces", "pack"),
    "comparisons": (
        *("compare_networks", "compare_on_device", "compare_rankings", "compare_recipes"),
        *("check_claims", "list_networks"),
    ),
    "figures and report": ("draw_", "write_", "all$"),
}
"""Rows of the table in docs/cluster.md by their first words, and the beginnings of the names of its rules."""


@pytest.mark.slow
def test_the_guide_counts_the_jobs_as_a_dry_run_does(paper: DryRun, planned: str) -> None:
    guide = (ROOT / "docs/cluster.md").read_text()
    rows = dict(re.findall(r"^\| ([^|]+) \| ([\d +]+) \|", guide, re.M))
    written = {stage: sum(map(int, count.split("+"))) for stage, count in rows.items()}
    counted = {
        stage: sum(count for rule, count in paper.jobs.items() if rule != "total" and re.match("|".join(rules), rule))
        for stage, rules in STAGES.items()
    }
    assert sum(counted.values()) == paper.jobs["total"], "a rule is missing in STAGES"
    assert {stage: next(n for row, n in written.items() if row.startswith(stage)) for stage in STAGES} == counted
    assert f"is {paper.jobs['total']:,}:" in guide
    total = re.search(r"^total +(\d+)$", planned, re.M)
    assert total
    assert f"is {total[1]} jobs" in guide.replace("\n", " ")


def test_every_group_is_of_rules_that_exist() -> None:
    profile = yaml.safe_load((ROOT / "slurm/config.yaml").read_text())
    rules = {
        name for path in (ROOT / "rules").glob("*.smk") for name in re.findall(r"^rule (\w+)", path.read_text(), re.M)
    }
    assert set(profile["groups"]) <= rules
    assert set(profile["group-components"]) == {"compile", "figures"}


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
