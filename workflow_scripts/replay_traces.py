"""Replay the held-out traces under every policy."""

from typing import Any

from depthdial.config.schedule import Schedule
from depthdial.replay.compare import compare
from depthdial.replay.tables import cell_table, curve_table, read_scores, write_table
from depthdial.runs.logs import configure_logging
from depthdial.schedule.choices import read_latency_table
from depthdial.schedule.table import read_schedule
from depthdial.traces.trace import read_traces


def main(smk: Any) -> None:
    """Write the tables behind the figures of the schedule."""
    configure_logging(smk.log[0])
    table = read_schedule(smk.input.schedule)
    full = table.full_latency_ms
    result = compare(
        read_latency_table(smk.input.latency),
        read_scores(smk.input.test),
        table,
        Schedule.model_validate(smk.params.settings),
        read_traces(list(smk.input.estimate), tuple(smk.params.estimate_seeds), full),
        read_traces(list(smk.input.held_out), tuple(smk.params.held_out_seeds), full),
    )
    write_table(smk.output.summary, result.summary)
    write_table(smk.output.steps, result.steps)
    write_table(smk.output.curve, curve_table(table))
    write_table(smk.output.cells, cell_table(table))


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
