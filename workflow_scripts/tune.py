"""Find the fastest way of compiling one network for one target."""

from pathlib import Path
from typing import Any

from depthdial.config.deploy import Deploy
from depthdial.config.networks import Network
from depthdial.config.targets import Target
from depthdial.data.images import load_info
from depthdial.deploy.tune import tune
from depthdial.networks.families.he_shapes import Architecture
from depthdial.runs.logs import configure_logging


def main(smk: Any) -> None:
    """Write ``output.tuning``."""
    configure_logging(smk.log[0])
    network = Network.model_validate(smk.params.network)
    info = load_info(smk.input.images)
    channels, size, _ = info.shape
    tune(
        Architecture(network.depth or 0, network.width, channels, size, len(info.classes)),
        Target.model_validate(smk.params.target),
        Deploy.model_validate(smk.params.deploy),
        names=(network.name, smk.wildcards.target),
        exported=smk.input.exported,
        output=smk.output.tuning,
        log_folder=Path(smk.log[0]).with_suffix(""),
    )


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
