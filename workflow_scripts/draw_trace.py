"""Draw one held-out trace under the schedule."""

from typing import Any

import pandas as pd

from depthdial.errors import ConfigError
from depthdial.figures.replay import draw_trace, trace_data
from depthdial.figures.style import note, write
from depthdial.runs.logs import configure_logging


def main(smk: Any) -> None:
    """Read the replayed steps; write the figure of the trace that the settings name, and its data."""
    configure_logging(smk.log[0])
    steps, summary = pd.read_parquet(smk.input.steps), pd.read_parquet(smk.input.summary)
    names = list(dict.fromkeys(summary["trace"].astype(str)))
    trace = next((name for name in names if name.startswith(smk.params.trace)), None)
    if trace is None:
        raise ConfigError(f"figures.trace: no held-out trace {smk.params.trace!r}; there are {', '.join(names)}")
    data = trace_data(steps, trace)
    look, source = smk.params.look, str(summary["energy_source"].iloc[0])
    figure = draw_trace(data, look["colours"], f"{smk.params.title}, trace {trace}", source, look["width_mm"] * 1.3)
    write(
        figure,
        data,
        list(smk.output),
        note(f"replayed with measured latencies; energy {source}"),
        look["dots_per_inch"],
    )


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
