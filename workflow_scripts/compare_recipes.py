"""Compare dials of the same shape that were trained differently."""

from typing import Any

from depthdial.compare.files import write_csv
from depthdial.compare.recipes import recipes
from depthdial.compare.runs import trained_networks
from depthdial.runs.logs import configure_logging


def main(smk: Any) -> None:
    """Write ``output.recipes``."""
    configure_logging(smk.log[0])
    write_csv(smk.output.recipes, recipes(trained_networks(smk.input.dials), smk.params.settings, smk.params.sampled))


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
