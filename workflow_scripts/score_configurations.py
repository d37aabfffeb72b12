"""Test accuracy of the chosen configurations of one network."""

from typing import Any

from depthdial.config.evaluate import Evaluate
from depthdial.evaluate.tasks import score_configurations
from depthdial.networks.configurations import read_configurations
from depthdial.runs.logs import configure_logging
from depthdial.runs.torch_process import set_up_torch


def main(smk: Any) -> None:
    """Write ``output.test`` for ``input.configurations``."""
    configure_logging(smk.log[0])
    set_up_torch(smk.threads)
    chosen = read_configurations(smk.input.configurations)
    settings = Evaluate.model_validate(smk.params.settings)
    score_configurations(smk.input.weights, smk.input.images, chosen, settings, smk.output.test)


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
