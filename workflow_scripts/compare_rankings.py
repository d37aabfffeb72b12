"""Compare the sensitivity ranking with the other strategies of search."""

from typing import Any

from depthdial.artefacts import read_table
from depthdial.compare.files import write_csv
from depthdial.compare.rankings import rankings
from depthdial.runs.logs import configure_logging


def main(smk: Any) -> None:
    """Write ``output.rankings``."""
    configure_logging(smk.log[0])
    write_csv(smk.output.rankings, rankings([read_table(path) for path in smk.input.searches]))


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
