"""``depthdial config``: check a configuration, regenerate what is generated from the schema."""

from __future__ import annotations

from pathlib import Path

import typer

app = typer.Typer(no_args_is_help=True, help="Check configurations; regenerate schema and reference.")


@app.command("check")
def check_config(file: Path) -> None:
    """Say all that is wrong with an experiment's FILE, or that nothing is."""
    from depthdial.config.load import read_experiment

    experiment = read_experiment(file)
    networks = len(experiment.networks) * len(experiment.datasets) * len(experiment.seeds)
    typer.echo(f"{file}: valid; experiment {experiment.experiment} trains {networks} networks")


@app.command()
def reference(root: Path = Path()) -> None:
    """Write config/schema.json and docs/configuration.md anew from the schema."""
    from depthdial.config.reference import reference_text, schema_text
    from depthdial.files import write_text

    write_text(root / "config" / "schema.json", schema_text())
    write_text(root / "docs" / "configuration.md", reference_text())
