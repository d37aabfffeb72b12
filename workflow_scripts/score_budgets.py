"""Read the test split for the best masks at several budgets of MACs."""

from typing import Any

from depthdial.config.evaluate import Evaluate
from depthdial.evaluate.budgets import score_budgets
from depthdial.files import atomic_path
from depthdial.networks.description import read_description
from depthdial.runs.logs import configure_logging
from depthdial.runs.torch_process import set_up_torch


def main(smk: Any) -> None:
    """Write ``output.budgets``."""
    configure_logging(smk.log[0])
    set_up_torch(smk.threads)
    settings = Evaluate.model_validate(smk.params.settings)
    inputs = smk.input
    described = [read_description(path).full_macs for path in inputs.statics]
    statics = dict(zip(smk.params.statics, described, strict=True))
    table = score_budgets(inputs.weights, inputs.images, inputs.masks, settings, smk.params.shares, statics)
    with atomic_path(smk.output.budgets) as temporary:
        table.to_parquet(temporary, index=False)


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
