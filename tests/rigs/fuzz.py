"""Fuzz tests of the readers: whatever they are given, a clear error or a valid result, soon and in little memory."""

from __future__ import annotations

import functools
import os
import resource
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

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


@st.composite
def damaged(draw: st.DrawFn, wholes: Sequence[bytes]) -> bytes:
    """A file of which some bytes were changed, and that may have been cut or have something put in."""
    content = bytearray(draw(st.sampled_from(wholes)))
    for _ in range(draw(st.integers(0, 6))):
        # Most of what decides is near the beginning.
        place = draw(st.integers(0, len(content) - 1) | st.integers(0, min(80, len(content) - 1)))
        content[place] = draw(st.integers(0, 255))
    start = draw(st.integers(0, len(content)))
    if draw(st.booleans()):
        content[start : start + draw(st.integers(0, 40))] = draw(st.binary(max_size=40))
    return bytes(content if draw(st.booleans()) else content[: draw(st.integers(0, len(content)))])


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
