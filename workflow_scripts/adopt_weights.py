"""Take a network that was trained before as it is."""

from typing import Any

from depthdial.config.networks import Network
from depthdial.runs.logs import configure_logging
from depthdial.runs.torch_process import set_up_torch
from depthdial.train.tasks import adopt_network


def main(smk: Any) -> None:
    """Write ``output.weights``, and ``output.history`` without a row: nothing is trained."""
    configure_logging(smk.log[0])
    set_up_torch(smk.threads)
    adopt_network(
        smk.input.images,
        smk.input.network,
        Network.model_validate(smk.params.network),
        int(smk.wildcards.seed),
        begins=list(smk.input.begins),
        threads=smk.threads,
        weights=smk.output.weights,
        history=smk.output.history,
    )


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
