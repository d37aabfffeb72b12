"""``depthdial devices``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Look at the machines on which configurations are measured.")
Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Devices; all of the file without any.")]
DevicesFile = Annotated[Path, typer.Option("--file", help="The devices file.")]
TargetsFile = Annotated[Path, typer.Option("--targets", help="The targets file.")]
MARKS = {"good": "ok  ", "warning": "note", "bad": "MEND"}


@app.command("check")
def check_devices(
    names: Names = None,
    file: DevicesFile = Path("config/devices.yaml"),
    targets: TargetsFile = Path("config/targets.yaml"),
) -> None:
    """Tell for each device what works and what to mend; status 1 if something must be mended."""
    from depthdial.config.devices import load_devices
    from depthdial.config.targets import load_targets
    from depthdial.devices.check import check_device

    known = load_targets(targets)
    bad = False
    for device in load_devices(file, tuple(names) if names else None, tuple(known)).values():
        typer.echo(f"{device.name} ({device.label}), target {device.target}")
        for finding in check_device(device, known[device.target]):
            typer.echo(f"  {MARKS[finding.level]}  {finding.topic:13}{finding.text}")
            bad = bad or finding.level == "bad"
    if bad:
        raise typer.Exit(1)


@app.command()
def clean(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Devices.")],
    file: DevicesFile = Path("config/devices.yaml"),
) -> None:
    """Remove from devices what depthdial has put there."""
    from depthdial.config.devices import load_devices
    from depthdial.devices.provision import remove
    from depthdial.devices.session import Session

    for device in load_devices(file, tuple(names)).values():
        with Session(device) as session:
            session.lock("cleaning")
            removed = remove(session)
        typer.echo(f"{device.name}: removed {', '.join(removed) or 'nothing; there was nothing'}")
