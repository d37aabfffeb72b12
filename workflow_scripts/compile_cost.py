"""Compile the masks of the cost model for one target and link them into a bundle."""

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from depthdial.config.deploy import Deploy
from depthdial.config.targets import Target
from depthdial.deploy.bundle import link
from depthdial.deploy.compile import compile_configuration
from depthdial.deploy.graph.nodes import read_graph
from depthdial.deploy.manifest import GRAPH
from depthdial.networks.configurations import Configuration, read_configurations
from depthdial.networks.masks import Mask
from depthdial.runs.logs import configure_logging


def main(smk: Any) -> None:
    """Write the folder ``output.bundle``; the numerics gate stands on the device."""
    configure_logging(smk.log[0])
    target = Target.model_validate(smk.params.target)
    graph = read_graph(Path(smk.input.exported) / GRAPH)
    configurations = read_configurations(smk.input.configurations).configurations
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(smk.threads) as pool:
        folder = Path(name)

        def work(configuration: Configuration) -> None:
            compile_configuration(
                graph,
                Mask(configuration.mask),
                target,
                names=(smk.wildcards.network, configuration.name, smk.wildcards.target),
                output=folder / f"{configuration.name}.vmfb",
                side_file=folder / f"{configuration.name}.json",
                log_path=folder / f"{configuration.name}.log",
            )

        list(pool.map(work, configurations))
        modules = {configuration.name: folder / f"{configuration.name}.vmfb" for configuration in configurations}
        settings = Deploy.model_validate(smk.params.deploy)
        link(smk.input.exported, modules, smk.input.configurations, smk.input.images, settings, smk.output.bundle)


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
