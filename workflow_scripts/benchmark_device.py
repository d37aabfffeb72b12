"""Measure the configurations of a dial on one device."""

from typing import Any

from depthdial.config.benchmark import Benchmark
from depthdial.config.devices import Device
from depthdial.devices.benchmark import benchmark_device
from depthdial.runs.logs import configure_logging


def main(smk: Any) -> None:
    """Write ``output.records`` and ``output.latency``; the first bundle has the reference."""
    configure_logging(smk.log[0])
    benchmark_device(
        Device.model_validate(smk.params.device),
        [*smk.input.dial, *smk.input.static],
        Benchmark.model_validate(smk.params.benchmark),
        smk.params.cache,
        smk.output.records,
        smk.output.latency,
    )


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
