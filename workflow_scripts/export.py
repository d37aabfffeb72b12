"""Take out of PyTorch what the compiled configurations of one network need."""

from typing import Any

from depthdial.config.deploy import Deploy
from depthdial.deploy.export import export
from depthdial.runs.logs import configure_logging
from depthdial.runs.torch_process import set_up_torch


def main(smk: Any) -> None:
    """Write the folder ``output.exported``."""
    configure_logging(smk.log[0])
    set_up_torch(smk.threads)
    settings = Deploy.model_validate(smk.params.deploy)
    source = smk.input
    export(source.weights, source.batchnorm, source.configurations, source.images, settings, smk.output.exported)


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
