"""Compare the strategies of search on one network whose masks are all evaluated."""

from typing import Any

from depthdial.config.search import Search
from depthdial.files import atomic_path
from depthdial.runs.logs import configure_logging
from depthdial.runs.torch_process import set_up_torch
from depthdial.search.tasks import compare_searches


def main(smk: Any) -> None:
    """Write ``output.search`` and ``output.fronts``."""
    configure_logging(smk.log[0])
    set_up_torch(smk.threads)
    settings = Search.model_validate(smk.params.search)
    tables = compare_searches(smk.input.weights, smk.input.images, smk.input.masks, settings, smk.params.scaling)
    for path, table in zip((smk.output.search, smk.output.fronts), tables, strict=True):
        with atomic_path(path) as temporary:
            table.to_parquet(temporary, index=False)


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
