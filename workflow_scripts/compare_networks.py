"""Compare a dial with its control and the static networks."""

from typing import Any

from depthdial.compare.equal import accuracies, equal_macs
from depthdial.compare.files import write_csv
from depthdial.compare.runs import trained_networks
from depthdial.compare.skipping import skipping
from depthdial.compare.training import training_time
from depthdial.runs.logs import configure_logging


def main(smk: Any) -> None:
    """Write the tables of one dial."""
    configure_logging(smk.log[0])
    given = ([*files, *smk.input.samples] for files in (smk.input.dial, smk.input.control, smk.input.static))
    dials, controls, statics = map(trained_networks, given)
    write_csv(smk.output.accuracies, accuracies([*dials, *controls, *statics]))
    write_csv(smk.output.equal_macs, equal_macs(dials, controls, statics))
    write_csv(smk.output.skipping, skipping(dials, controls))
    write_csv(smk.output.training, training_time([*dials, *controls, *statics]))


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
