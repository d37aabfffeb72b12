"""Evaluate one shard of the masks of one network."""

from typing import Any

from depthdial.config.evaluate import Evaluate
from depthdial.evaluate.ablation import found_best
from depthdial.evaluate.tasks import evaluate_shard
from depthdial.runs.logs import configure_logging
from depthdial.runs.torch_process import set_up_torch


def main(smk: Any) -> None:
    """Write ``output.masks``: all masks of a searched network, else the full network alone."""
    configure_logging(smk.log[0])
    set_up_torch(smk.threads)
    settings = Evaluate.model_validate(smk.params.settings)
    index = int(smk.wildcards.shard)
    found = found_best(smk.input.ablation[0], settings.scaling) if smk.input.ablation else smk.params.recalibrated
    files = smk.input.weights, smk.input.images, smk.output.masks
    evaluate_shard(*files, settings, smk.params.searched, index, found)


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
