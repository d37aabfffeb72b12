"""Compile one configuration of one network for one target."""

from typing import Any

from depthdial.config.networks import Network
from depthdial.config.targets import Target
from depthdial.data.images import load_info
from depthdial.deploy.compile import compile_configuration
from depthdial.deploy.tune import read_tuning
from depthdial.networks.configurations import read_configurations
from depthdial.networks.families.he_shapes import Architecture
from depthdial.networks.masks import Mask
from depthdial.runs.logs import configure_logging


def main(smk: Any) -> None:
    """Write ``output.module`` and ``output.side_file``."""
    configure_logging(smk.log[0])
    network = Network.model_validate(smk.params.network)
    info = load_info(smk.input.images)
    channels, size, _ = info.shape
    wanted = smk.wildcards.configuration
    chosen = read_configurations(smk.input.configurations).named(wanted)
    compile_configuration(
        Architecture(network.depth or 0, network.width, channels, size, len(info.classes)),
        Mask(chosen.mask),
        Target.model_validate(smk.params.target),
        names=(network.name, wanted, smk.wildcards.target),
        output=smk.output.module,
        side_file=smk.output.side_file,
        log_path=smk.log.compiler,
        tuned=read_tuning(smk.input.tuning).tuned if smk.input.tuning else None,
    )


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
