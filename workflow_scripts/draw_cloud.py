"""Draw the cloud of masks with its front."""

from typing import Any

import pandas as pd

from depthdial.figures.cloud import cloud_data, draw_cloud
from depthdial.figures.style import note, write
from depthdial.networks.configurations import read_configurations
from depthdial.runs.logs import configure_logging


def main(smk: Any) -> None:
    """Read the masks of one network and seed and what was chosen; write the figure and its data."""
    configure_logging(smk.log[0])
    chosen = read_configurations(smk.input.configurations)
    data = cloud_data(pd.read_parquet(smk.input.masks), chosen)
    statics = [(s.network, s.configurations[0]) for s in map(read_configurations, smk.input.statics)]
    table = pd.DataFrame(
        [(name, c.macs, c.validation_accuracy, c.validation_low, c.validation_high) for name, c in statics],
        columns=["network", "macs", "val_accuracy", "low", "high"],
    )
    look = smk.params.look
    figure = draw_cloud(data, table, chosen, look["colours"], smk.params.title, look["width_mm"])
    shown = pd.concat([data.assign(network=chosen.network), table[["network", "macs", "val_accuracy"]]])
    text = note(f"{chosen.network}, seed {chosen.seed}; bars: 95 % Wilson intervals")
    write(figure, shown, list(smk.output), text, look["dots_per_inch"])


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
