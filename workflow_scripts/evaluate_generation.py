"""Evaluate one shard of the masks that a search asked for."""

from typing import Any

from depthdial.config.evaluate import Evaluate
from depthdial.evaluate.ablation import found_best
from depthdial.evaluate.tasks import evaluate_asked
from depthdial.runs.logs import configure_logging
from depthdial.runs.torch_process import set_up_torch
from depthdial.search.tasks import read_asked


def main(smk: Any) -> None:
    """Write ``output.masks`` for the shard's part of ``input.masks``."""
    configure_logging(smk.log[0])
    set_up_torch(smk.threads)
    settings = Evaluate.model_validate(smk.params.settings)
    masks, index = read_asked(smk.input.masks), int(smk.wildcards.shard)
    found = found_best(smk.input.ablation[0], settings.scaling) if smk.input.ablation else smk.params.recalibrated
    evaluate_asked(smk.input.weights, smk.input.images, masks, smk.output.masks, settings, index, found)


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
