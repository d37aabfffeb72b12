"""``depthdial choose``: which configuration the selector takes under given conditions, and why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from depthdial.deploy.manifest import Manifest
from depthdial.schedule.explain import axis_value, cell_at, explain, reasons
from depthdial.schedule.table import ScheduleTable

app = typer.Typer()


@app.command()
def choose(
    bundle: Annotated[
        Path, typer.Argument(metavar="BUNDLE", help="Folder of a packed bundle, which holds its schedule.")
    ],
    deadline: Annotated[float | None, typer.Option(min=0, help="Milliseconds until the answer must be there.")] = None,
    reserve: Annotated[
        float | None, typer.Option(min=0, help="Charge left over the charge planned; 1: on plan.")
    ] = None,
    battery: Annotated[float | None, typer.Option(min=0, max=1, help="Charge left, as a share.")] = None,
    rate: Annotated[float | None, typer.Option(min=0, help="Arrivals per second.")] = None,
    slowdown: Annotated[float | None, typer.Option(min=0, help="Latency now over latency measured.")] = None,
    temperature: Annotated[float | None, typer.Option(help="Degrees Celsius.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Say which configuration the selector takes and why; give a value for each axis that the schedule has."""
    given = {
        "reserve": reserve,
        "battery": battery,
        "temperature": temperature,
        "slowdown": slowdown,
        "rate": rate,
        "deadline": deadline,
    }
    manifest, table = read_packed(bundle)
    found = chosen(manifest, table, {axis: value for axis, value in given.items() if value is not None})
    typer.echo(json.dumps(found, indent=2) if as_json else "\n".join(said(found)))


def read_packed(bundle: Path) -> tuple[Manifest, ScheduleTable]:
    """The manifest and the schedule of a packed bundle. Raises ArtefactError or ScheduleError."""
    from depthdial.deploy.manifest import read_manifest
    from depthdial.errors import ScheduleError
    from depthdial.schedule.table import read_schedule

    manifest = read_manifest(bundle)
    if manifest.schedule is None:
        raise ScheduleError(f"{bundle}: holds no schedule; name a packed bundle (results/.../packed/DEVICE)")
    return manifest, read_schedule(bundle / manifest.schedule)


def chosen(manifest: Manifest, table: ScheduleTable, conditions: dict[str, float]) -> dict[str, Any]:
    """What the selector takes under ``conditions``, and why, as plain values; units stand in the names."""
    found = explain(table, cell_at(table, conditions))
    one = next(c for c in table.configurations if c.name == found.configuration)
    mask = manifest.named(one.name).mask
    return {
        "configuration": one.name,
        "mask": mask,
        "accuracy": one.accuracy,
        "median_ms": one.median_ms,
        f"{table.quantile}_ms": one.latency_ms,
        "energy_mj": one.energy_mj,
        "energy_source": table.energy_source,
        "noisy": table.noisy,
        "conditions": conditions,
        "cell": found.cell,
        "level": dict(found.level),
        "served": found.served,
        "in_time": list(found.in_time),
        "better": [vars(better) for better in found.better],
        "reasons": reasons(table, found),
    }


def said(found: dict[str, Any]) -> list[str]:
    """The same in lines."""
    quantile = next(key for key in ("p99_ms", "p90_ms", "median_ms") if key in found)
    late = "" if quantile == "median_ms" else f" ({quantile[:3]} {found[quantile]:.3g} ms)"
    level = ", ".join(f"{axis} {axis_value(axis, value)}" for axis, value in found["level"].items())
    noisy = "; measured on a noisy device" if found["noisy"] else ""
    return [
        f"{found['configuration']}  keeps {found['mask'].count('1')} of {len(found['mask'])} blocks ({found['mask']})",
        f"     validation accuracy {100 * found['accuracy']:.1f} %, {found['median_ms']:.3g} ms median{late}, "
        f"{found['energy_mj']:.3g} mJ ({found['energy_source']}){noisy}",
        *([f"cell {found['cell']}: {level}"] if found["level"] else []),
        *found["reasons"],
    ]
