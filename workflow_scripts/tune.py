"""Find the fastest way of cutting the loops of one network on the device that runs a target."""

from typing import Any

from depthdial.config.benchmark import Benchmark
from depthdial.config.devices import Device
from depthdial.config.networks import Network
from depthdial.config.targets import Target
from depthdial.data.images import load_info
from depthdial.deploy.program import program
from depthdial.devices.tune import tune_on_device
from depthdial.networks.configurations import FULL
from depthdial.networks.families.he_shapes import Architecture
from depthdial.networks.masks import Mask
from depthdial.runs.logs import configure_logging


def main(smk: Any) -> None:
    """Write ``output.tuning``."""
    configure_logging(smk.log[0])
    network = Network.model_validate(smk.params.network)
    info = load_info(smk.input.images)
    channels, size, _ = info.shape
    arch = Architecture(network.depth or 0, network.width, channels, size, len(info.classes))
    tune_on_device(
        Device.model_validate(smk.params.device),
        program(arch, {FULL: Mask.full(arch.n_blocks)}),
        Target.model_validate(smk.params.target),
        Benchmark.model_validate(smk.params.benchmark),
        name=smk.wildcards.target,
        cache=smk.params.cache,
        output=smk.output.tuning,
        log_path=smk.log.compiler,
    )


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
