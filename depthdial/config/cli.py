"""``depthdial config``: what is generated from the schema. ``check`` looks at images too: see ``depthdial.cli``."""

from __future__ import annotations

from pathlib import Path

import typer

app = typer.Typer(no_args_is_help=True, help="Check configurations; regenerate schema and reference.")


@app.command()
def reference(root: Path = Path()) -> None:
    """Write the JSON schemas in config/ and docs/configuration.md anew from the models."""
    from depthdial.config.reference import FILES, reference_text, schema_text
    from depthdial.files import write_text

    for name, (model, _, _) in FILES.items():
        write_text(root / "config" / name, schema_text(model))
    write_text(root / "docs" / "configuration.md", reference_text())
