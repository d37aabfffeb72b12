"""Evaluate the same masks of one network under every rule of scaling."""

from typing import Any

from depthdial.config.evaluate import Evaluate
from depthdial.evaluate.ablation import ablate_scaling
from depthdial.files import atomic_path
from depthdial.runs.logs import configure_logging
from depthdial.runs.torch_process import set_up_torch


def main(smk: Any) -> None:
    """Write ``output.ablation``."""
    configure_logging(smk.log[0])
    set_up_torch(smk.threads)
    settings = Evaluate.model_validate(smk.params.settings)
    table = ablate_scaling(smk.input.weights, smk.input.images, settings, smk.params.masks)
    with atomic_path(smk.output.ablation) as temporary:
        table.to_parquet(temporary, index=False)


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
