"""Find the units of one network, and write what it is for the images of one data set."""

from typing import Any

from depthdial.config.networks import Network
from depthdial.config.search import Search
from depthdial.data.images import load_info
from depthdial.errors import ConfigError
from depthdial.networks.describe import describe
from depthdial.networks.description import write_description
from depthdial.runs.logs import configure_logging
from depthdial.runs.torch_process import set_up_torch


def main(smk: Any) -> None:
    """Write ``output.network``. Raises ConfigError for a network that its search cannot do."""
    configure_logging(smk.log[0])
    set_up_torch(smk.threads)
    settings = Network.model_validate(smk.params.network)
    info = load_info(smk.input.images)
    described = describe(settings, info.shape, len(info.classes))
    problem = Search.model_validate(smk.params.search).problem(described.n_units) if settings.searched else None
    if problem:
        raise ConfigError(f"search.{problem} (network {settings.name})")
    write_description(smk.output.network, described)


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
