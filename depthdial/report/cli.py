"""``depthdial results`` and ``depthdial publish``: name what a run has made; copy it to where people read it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

NEXT = (
    "Your own images:  docs/own-data.md; your own network: docs/own-networks.md",
    "Your own device:  docs/devices.md (measured over SSH)",
    "A cluster:        docs/cluster.md (snakemake --profile slurm)",
)
"""What to try after the default experiment."""


def results(
    file: Annotated[Path, typer.Argument(metavar="CONFIG")] = Path("config/config.yaml"),
) -> None:
    """Say what came out of the experiment that CONFIG describes, where its page is, and what to try next."""
    from depthdial.artefacts import read_json
    from depthdial.config.load import read_experiment
    from depthdial.errors import ArtefactError
    from depthdial.layout import Place

    folder = Path(Place(read_experiment(file).experiment).folder)
    page, said = folder / "report.html", folder / "report.json"
    if not (page.is_file() and said.is_file()):
        raise ArtefactError(f"{page}: not there yet; run `snakemake --cores all --configfile {file}` first")
    for place in read_json(said)["places"]:
        warnings = f" ({', '.join(place['warnings'])})" if place["warnings"] else ""
        typer.echo(f"{place['title']}: {place['sentence']}{warnings}")
    typer.echo(f"The page with the dial to turn: {page.resolve()}")
    for line in NEXT:
        typer.echo(line)


def publish(
    file: Annotated[Path, typer.Argument(metavar="CONFIG")] = Path("config/cifar10.yaml"),
    to: Annotated[
        Path, typer.Option(help="The folder that gets the page and its files, named as the experiment.")
    ] = Path("docs/results"),
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
