"""Compare the configurations of a dial with the other networks at equal measured time."""

from typing import Any

from depthdial.artefacts import read_table
from depthdial.compare.equal import configurations, equal_time
from depthdial.compare.files import write_csv
from depthdial.compare.runs import trained_networks
from depthdial.runs.logs import configure_logging


def main(smk: Any) -> None:
    """Write ``output.equal_time`` and ``output.configurations``."""
    configure_logging(smk.log[0])
    latency = read_table(smk.input.latency)
    (dial,), statics = trained_networks(smk.input.dial), trained_networks(smk.input.static)
    control = next(iter(trained_networks(smk.input.control)), None)
    write_csv(smk.output.equal_time, equal_time(latency, dial, control, statics, smk.params.shares))
    write_csv(smk.output.configurations, configurations(latency, dial, control, statics))


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
