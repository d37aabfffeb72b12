"""Choose the configurations of one network among its evaluated masks."""

import logging
from typing import Any

from depthdial.config.select import Select
from depthdial.evaluate.tables import read_masks
from depthdial.networks.configurations import ConfigurationSet, write_configurations
from depthdial.runs.logs import configure_logging
from depthdial.select.choose import choose
from depthdial.select.latency_model import described, predicted_latency, read_latency_model


def main(smk: Any) -> None:
    """Write ``output.configurations`` from ``input.masks``."""
    configure_logging(smk.log[0])
    (masks, about), cost = read_masks(smk.input.masks), "macs"
    for path in smk.input.cost:  # of the device whose latency is traded, or none
        model = read_latency_model(path)
        masks["latency_ms"] = predicted_latency(model, list(masks["mask"]))
        cost = "latency_ms"
        logger = logging.getLogger("depthdial")
        logger.log(logging.INFO if model.valid else logging.WARNING, "%s", described(model))
    chosen = choose(masks, Select.model_validate(smk.params.select), cost)
    write_configurations(
        smk.output.configurations,
        ConfigurationSet(
            dataset=smk.wildcards.dataset,
            network=smk.wildcards.network,
            seed=int(smk.wildcards.seed),
            scaling=about["scaling"],
            recalibrated=about["recalibrated"],
            configurations=chosen,
        ),
    )


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
