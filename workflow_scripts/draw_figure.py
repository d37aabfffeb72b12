"""Draw one figure of the catalogue."""

from importlib import import_module
from typing import Any

from depthdial.figures.style import Style, write
from depthdial.runs.logs import configure_logging


def main(smk: Any) -> None:
    """Write the figure ``params.figure`` and its data, from the inputs and settings that its module asks for."""
    configure_logging(smk.log[0])
    asked = smk.params.style
    style = Style(smk.params.title, asked["colours"], asked["width_mm"])
    module = import_module(f"depthdial.figures.{smk.params.figure}")
    write(
        module.draw(style, **dict(smk.input.items()), **smk.params.settings), list(smk.output), asked["dots_per_inch"]
    )


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
