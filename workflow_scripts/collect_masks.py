"""Put the mask tables of a network's shards together."""

from typing import Any

from depthdial.evaluate.tables import merge_masks, write_masks
from depthdial.runs.logs import configure_logging


def main(smk: Any) -> None:
    """Write ``output.masks`` from ``input.shards``."""
    configure_logging(smk.log[0])
    write_masks(smk.output.masks, *merge_masks(smk.input.shards))


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
