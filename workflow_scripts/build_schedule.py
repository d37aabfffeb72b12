"""Solve the schedule of a dial on a device."""

from typing import Any

from depthdial.config.schedule import Schedule
from depthdial.files import write_text
from depthdial.runs.logs import configure_logging
from depthdial.schedule.build import build_schedule
from depthdial.schedule.choices import read_latency_table
from depthdial.schedule.header import c_header
from depthdial.schedule.table import write_schedule


def main(smk: Any) -> None:
    """Write ``output.schedule`` and ``output.header`` from ``input.latency`` and the training traces."""
    configure_logging(smk.log[0])
    table = build_schedule(
        read_latency_table(smk.input.latency),
        smk.wildcards.network,
        smk.wildcards.device,
        Schedule.model_validate(smk.params.settings),
        list(smk.input.traces),
        tuple(smk.params.seeds),
    )
    write_schedule(smk.output.schedule, table)
    write_text(smk.output.header, c_header(table))


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
