"""Draw the search strategies against the true front."""

from typing import Any

import pandas as pd

from depthdial.figures.searches import draw_searches
from depthdial.figures.style import note, write
from depthdial.runs.logs import configure_logging


def main(smk: Any) -> None:
    """Read the progress and the fronts of all strategies; write the figure and its data."""
    configure_logging(smk.log[0])
    progress, fronts = pd.read_parquet(smk.input.search), pd.read_parquet(smk.input.fronts)
    look = smk.params.look
    figure = draw_searches(progress, fronts, look["colours"], smk.params.title, look["width_mm"] * 1.9)
    cost, accuracy = progress[["reference_cost", "reference_accuracy"]].iloc[0]
    text = f"reference point: {cost:g} of the full MACs, accuracy {accuracy:g}; dotted: 95, 99, 99.9 %"
    write(figure, progress, list(smk.output), note(text), look["dots_per_inch"])


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
