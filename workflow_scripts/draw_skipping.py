"""Draw accuracy against the number of skipped blocks."""

from pathlib import Path
from typing import Any

import pandas as pd

from depthdial.figures.skipping import draw_skipping, skipping_data
from depthdial.figures.style import note, write
from depthdial.runs.logs import configure_logging


def main(smk: Any) -> None:
    """Read the mask tables of a dial and its controls over all seeds; write the figure and its data."""
    configure_logging(smk.log[0])
    tables = []
    for path in map(Path, smk.input.masks):
        network, seed = path.parts[-3], path.parts[-2].removeprefix("seed")
        role = "dial" if network == smk.wildcards.network else "control"
        table = pd.read_parquet(path, columns=["mask", "kept", "val_accuracy"])
        tables.append(table.assign(network=network, seed=int(seed), role=role))
    data = skipping_data(pd.concat(tables))
    look = smk.params.look
    figure = draw_skipping(data, look["colours"], smk.params.title, look["width_mm"])
    seeds = ", ".join(map(str, sorted(data["seed"].unique())))
    write(
        figure,
        data,
        list(smk.output),
        note(f"bands: seeds {seeds}; all masks, validation split"),
        look["dots_per_inch"],
    )


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
