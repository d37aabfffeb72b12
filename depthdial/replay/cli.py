"""``depthdial serve-trace``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()
ALIKE = 3.0
"""Times that latencies may differ from the schedule's before it is said that they are of another device."""
CALLS = 200
"""Timed calls of each configuration before and after serving, from which the replay predicts it."""


@app.command("serve-trace")
def serve_trace(
    bundle: Annotated[Path, typer.Argument(metavar="BUNDLE", help="Folder with a manifest.json.")],
    trace: Annotated[Path, typer.Option(help="A trace: .yaml to generate, .csv as recorded.")],
    schedule: Annotated[
        Path | None, typer.Option(help="The network's schedule.json on this machine; default: the bundle's own.")
    ] = None,
    record: Annotated[Path, typer.Option(help="Parquet file to write, a row per step.")] = Path("served.parquet"),
    images: Annotated[
        Path | None, typer.Option(help="Folder or archive of image files; default: the bundle's own.")
    ] = None,
    per_step: Annotated[int, typer.Option(min=1, help="Inferences that are run for each decision.")] = 1,
    steps: Annotated[int, typer.Option(min=0, help="Decisions to make; 0: the whole trace.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of a generated trace.")] = 100,
) -> None:
    """Serve a trace for real: the selector chooses, IREE runs, deadlines and energy are accounted.

    Beside the sums stands what the replay of the same trace says, with latencies as this process measures them.
    """
    import numpy as np

    from depthdial.deploy.runtime import Bundle
    from depthdial.errors import ScheduleError
    from depthdial.replay.inputs import network_inputs
    from depthdial.replay.serve import measure_in_process, predict, serve
    from depthdial.replay.tables import write_table
    from depthdial.schedule.table import read_schedule
    from depthdial.traces.trace import read_traces

    opened = Bundle(bundle)
    if schedule is None and opened.manifest.schedule is None:
        raise ScheduleError(f"{bundle}: holds no schedule; name one with --schedule, or a packed bundle")
    where = schedule or bundle / str(opened.manifest.schedule)
    table = read_schedule(where)
    if opened.manifest.network != table.network:
        raise ScheduleError(f"{where}: for {table.network}, the bundle holds {opened.manifest.network}")
    for configuration in table.configurations:
        opened.manifest.named(configuration.name)
    if record.is_dir() or not os.access(record.absolute().parent, os.W_OK):
        raise ScheduleError(f"--record: {record} cannot be written; name a file in a folder that is there")
    inputs = network_inputs(opened, images)
    chosen = read_traces([str(trace)], (seed,), table.full_latency_ms)[0].first(steps)
    names = [configuration.name for configuration in table.configurations]

    def run(name: str, number: int) -> object:
        return opened.logits(inputs[number % len(inputs)], name)

    before = measure_in_process(run, names, CALLS)
    for one in table.configurations:
        here = float(np.median(before[one.name]))
        if not 1 / ALIKE < here / max(one.median_ms, 1e-9) < ALIKE:
            told = f"{one.name} takes {here:.3g} ms here, not {one.median_ms:.3g} as on {table.device}"
            typer.echo(f"{where}: {told}: the schedule suits another machine", err=True)
    served = serve(run, table, chosen, per_step=per_step)
    after = measure_in_process(run, names, CALLS)
    write_table(record, served.steps)
    said = predict(table, chosen, {name: np.concatenate([before[name], after[name]]) for name in names})
    typer.echo(f"{'':18}{'served':>12}{'replayed':>12}")
    for key, value in served.summary.items():
        beside = f"{said[key]:12.5g}" if key in said else ""
        typer.echo(f"{key:18}{value:12.5g}{beside}" if isinstance(value, float) else f"{key:18}{value:>12}")
    typer.echo(f"record: {record}")
