"""Jobs of a dead head and states of jobs, with planted answers of Slurm; tests/system asks a real one."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path

import pytest
import snakemake_executor_plugin_slurm as plugin

from depthdial.runs.job_states import first_words, unknown_is_long
from depthdial.runs.locks import Head
from depthdial.runs.orphans import SlurmError, cancel_orphans

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
def head(tmp_path: Path) -> Head:
    return Head(tmp_path / ".snakemake")


def test_only_jobs_of_this_folder_and_of_snakemake_are_cancelled(site: Path, head: Head) -> None:
    here, there = Path("/home/ada/my | run"), Path("/home/ada/other")
    rows = (f"7|rule_train_wildcards_a|{here}", f"8|(null)|{here}", f"9|rule_train|{there}", f"12|rule_export|{here}")
    (site / "queue").write_text("\n".join([*rows, "a line of another kind"]) + "\n")
    assert cancel_orphans(here, head) == ["7", "12"]
    assert (site / "cancelled").read_text() == "7 12\n"
    assert "--me" in (site / "asked").read_text()
    assert cancel_orphans(here, head) == []
    assert (site / "cancelled").read_text() == "7 12\n"


def test_nothing_is_cancelled_beside_a_head_that_lives(
    site: Path, head: Head, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (site / "queue").write_text("7|rule_train|/run\n")
    with Head(tmp_path / ".snakemake").alone(0):  # which lives from then on
        pass
    assert cancel_orphans(Path("/run"), head, patience_s=0) == []
    assert "another run lives in this folder" in caplog.text
    assert not (site / "cancelled").exists()


@pytest.mark.parametrize("scancel", ["true", "exit 1"])
def test_a_job_that_does_not_end_is_not_called_cancelled(
    site: Path, head: Head, scancel: str, caplog: pytest.LogCaptureFixture
) -> None:
    (site / "queue").write_text("7|rule_train|/run\n8|rule_export|/run\n")
    plant(site, "scancel", f"sed -i '/^8|/d' queue; {scancel}")
    assert cancel_orphans(Path("/run"), head, end_s=0.1) == ["8"]
    assert "have not ended: 7" in caplog.text


@pytest.mark.slow
def test_a_scancel_that_hangs_is_not_waited_for(
    site: Path, head: Head, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (site / "queue").write_text("7|rule_train|/run\n")
    plant(site, "scancel", "exec sleep 60")
    monkeypatch.setattr("depthdial.runs.orphans.COMMAND_S", 0.5)
    assert cancel_orphans(Path("/run"), head, end_s=0.1) == []
    assert "have not ended" in caplog.text


@pytest.mark.slow
def test_a_slurm_that_does_not_answer_is_asked_again_then_refused(site: Path, head: Head) -> None:
    refusing = "echo 'Unable to contact slurm controller' >&2; exit 1"
    plant(site, "squeue", refusing)
    with pytest.raises(SlurmError, match=r"squeue does not answer \(Unable to contact .*run the same command again"):
        cancel_orphans(Path("/run"), head, answer_s=0)
    plant(site, "squeue", f"[ -e late ] || {{ touch late; {refusing}; }}; cat queue")
    (site / "queue").write_text("7|rule_train|/run\n")
    assert cancel_orphans(Path("/run"), head) == ["7"]


def test_a_machine_without_slurm_has_no_orphans(tmp_path: Path, head: Head, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cancel_orphans(Path("/run"), head) == []


def test_a_cancelled_job_is_told_by_its_first_word(site: Path) -> None:
    plant(site, "sacct", "printf '1|CANCELLED by 1000\\n2|COMPLETED\\n3|RUNNING\\n'")
    logger = logging.getLogger()
    raw, _ = asyncio.run(plugin.query_job_status(SACCT, logger))
    assert raw["1"] == "CANCELLED by 1000", "the plugin is mended: depthdial/runs/job_states.py can go"
    states, seconds = asyncio.run(first_words(plugin.query_job_status)(SACCT, logger))
    assert states == {"1": "CANCELLED", "2": "COMPLETED", "3": "RUNNING"}
    assert seconds is not None
    assert seconds > 0


def test_no_answer_stays_no_answer(site: Path) -> None:
    plant(site, "sacct", "exit 1")
    assert asyncio.run(first_words(plugin.query_job_status)(SACCT, logging.getLogger())) == (None, None)


def test_a_slurm_that_does_not_tell_its_min_job_age_is_not_taken_for_a_forgetful_one(site: Path) -> None:
    min_job_age = unknown_is_long(plugin.get_min_job_age)
    plant(site, "scontrol", "echo 'MinJobAge               = 300 sec'")
    assert min_job_age() == 300
    plant(site, "scontrol", "echo 'Unable to contact slurm controller' >&2; exit 1")
    assert plugin.get_min_job_age() is None
    assert min_job_age() == float("inf")
