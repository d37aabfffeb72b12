"""Fixtures of the system tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.system import slurm_cluster


@pytest.fixture(scope="session")
def slurm() -> Iterator[slurm_cluster.Cluster]:
    """A Slurm without accounting, shared by the tests; what it cannot start with is the failure's text."""
    if left := slurm_cluster.current():  # of a test run that was killed
        left.stop()
    cluster = slurm_cluster.start()
    yield cluster
    cluster.stop()
