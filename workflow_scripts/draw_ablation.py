"""Draw the rules of scaling, with and without recalibration."""

from typing import Any

import pandas as pd

from depthdial.figures.searches import draw_ablation
from depthdial.figures.style import note, write
from depthdial.runs.logs import configure_logging


def main(smk: Any) -> None:
    """Read the ablation; write the figure and its data."""
    configure_logging(smk.log[0])
    table = pd.read_parquet(smk.input.ablation)
    look = smk.params.look
    figure = draw_ablation(table, look["colours"], smk.params.title, look["width_mm"])
    masks = table["mask"].nunique()
    write(figure, table, list(smk.output), note(f"the same {masks} masks, validation split"), look["dots_per_inch"])


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
