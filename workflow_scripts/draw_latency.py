"""Draw measured latency and energy against accuracy."""

from typing import Any

import pandas as pd

from depthdial.figures.latency import draw_latency
from depthdial.figures.style import note, write
from depthdial.runs.logs import configure_logging


def main(smk: Any) -> None:
    """Read one device's table; write the figure and its data."""
    configure_logging(smk.log[0])
    table = pd.read_parquet(smk.input.table)
    look = smk.params.look
    dial = smk.wildcards.network
    figure = draw_latency(table, dial, look["colours"], smk.params.title, look["width_mm"] * 1.6)
    text = note(f"{dial} on {smk.wildcards.device}; bars: 95 % intervals (bootstrap of the median, Wilson)")
    write(figure, table, list(smk.output), text, look["dots_per_inch"])


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
