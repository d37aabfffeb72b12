"""Measure the masks of the cost model on one device and fit it."""

from pathlib import Path
from typing import Any

from depthdial.artefacts import read_table
from depthdial.config.benchmark import Benchmark, CostModel
from depthdial.config.devices import Device
from depthdial.deploy.manifest import read_manifest
from depthdial.devices.benchmark import benchmark_device
from depthdial.networks.description import read_description
from depthdial.runs.logs import configure_logging
from depthdial.select.latency_model import fit_latency_model, write_latency_model


def main(smk: Any) -> None:
    """Write ``output.records``, ``output.latency`` and ``output.model``."""
    configure_logging(smk.log[0])
    device = Device.model_validate(smk.params.device)
    settings = Benchmark.model_validate(smk.params.benchmark)
    bundle = smk.input.bundle
    benchmark_device(device, [bundle], settings, smk.params.cache, smk.output.records, smk.output.latency)
    network = read_description(Path(bundle) / read_manifest(bundle, verify=False).description)
    held_out = CostModel.model_validate(smk.params.cost_model).held_out
    model = fit_latency_model(read_table(smk.output.latency), network, device.name, held_out)
    write_latency_model(smk.output.model, model)


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
