"""Pack the configurations that a schedule uses, and the schedule, for a product."""

from pathlib import Path
from typing import Any

from depthdial.config.targets import Target
from depthdial.deploy.gate import run_tool
from depthdial.deploy.pack import pack
from depthdial.runs.logs import configure_logging
from depthdial.schedule.table import read_schedule


def main(smk: Any) -> None:
    """Write the folder ``output.packed``."""
    configure_logging(smk.log[0])
    target = Target.model_validate(smk.params.target)
    used = sorted(configuration.name for configuration in read_schedule(smk.input.schedule).configurations)
    pack(
        smk.input.bundle[0],
        used,
        target,
        smk.output.packed,
        log_path=smk.log.compiler,
        tool=run_tool(target, Path(smk.params.cache)),
        schedule={"schedule.json": smk.input.schedule, "schedule.h": smk.input.header},
    )


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
