"""Write down what every trained network is."""

from typing import Any

from depthdial.compare.files import write_csv
from depthdial.compare.runs import trained_networks
from depthdial.compare.training import trained_table
from depthdial.files import write_json
from depthdial.runs.logs import configure_logging


def main(smk: Any) -> None:
    """Write ``output.table`` and, whole, ``output.metadata``."""
    configure_logging(smk.log[0])
    runs = trained_networks(smk.input.weights)
    write_csv(smk.output.table, trained_table(runs))
    write_json(smk.output.metadata, [run.metadata for run in runs])


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
