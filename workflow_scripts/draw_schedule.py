"""Draw the schedule table as a map."""

from typing import Any

import pandas as pd

from depthdial.figures.schedule import draw_schedule
from depthdial.figures.style import note, write
from depthdial.runs.logs import configure_logging


def main(smk: Any) -> None:
    """Read the cells of a schedule; write the figure and its data."""
    configure_logging(smk.log[0])
    cells = pd.read_parquet(smk.input.cells)
    look = smk.params.look
    figure = draw_schedule(cells, smk.params.title, look["width_mm"])
    text = note(f"brighter: costlier; hatched: deadline cannot be met; energy {cells['energy_source'].iloc[0]}")
    write(figure, cells, list(smk.output), text, look["dots_per_inch"])


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
