"""Draw all policies on the held-out traces."""

from typing import Any

import pandas as pd

from depthdial.figures.replay import draw_policies, policies_data
from depthdial.figures.style import note, write
from depthdial.runs.logs import configure_logging


def main(smk: Any) -> None:
    """Read the summary of the replays; write the figure and its data."""
    configure_logging(smk.log[0])
    summary = pd.read_parquet(smk.input.summary)
    data = policies_data(summary)
    look, source = smk.params.look, str(summary["energy_source"].iloc[0])
    figure = draw_policies(data, look["colours"], smk.params.title, source, look["width_mm"] * 1.9)
    traces = ", ".join(dict.fromkeys(summary["trace"].astype(str)))
    write(figure, data, list(smk.output), note(f"traces {traces}; energy {source}"), look["dots_per_inch"])


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
