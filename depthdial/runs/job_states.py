"""What Slurm says of jobs, as the executor plugin of Snakemake compares it."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

States = tuple[dict[str, str] | None, float | None]
"""States of jobs by their numbers, and the seconds that Slurm took to tell; None where it did not answer."""
Query = Callable[..., Awaitable[States]]


def first_words(query: Query) -> Query:
    """The same query of states, each without what follows its first word.

    sacct writes ``CANCELLED by 1000`` of a job that user 1000 has cancelled. Versions 2.4.0 to 2.8.0 of
    snakemake-executor-plugin-slurm look for ``CANCELLED``, take the job for one that runs, and wait for
    ever; 2.3.0 and before took the first word, as here.
    """

    async def asked(*arguments: object) -> States:
        states, seconds = await query(*arguments)
        return states and {job: state.partition(" ")[0] for job, state in states.items()}, seconds

    return asked


def unknown_is_long(min_job_age: Callable[[], int | None]) -> Callable[[], float]:
    """The same MinJobAge in seconds, and an endless one where Slurm does not tell it, because it restarts for example.

    The plugin (2.8.0) takes that for a short one and turns from squeue to sacct, which on a site without accounting
    never answers: the head would wait for a day.
    """

    def asked() -> float:
        age = min_job_age()
        return math.inf if age is None else age

    return asked
