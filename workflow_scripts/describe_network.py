"""Write what one network of He's family is for the images of one data set."""

from typing import Any

from depthdial.config.networks import Network
from depthdial.data.images import load_info
from depthdial.networks.describe import describe
from depthdial.networks.description import write_description
from depthdial.runs.logs import configure_logging


def main(smk: Any) -> None:
    """Write ``output.network``."""
    configure_logging(smk.log[0])
    info = load_info(smk.input.images)
    write_description(
        smk.output.network, describe(Network.model_validate(smk.params.network), info.shape, len(info.classes))
    )


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
