"""Train one network with one seed."""

from typing import Any

from depthdial.config.networks import Network
from depthdial.config.training import Recipe
from depthdial.runs.logs import configure_logging
from depthdial.runs.torch_process import set_up_torch
from depthdial.train.tasks import train_network


def main(smk: Any) -> None:
    """Write ``output.weights`` and ``output.history``."""
    configure_logging(smk.log[0])
    set_up_torch(smk.threads)
    train_network(
        smk.input.images,
        smk.input.network,
        Network.model_validate(smk.params.network),
        Recipe.model_validate(smk.params.recipe),
        int(smk.wildcards.seed),
        begins=list(smk.input.begins),
        code=smk.params.code,
        threads=smk.threads,
        weights=smk.output.weights,
        history=smk.output.history,
    )


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
