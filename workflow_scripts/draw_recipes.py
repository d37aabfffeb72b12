"""Draw dials of the same shape that were trained differently."""

from typing import Any

import pandas as pd

from depthdial.figures.equal import draw_recipes, points
from depthdial.figures.style import note, write
from depthdial.runs.logs import configure_logging


def main(smk: Any) -> None:
    """Read the test accuracies of all dials; ``params.shapes`` says which dials each panel shows."""
    configure_logging(smk.log[0])
    accuracies = pd.concat([pd.read_csv(path) for path in smk.input.accuracies]).query("role == 'dial'")
    data = points(accuracies.drop_duplicates())
    shapes = [(name, data[data["network"].isin(dials)]) for name, dials in smk.params.shapes.items()]
    look = smk.params.look
    figure = draw_recipes(shapes, smk.params.title, look["width_mm"])
    seeds = ", ".join(map(str, sorted(accuracies["seed"].unique())))
    text = note(f"bands: seeds {seeds}; best mask of no more MACs, chosen on validation")
    write(figure, data, list(smk.output), text, look["dots_per_inch"])


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
