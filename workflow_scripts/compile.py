"""Compile one configuration of one network for one target."""

from pathlib import Path
from typing import Any

from depthdial.config.targets import Target
from depthdial.deploy.compile import compile_configuration
from depthdial.deploy.graph.nodes import read_graph
from depthdial.deploy.manifest import GRAPH
from depthdial.deploy.tuned import read_tuning
from depthdial.networks.configurations import read_configurations
from depthdial.networks.masks import Mask
from depthdial.runs.logs import configure_logging


def main(smk: Any) -> None:
    """Write ``output.module`` and ``output.side_file``."""
    configure_logging(smk.log[0])
    wanted = smk.wildcards.configuration
    chosen = read_configurations(smk.input.configurations).named(wanted)
    compile_configuration(
        read_graph(Path(smk.input.exported) / GRAPH),
        Mask(chosen.mask),
        Target.model_validate(smk.params.target),
        names=(smk.wildcards.network, wanted, smk.wildcards.target),
        output=smk.output.module,
        side_file=smk.output.side_file,
        log_path=smk.log.compiler,
        tuned=read_tuning(smk.input.tuning).tuned if smk.input.tuning else None,
    )


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
