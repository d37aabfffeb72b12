"""Run one shard of the strategies of search on one network too deep to evaluate all masks."""

from typing import Any

from depthdial.config.evaluate import Evaluate
from depthdial.config.search import Search
from depthdial.evaluate.ablation import found_best
from depthdial.runs.logs import configure_logging
from depthdial.runs.torch_process import set_up_torch
from depthdial.search.tasks import run_searches


def main(smk: Any) -> None:
    """Write ``output.runs``."""
    configure_logging(smk.log[0])
    set_up_torch(smk.threads)
    search, settings = Search.model_validate(smk.params.search), Evaluate.model_validate(smk.params.settings)
    index, code = int(smk.wildcards.shard), smk.params.code
    found = found_best(smk.input.ablation[0], settings.scaling) if smk.input.ablation else smk.params.recalibrated
    run_searches(smk.input.weights, smk.input.images, smk.output.runs, search, settings, index, found, code=code)


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
