"""Evaluate one shard of random masks at chosen numbers of skipped blocks."""

from typing import Any

from depthdial.config.evaluate import Evaluate
from depthdial.evaluate.ablation import found_best
from depthdial.evaluate.tasks import evaluate_asked
from depthdial.networks.masks import sampled_masks
from depthdial.runs.logs import configure_logging
from depthdial.runs.torch_process import set_up_torch


def main(smk: Any) -> None:
    """Write ``output.masks`` for the shard's part of the masks, the same for all networks of so many units."""
    configure_logging(smk.log[0])
    set_up_torch(smk.threads)
    settings = Evaluate.model_validate(smk.params.settings)
    units, count, index = smk.params.units, smk.params.masks, int(smk.wildcards.shard)
    masks = [mask for skipped in smk.params.skipped for mask in sampled_masks(units, skipped, count)]
    found = found_best(smk.input.ablation[0], settings.scaling) if smk.input.ablation else smk.params.recalibrated
    evaluate_asked(smk.input.weights, smk.input.images, masks, smk.output.masks, settings, index, found)


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
