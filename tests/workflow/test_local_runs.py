"""Whole runs on this machine: what a second run does, what a changed setting reruns, what survives ``kill -9``."""

import json
import os
import re
import shutil
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml
from safetensors.numpy import load_file

from depthdial.files import sha256_file
from tests.system.snakemake_run import ROOT, SMALL, Run, checkout, plannable, snakemake

pytestmark = pytest.mark.slow
LOCAL = ("--cores", "2", "--rerun-incomplete")
RESULTS = Path("results/cluster")
SCORED = tuple(f"{RESULTS}/digits/{network}/seed0/test.parquet" for network in ("resnet14-sd", "resnet8"))
PAGES = {"write_report", "write_results"}
AFTER_SCHEDULE = {
    *("replay_traces", "check_claims", "pack"),
    *("draw_schedule", "draw_curve", "draw_trace", "draw_policies"),
    *PAGES,
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh clone in which the small experiment has run to its end."""
    place = checkout(tmp_path_factory.mktemp("clone"))
    done = snakemake(place, *LOCAL, *SMALL, timeout_s=900)
    assert done.code == 0, done.text
    return place


def planned(place: Path, *arguments: str) -> set[str]:
    """The rules that a run would execute."""
    done = snakemake(place, *LOCAL, *SMALL, "--dry-run", *arguments)
    assert done.code == 0, done.text
    jobs = re.findall(r"^(\w+) +\d+$", done.text, re.M)
    return set(jobs) - {"total", "all", "figures", "report", "job"}


def changed(place: Path, *keys: str | int, value: object) -> set[str]:
    """The rules that a run would execute with one setting changed; the file is put back."""
    path = place / SMALL[1]
    before = path.read_text()
    values = yaml.safe_load(before)
    section = values
    for key in keys[:-1]:
        section = section.setdefault(key, {}) if isinstance(section, dict) else section[key]
    section[keys[-1]] = value
    path.write_text(yaml.safe_dump(values))
    try:
        return planned(place)
    finally:
        path.write_text(before)


def test_everything_is_there(finished: Path) -> None:
    results = finished / RESULTS
    figures = {path.stem for path in (results / "figures").rglob("*.svg")}
    assert figures >= {"skipping", "cloud", "ablation", "searches", "latency", "schedule", "curve", "trace", "policies"}
    for figure in (results / "figures").rglob("*.svg"):
        assert figure.with_suffix(".png").stat().st_size > 5000
        assert len(pd.read_csv(figure.with_suffix(".csv")))
    page = (results / "report.html").read_text()
    assert "modelled, not measured" in page
    assert not re.search(r'(src|href)="(?!data:|#)', page), "the page needs nothing outside itself"


def test_a_second_run_does_nothing_and_soon(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "Snakefile").write_text("rule all:\n    shell: 'true'\n")
    pairs = [(snakemake(tmp_path, "--cores", "1", "-n"), snakemake(finished, *LOCAL, *SMALL)) for _ in range(2)]
    assert all("Nothing to be done" in again.text for _, again in pairs)
    ratios = [again.processor_seconds / empty.processor_seconds for empty, again in pairs]
    assert min(ratios) < 5, ratios


def test_the_report_of_snakemake_works_too(finished: Path) -> None:
    done = snakemake(finished, *SMALL, "--report", "report.zip")
    assert done.code == 0, done.text
    assert (finished / "report.zip").stat().st_size > 10_000


def test_a_colour_redraws_the_figures_that_show_it(finished: Path) -> None:
    assert changed(finished, "figures", "oracle", value="#123456") == {"draw_trace", "draw_policies", *PAGES}


def test_other_test_accuracies_link_and_measure_nothing(finished: Path) -> None:
    """They reach what scores: the replay, comparisons, figures and pages."""
    before = {path: (path.read_bytes(), path.stat()) for path in (finished / RESULTS).rglob("test.parquet")}
    for path in before:
        table = pd.read_parquet(path)
        table.assign(test_accuracy=table["test_accuracy"] * 0.9).to_parquet(path)
    rerun = planned(finished)
    for path, (content, stat) in before.items():
        path.write_bytes(content)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert {"replay_traces", "compare_on_device", "compare_networks", "check_claims", "draw_latency", *PAGES} <= rerun
    assert not rerun & {
        "select_front",
        "export",
        "compile",
        "link_bundle",
        "benchmark_device",
        "build_schedule",
        "pack",
    }


def test_a_setting_of_the_schedule_reruns_the_schedule(finished: Path) -> None:
    assert changed(finished, "schedule", "resident", value=2) == {"build_schedule", *AFTER_SCHEDULE}


def test_a_setting_of_the_training_keeps_the_data(finished: Path) -> None:
    rerun = changed(finished, "recipes", 0, "learning_rate", value=0.05)
    assert "prepare_data" not in rerun
    assert {"train", "evaluate_masks", "select_front", "compile", "benchmark_device", *AFTER_SCHEDULE} <= rerun


def test_changed_code_reruns_what_uses_it_and_comments_do_not(finished: Path) -> None:
    module = finished / "depthdial/schedule/solve.py"
    before = module.read_text()
    module.write_text(before + "\n# a comment\n")
    assert planned(finished) == set()
    module.write_text(before + "\nMORE = 1\n")
    rerun = planned(finished)
    module.write_text(before)
    assert {"build_schedule", *AFTER_SCHEDULE} <= rerun
    assert not rerun & {"train", "evaluate_masks", "compile", "benchmark_device"}


def fingerprint(place: Path) -> dict[str, str]:
    """Everything that must come out the same on the same machine."""
    results = place / RESULTS
    found = {}
    for pattern in ("**/weights.safetensors", "**/batchnorm.safetensors", "**/configurations.json", "**/*.vmfb"):
        for path in sorted(results.glob(pattern)):
            found[str(path.relative_to(results))] = sha256_file(path)
    for name in ("masks.parquet", "test.parquet"):
        for path in sorted(results.glob(f"**/{name}")):
            found[str(path.relative_to(results))] = str(pd.util.hash_pandas_object(pd.read_parquet(path)).sum())
    return found


def assert_whole(results: Path) -> None:
    """Every file that stands under its final name can be read to its end."""
    readers = {
        ".safetensors": load_file,
        ".parquet": pd.read_parquet,
        ".json": lambda path: json.loads(path.read_text()),
    }
    for path in results.rglob("[!.]*"):
        if path.suffix in readers:
            readers[path.suffix](path)


@pytest.mark.parametrize(
    ("stage", "sign", "removed"),
    [
        ("train", "epoch 1 of 2", ["digits/*/seed0", "digits/*/bench"]),
        ("evaluate_masks", None, ["digits/*/seed0/[!wh]*"]),
        ("compile", None, ["digits/*/seed0/compiled", "digits/*/seed0/bundle"]),
    ],
)
def test_a_killed_run_ends_with_the_same_results(
    finished: Path, tmp_path: Path, stage: str, sign: str | None, removed: list[str]
) -> None:
    place = tmp_path / "clone"
    shutil.copytree(finished, place, symlinks=True)
    for pattern in removed:
        for path in (place / RESULTS).glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    logs = place / "logs" / "cluster" / stage
    shutil.rmtree(logs)
    run = Run(place, *LOCAL, "bundle_all", *SCORED, *SMALL)
    deadline = time.monotonic() + 240
    while not any(sign is None or sign in log.read_text() for log in logs.glob("*.log")):
        assert time.monotonic() < deadline, run.text
        time.sleep(0.02)
    run.kill()
    assert_whole(place / RESULTS)
    done = snakemake(place, *LOCAL, "bundle_all", *SCORED, *SMALL, timeout_s=600)
    assert done.code == 0, done.text
    assert fingerprint(place) == fingerprint(finished)
    if stage == "train":
        assert "epoch 2 of 2" in "".join(log.read_text() for log in logs.glob("*.log"))


def test_five_mistakes_are_named_at_once_and_nothing_is_written(tmp_path: Path) -> None:
    place = checkout(tmp_path / "clone")
    values = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    values["colour"] = "red"
    values["recipes"][0]["epochs"] = "many"
    values["networks"][0]["depth"] = 21
    values["datasets"][0]["validation_fraction"] = 2
    values["select"]["configurations"] = 0
    (place / "broken.yaml").write_text(yaml.safe_dump(values))
    before = {path for path in place.rglob("*") if ".snakemake" not in path.parts}
    done = snakemake(place, *LOCAL, "--configfile", "broken.yaml")
    assert done.code != 0
    assert "Traceback" not in done.text
    for key in (
        "colour:",
        "recipes[0].epochs:",
        "networks[0].depth:",
        "datasets[0].validation_fraction:",
        "select.configurations:",
    ):
        assert key in done.text
    after = {path for path in place.rglob("*") if ".snakemake" not in path.parts and path.suffix != ".txt"}
    assert {path for path in after - before if "__pycache__" not in path.parts} == set()


def test_mistakes_in_the_files_that_a_config_names_are_named_too(tmp_path: Path) -> None:
    place = checkout(tmp_path / "clone")
    for file, old, new in [
        ("config/targets.yaml", "cpu: cortex-a72", "cpu: cortex-a99"),
        ("config/devices.yaml", "threads: 1 ", "threads: 9 "),
        ("config/traces/drain.yaml", "background:", "backgrund:"),
    ]:
        text = (place / file).read_text()
        assert old in text
        (place / file).write_text(text.replace(old, new))
    done = snakemake(place, *LOCAL, "-n")
    assert done.code != 0
    assert "Traceback" not in done.text
    for part in ("cortex-a99", "9 threads need as many cores", "backgrund: unknown key (did you mean background?)"):
        assert part in done.text


def test_targets_that_no_device_runs_are_not_tuned(tmp_path: Path) -> None:
    place = checkout(tmp_path / "clone")
    values = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    values["deploy"] |= {"tune": "device", "targets": ["host", "cortex-a72"]}
    (place / "tuned.yaml").write_text(yaml.safe_dump(values))
    done = snakemake(place, *LOCAL, "-n", "--configfile", "tuned.yaml", "--", "bundle_all")
    assert done.code == 0, done.text
    assert set(re.findall(r"output: \S+/tuned/(.+)\.json", done.text)) == {"host"}
    assert set(re.findall(r"output: \S+/bundle/(\S+)", done.text)) == {"host", "cortex-a72"}


def test_a_network_that_begins_with_another_is_trained_behind_it(tmp_path: Path) -> None:
    place = checkout(tmp_path / "clone")
    values = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    values["networks"][0]["weights"] = values["networks"][1]["name"]
    (place / "behind.yaml").write_text(yaml.safe_dump(values))
    dial, control = (values["networks"][index]["name"] for index in (0, 1))
    target = f"results/digits/digits/{dial}/seed1/weights.safetensors"
    done = snakemake(place, *LOCAL, "-n", "--configfile", "behind.yaml", "--", target)
    assert done.code == 0, done.text
    trained = re.findall(r"output: results/digits/digits/(\S+)/weights.safetensors", done.text)
    assert trained == [f"{control}/seed1", f"{dial}/seed1"]


@pytest.mark.parametrize(
    "config", sorted(path.name for path in (ROOT / "config").glob("*.yaml") if "experiment:" in path.read_text())
)
@pytest.mark.parametrize("engine", [("--cores", "8"), ("--profile", "slurm")], ids=["local", "slurm"])
def test_every_shipped_experiment_can_be_planned(tmp_path: Path, config: str, engine: tuple[str, ...]) -> None:
    done = snakemake(plannable(tmp_path / "clone"), *engine, "-n", "--configfile", f"config/{config}")
    assert done.code == 0, done.text
    assert "total" in done.text
