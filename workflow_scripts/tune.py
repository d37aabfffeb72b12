"""Find the fastest way of cutting the loops of one network on the device that runs a target."""

from pathlib import Path
from typing import Any

from depthdial.config.benchmark import Benchmark
from depthdial.config.devices import Device
from depthdial.config.targets import Target
from depthdial.deploy.graph.nodes import read_graph
from depthdial.deploy.manifest import GRAPH
from depthdial.devices.tune import tune_on_device
from depthdial.runs.logs import configure_logging


def main(smk: Any) -> None:
    """Write ``output.tuning``."""
    configure_logging(smk.log[0])
    tune_on_device(
        Device.model_validate(smk.params.device),
        read_graph(Path(smk.input.exported) / GRAPH),
        Target.model_validate(smk.params.target),
        Benchmark.model_validate(smk.params.benchmark),
        name=smk.wildcards.target,
        cache=smk.params.cache,
        output=smk.output.tuning,
        log_path=smk.log.compiler,
    )


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
