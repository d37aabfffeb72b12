"""``depthdial results`` and ``depthdial publish``: name what a run has made; copy it to where people read it."""

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
    from depthdial.layout import Place

    folder = Path(Place(read_experiment(file).experiment).folder)
    page = folder / "report.html"
    if not page.is_file():
        raise ArtefactError(f"{page}: not there yet; run `snakemake --cores all --configfile {file}` first")
    typer.echo(f"Report: {page.resolve()}")
    typer.echo(f"Comparisons, for depthdial publish: {(folder / 'results.md').resolve()}")
    typer.echo("Figures, each with its data (.csv) and as a vector (.svg) beside it:")
    for figure in sorted((folder / "figures").rglob("*.png")):
        typer.echo(f"  {figure}")


def publish(
    file: Annotated[Path, typer.Argument(metavar="CONFIG")] = Path("config/cifar10.yaml"),
    to: Annotated[Path, typer.Option(help="The folder that gets results.md and results/.")] = Path("docs"),
) -> None:
    """Copy the page of results of the experiment that CONFIG describes, and the tables and figures that it shows."""
    from depthdial.config.load import read_experiment
    from depthdial.errors import ArtefactError
    from depthdial.layout import Place
    from depthdial.report.results import publish as copy

    folder = Path(Place(read_experiment(file).experiment).folder)
    if not (folder / "results.md").is_file():
        raise ArtefactError(f"{folder}/results.md: not there; run `snakemake --cores all --configfile {file}` first")
    for path in copy(folder, to):
        typer.echo(path)
