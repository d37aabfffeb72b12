"""``depthdial results``: name what a run has made."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def results(
    file: Annotated[Path, typer.Argument(metavar="CONFIG")] = Path("config/config.yaml"),
) -> None:
    """Name the report and the figures of the experiment that CONFIG describes."""
    from depthdial.config.load import read_experiment
    from depthdial.errors import ArtefactError

    folder = Path("results") / read_experiment(file).experiment
    page = folder / "report.html"
    if not page.is_file():
        raise ArtefactError(f"{page}: not there yet; run `snakemake --cores all --configfile {file}` first")
    typer.echo(f"Report: {page.resolve()}")
    typer.echo("Figures, each with its data (.csv) and as a vector (.svg) beside it:")
    for figure in sorted((folder / "figures").rglob("*.png")):
        typer.echo(f"  {figure}")
