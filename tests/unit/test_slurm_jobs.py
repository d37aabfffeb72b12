"""Jobs of a dead head and states of jobs, with planted answers of Slurm; tests/system asks a real one."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import snakemake_executor_plugin_slurm as plugin

from benchmarks.workflow import Kind, kinds_of_jobs
from depthdial.job_states import first_words
from depthdial.locks import release_stale_locks
from depthdial.orphans import cancel_orphans

SACCT = "sacct --format=JobIdRaw,State"


def plant(folder: Path, name: str, script: str) -> None:
    """A program of this name that PATH finds first."""
    program = folder / name
    program.write_text(f"#!/bin/sh\ncd {folder}\n{script}\n")
    program.chmod(0o755)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Slurm of three files: what squeue prints, which scancel shortens, and what scancel was asked for."""
    folder = tmp_path / "slurm"
    folder.mkdir()
    plant(folder, "squeue", 'echo "$*" > asked; cat queue')
    plant(folder, "scancel", 'echo "$*" >> cancelled; for job; do sed -i "/^$job|/d" queue; done')
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


@pytest.fixture
def alive(tmp_path: Path) -> Iterator[int]:
    handle = release_stale_locks(tmp_path / ".snakemake")
    yield handle
    os.close(handle)


def test_only_jobs_of_this_folder_and_of_snakemake_are_cancelled(site: Path, alive: int) -> None:
    here, there = Path("/home/ada/my | run"), Path("/home/ada/other")
    rows = (f"7|rule_train_wildcards_a|{here}", f"8|(null)|{here}", f"9|rule_train|{there}", f"12|rule_export|{here}")
    (site / "queue").write_text("\n".join([*rows, "a line of another kind"]) + "\n")
    assert cancel_orphans(here, alive) == ["7", "12"]
    assert (site / "cancelled").read_text() == "7 12\n"
    assert "--me" in (site / "asked").read_text()
    assert cancel_orphans(here, alive) == []
    assert (site / "cancelled").read_text() == "7 12\n"


def test_nothing_is_cancelled_beside_a_head_that_lives(site: Path, alive: int, tmp_path: Path) -> None:
    (site / "queue").write_text("7|rule_train|/run\n")
    other = os.open(tmp_path / ".snakemake/alive.lock", os.O_RDWR)
    fcntl.flock(other, fcntl.LOCK_SH)
    assert cancel_orphans(Path("/run"), alive) == []
    os.close(other)
    assert cancel_orphans(Path("/run"), alive) == ["7"]


def test_a_head_that_has_looked_for_orphans_still_counts_as_alive(site: Path, alive: int, tmp_path: Path) -> None:
    (site / "queue").touch()
    cancel_orphans(Path("/run"), alive)
    other = os.open(tmp_path / ".snakemake/alive.lock", os.O_RDWR)
    with pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(other)


def test_a_job_that_does_not_end_is_waited_for_so_long(site: Path, alive: int) -> None:
    (site / "queue").write_text("7|rule_train|/run\n")
    plant(site, "scancel", "true")
    assert cancel_orphans(Path("/run"), alive, timeout_s=0.1) == ["7"]


@pytest.mark.parametrize("squeue", ["echo 'Unable to contact slurm controller' >&2; exit 1", "exit 0"])
def test_a_slurm_that_does_not_answer_has_no_orphans(site: Path, alive: int, squeue: str) -> None:
    plant(site, "squeue", squeue)
    assert cancel_orphans(Path("/run"), alive) == []


def test_a_machine_without_slurm_has_no_orphans(tmp_path: Path, alive: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cancel_orphans(Path("/run"), alive) == []


def test_a_cancelled_job_is_told_by_its_first_word(site: Path) -> None:
    plant(site, "sacct", "printf '1|CANCELLED by 1000\\n2|COMPLETED\\n3|RUNNING\\n'")
    logger = logging.getLogger()
    raw, _ = asyncio.run(plugin.query_job_status(SACCT, logger))
    assert raw["1"] == "CANCELLED by 1000", "the plugin is mended: depthdial/job_states.py can go"
    states, seconds = asyncio.run(first_words(plugin.query_job_status)(SACCT, logger))
    assert states == {"1": "CANCELLED", "2": "COMPLETED", "3": "RUNNING"}
    assert seconds is not None
    assert seconds > 0


def test_no_answer_stays_no_answer(site: Path) -> None:
    plant(site, "sacct", "exit 1")
    assert asyncio.run(first_words(plugin.query_job_status)(SACCT, logging.getLogger())) == (None, None)


def test_the_benchmark_adds_up_jobs_and_their_steps_by_kind() -> None:
    sacct = (
        "1|rule_train_wildcards_a_0|4000M||600|71\n1.batch|||3.50M||71\n1.0|||1078.25M||70\n"
        "2|rule_train_wildcards_a_1|8000M||1200|30\n2.0|||900M||29\n3|rule_choose_select_front|4048M||80|9\n"
    )
    kinds = kinds_of_jobs(sacct)
    assert kinds["train"] == Kind(jobs=2, asked_mb=8000, used_mb=1078, asked_min=1200, used_s=71)
    assert kinds["choose_select_front"] == Kind(jobs=1, asked_mb=4048, used_mb=0, asked_min=80, used_s=9)
