"""Draw networks at equal MACs."""

from typing import Any

import pandas as pd

from depthdial.figures.equal import draw_equal, points
from depthdial.figures.style import note, write
from depthdial.runs.logs import configure_logging


def main(smk: Any) -> None:
    """Read the test accuracies of a dial, its control and the static networks; write the figure and its data."""
    configure_logging(smk.log[0])
    accuracies = pd.read_csv(smk.input.accuracies)
    data = points(accuracies)
    look = smk.params.look
    figure = draw_equal(data, look["colours"], smk.params.title, look["width_mm"])
    seeds = ", ".join(map(str, sorted(accuracies["seed"].unique())))
    text = note(f"{smk.wildcards.network}; bands: seeds {seeds}; bars: 95 %; squares: full, as trained")
    write(figure, data, list(smk.output), text, look["dots_per_inch"])


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
