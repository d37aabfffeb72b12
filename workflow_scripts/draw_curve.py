"""Draw what more resident configurations would buy."""

from typing import Any

import pandas as pd

from depthdial.figures.schedule import draw_curve
from depthdial.figures.style import note, write
from depthdial.runs.logs import configure_logging


def main(smk: Any) -> None:
    """Read the curve over K; write the figure and its data."""
    configure_logging(smk.log[0])
    curve = pd.read_parquet(smk.input.curve)
    look = smk.params.look
    figure = draw_curve(curve, look["colours"], smk.params.title, look["width_mm"])
    write(figure, curve, list(smk.output), note("each point is an optimum of its own"), look["dots_per_inch"])


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
