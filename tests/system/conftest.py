"""Fixtures of the system tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.system import slurm_cluster
from tests.system.snakemake_run import BRIEF, brief_experiment, checkout, snakemake


@pytest.fixture(scope="module")
def slurm() -> Iterator[slurm_cluster.Cluster]:
    """A Slurm without accounting."""
    with _running(slurm_cluster.Settings()) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def slurm_with_accounting() -> Iterator[slurm_cluster.Cluster]:
    """A Slurm with slurmdbd, so that sacct answers."""
    with _running(slurm_cluster.Settings(accounting=True)) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def finished_locally(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout in which the default experiment, made brief, has run on this machine alone."""
    place = brief_experiment(checkout(tmp_path_factory.mktemp("local") / "depthdial"))
    done = snakemake(place, "--cores", "2", *BRIEF, timeout_s=1800)
    assert done.code == 0, done.text
    return place


@contextmanager
def _running(settings: slurm_cluster.Settings) -> Iterator[slurm_cluster.Cluster]:
    if left := slurm_cluster.current():  # of a test run that was killed
        left.stop()
    cluster = slurm_cluster.start(settings)
    try:
        yield cluster
    finally:
        cluster.stop()
