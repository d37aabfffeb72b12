"""The benchmark of the workflow counts what it says."""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import psutil
import pytest

from benchmarks.workflow import Kind, Watch, kinds_of_jobs, union_s
from tests.system.snakemake_run import Run


@pytest.mark.parametrize("before", ["", "sleep 0.4;"], ids=["at once", "a shell first"])
def test_a_script_is_seen_from_its_start_to_its_end(tmp_path: Path, before: str) -> None:
    script = tmp_path / ".snakemake/scripts/work.py"
    script.parent.mkdir(parents=True)
    script.write_text("import time; time.sleep(0.8)")
    watch = Watch(cast(Run, SimpleNamespace(pid=psutil.Process().pid)), tmp_path, every_s=0.02)
    time.sleep(0.1)
    command = shlex.join([sys.executable, str(script)])
    subprocess.run(["bash", "-c", f"{before} exec {command}"], check=True)
    spans = watch.end()
    assert len(spans) == 1
    assert 0.7 < union_s(spans) < 5
    assert watch.peak_bytes > 0


def test_the_union_counts_what_overlaps_once() -> None:
    assert union_s([(0, 2), (1, 3), (1.5, 2), (5, 6)]) == 4


def test_the_benchmark_adds_up_jobs_and_their_steps_by_kind() -> None:
    sacct = (
        "1|rule_train_wildcards_a_0|4000M||600|71\n1.batch|||3.50M||71\n1.0|||1078.25M||70\n"
        "2|rule_train_wildcards_a_1|8000M||1200|30\n2.0|||900M||29\n3|rule_choose_select_front|4048M||80|9\n"
    )
    kinds = kinds_of_jobs(sacct)
    assert kinds["train"] == Kind(jobs=2, asked_mb=8000, used_mb=1078, asked_min=1200, used_s=71)
    assert kinds["choose_select_front"] == Kind(jobs=1, asked_mb=4048, used_mb=0, asked_min=80, used_s=9)
