"""Put the paper's claims beside what was found."""

from typing import Any

from depthdial.compare.claims import claims, evidence, table
from depthdial.compare.files import write_csv
from depthdial.runs.logs import configure_logging


def main(smk: Any) -> None:
    """Write ``output.claims`` from the tables of all dials."""
    configure_logging(smk.log[0])
    found = [evidence(smk.wildcards.experiment, dial) for dial in smk.params.dials]
    write_csv(smk.output.claims, table(claims(found)))


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
