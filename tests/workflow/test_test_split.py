"""The rules that make what is chosen, deployed or measured need nothing that was made of the test split's labels."""

from __future__ import annotations

import re
from pathlib import Path

from tests.system.snakemake_run import checkout, snakemake

DIAL = "results/digits/digits/resnet20-sd"


def test_no_choice_and_no_measurement_waits_for_the_test_split(tmp_path: Path) -> None:
    place = checkout(tmp_path)
    targets = [f"{DIAL}/schedule/local/schedule.json", f"{DIAL}/packed/local"]
    done = snakemake(place, "--cores", "1", "--dry-run", *targets)
    assert done.code == 0, done.text
    jobs = set(re.findall(r"^(\w+) +\d+$", done.text, re.M))
    assert {"select_front", "link_bundle", "benchmark_device", "build_schedule", "pack"} <= jobs
    read_test = {"score_configurations", "score_budgets"}
    assert not jobs & read_test
    scored = snakemake(place, "--cores", "1", "--dry-run", f"{DIAL}/replay/local/summary.parquet")
    assert "score_configurations" in scored.text
