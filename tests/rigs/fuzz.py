"""Fuzz tests of the readers: whatever they are given, a clear error or a valid result, soon and in little memory."""

from __future__ import annotations

import functools
import os
import resource
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

EXAMPLES = int(os.environ.get("DEPTHDIAL_FUZZ", "200"))
"""Examples of each test: a few hundred by default, 10,000 by ``make fuzz``."""
SECONDS, MEGABYTES = 5, 1024


def fuzz(test: Callable[..., None]) -> Any:
    """Mark the body of a hypothesis test as a fuzz test of one reader; put it below ``@given``.

    The body calls the reader and lets pass the errors that its documentation names. An example fails if it raises
    anything else, takes longer than 5 s, or needs more than 1 GB beyond what the process had needed before.
    """

    @functools.wraps(test)
    def within_memory(*arguments: Any, **named: Any) -> None:
        before = _peak_mb()
        test(*arguments, **named)
        assert _peak_mb() - before <= MEGABYTES, "the reader took more than 1 GB"

    limits = settings(
        max_examples=EXAMPLES,
        deadline=SECONDS * 1000,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
    )
    return pytest.mark.fuzz(limits(within_memory))


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
