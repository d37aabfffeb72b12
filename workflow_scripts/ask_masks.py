"""Ask a search for the masks of its next generation."""

from typing import Any

from depthdial.config.search import Search
from depthdial.runs.logs import configure_logging
from depthdial.runs.torch_process import set_up_torch
from depthdial.search.tasks import ask_masks


def main(smk: Any) -> None:
    """Write ``output.masks``, given the tables ``input.earlier``, ``params.shards`` for each generation."""
    configure_logging(smk.log[0])
    set_up_torch(smk.threads)
    settings = Search.model_validate(smk.params.search)
    tables, shards = list(smk.input.earlier), smk.params.shards
    earlier = [tables[start : start + shards] for start in range(0, len(tables), shards)]
    ask_masks(smk.input.weights, smk.input.images, earlier, settings, smk.params.scaling, smk.output.masks)


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
