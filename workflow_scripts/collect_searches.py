"""Compare the strategies of search on one network too deep to know the truth."""

from typing import Any

from depthdial.files import atomic_path
from depthdial.runs.logs import configure_logging
from depthdial.search.tasks import collect_searches


def main(smk: Any) -> None:
    """Write ``output.search`` and ``output.fronts``."""
    configure_logging(smk.log[0])
    tables = collect_searches(smk.input.weights, smk.input.runs)
    for path, table in zip((smk.output.search, smk.output.fronts), tables, strict=True):
        with atomic_path(path) as temporary:
            table.to_parquet(temporary, index=False)


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
