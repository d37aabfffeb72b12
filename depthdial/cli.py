"""The ``depthdial`` command: what is done with files that the workflow made."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import typer

from depthdial import __version__
from depthdial.config.cli import app as config
from depthdial.deploy.cli import app as deploy
from depthdial.devices.cli import app as devices
from depthdial.errors import DepthDialError
from depthdial.replay.cli import app as replay
from depthdial.report.cli import publish, results
from depthdial.runs.machine import lacks
from depthdial.schedule.cli import app as schedule

ROOT = Path(__file__).parents[1]
"""The checkout, from which the paths of devices, targets and traces files count, as they do for the workflow."""
app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.add_typer(deploy)
app.add_typer(schedule)
app.add_typer(replay)
app.add_typer(config, name="config")
app.add_typer(devices, name="devices")


app.command()(results)
app.command()(publish)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


@app.command()
def machine() -> None:
    """Say what this machine lacks for a run: Snakemake itself may end with less of a sentence."""
    if problems := lacks(sys.executable, Path.cwd(), os.environ):
        raise DepthDialError("this machine is not ready:\n  " + "\n  ".join(problems))


@config.command("check")
def check_config(file: Path) -> None:
    """Say all that is wrong with an experiment's FILE and with what it names, or that nothing is.

    Devices, targets, traces and the images are looked at by the functions by which the workflow does, when it starts.
    """
    from depthdial.config.study import read_study
    from depthdial.data.fingerprint import fingerprints

    experiment = read_study([file], {}, ROOT).experiment
    fingerprints(experiment.datasets, plan=False)
    networks = len(experiment.networks) * len(experiment.datasets) * len(experiment.seeds)
    typer.echo(f"{file}: valid; experiment {experiment.experiment} trains {networks} networks")


@app.callback()
def about() -> None:
    """One residual network, many depths. The workflow itself is Snakemake's: see the README."""


def main() -> None:
    """Entry point: an error that depthdial raised on purpose is one sentence and exit status 1."""
    try:
        app()
    except DepthDialError as error:
        typer.echo(f"depthdial: {error}", err=True)
        sys.exit(1)
