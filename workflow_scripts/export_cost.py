"""Choose masks for the cost model and take them out of PyTorch."""

from typing import Any

from depthdial.config.benchmark import CostModel
from depthdial.config.deploy import Deploy
from depthdial.deploy.export import export
from depthdial.networks.configurations import ConfigurationSet, write_configurations
from depthdial.networks.weights import load_weights
from depthdial.runs.logs import configure_logging
from depthdial.runs.torch_process import set_up_torch
from depthdial.select.latency_model import cost_configurations


def main(smk: Any) -> None:
    """Write ``output.configurations`` and the folder ``output.exported``."""
    configure_logging(smk.log[0])
    set_up_torch(smk.threads)
    net, about = load_weights(smk.input.weights)
    chosen = ConfigurationSet(
        dataset=smk.wildcards.dataset,
        network=smk.wildcards.network,
        seed=about["seed"],
        scaling=smk.params.scaling,
        recalibrated=False,
        configurations=cost_configurations(net.description, CostModel.model_validate(smk.params.cost_model)),
    )
    write_configurations(smk.output.configurations, chosen)
    settings = Deploy.model_validate(smk.params.deploy)
    export(smk.input.weights, None, smk.output.configurations, smk.input.images, settings, smk.output.exported)


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
