"""Compare the strategies of search on one network whose masks are all evaluated."""

from typing import Any

import torch

from depthdial.config.search import Search
from depthdial.files import atomic_path
from depthdial.runs.logs import configure_logging
from depthdial.search.tasks import compare_searches


def main(smk: Any) -> None:
    """Write ``output.search`` and ``output.fronts``."""
    configure_logging(smk.log[0])
    torch.set_num_threads(smk.threads)
    settings = Search.model_validate(smk.params.search)
    tables = compare_searches(smk.input.weights, smk.input.images, smk.input.masks, settings, smk.params.scaling)
    for path, table in zip((smk.output.search, smk.output.fronts), tables, strict=True):
        with atomic_path(path) as temporary:
            table.to_parquet(temporary, index=False)


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
