"""Put the paper's claims beside what was found."""

from pathlib import Path
from typing import Any

from depthdial.compare.claims import claims, evidence, table
from depthdial.compare.files import write_csv
from depthdial.runs.logs import configure_logging


def main(smk: Any) -> None:
    """Write ``output.claims``; the tables of all dials lie in the folder of that file."""
    configure_logging(smk.log[0])
    tables = Path(smk.output.claims).parent
    found = [evidence(tables, tables.parent, dial) for dial in smk.params.dials]
    write_csv(smk.output.claims, table(claims(found)))


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
