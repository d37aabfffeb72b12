"""A whole benchmark: hold a device, put everything there, measure, write records and table."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

from depthdial.config.benchmark import Benchmark
from depthdial.config.devices import AutoMeter, Device
from depthdial.devices.energy import modelled
from depthdial.devices.meters import least_window_ms, settle_meter
from depthdial.devices.protocol import Job, measure
from depthdial.devices.provision import KEPT, VerifiedBundle, check_machine, provide_bundle, provide_runtime, remove
from depthdial.devices.records import Window, write_records
from depthdial.devices.session import Session
from depthdial.devices.table import latency_table
from depthdial.errors import DeviceError
from depthdial.files import atomic_path

logger = logging.getLogger(__name__)


def benchmark_device(
    device: Device,
    bundles: Sequence[str | os.PathLike[str]],
    settings: Benchmark,
    cache: str | os.PathLike[str],
    records: str | os.PathLike[str],
    table: str | os.PathLike[str],
) -> None:
    """Measure every configuration of ``bundles`` on ``device``; the reference is ``c00`` of the first.

    Writes ``records`` (JSON Lines) and ``table`` (Parquet), or neither. Wheels of the runtime are kept in ``cache``.
    Raises DeviceError, MeasurementError or ArtefactError.
    """
    read = [VerifiedBundle.read(folder) for folder in bundles]
    if foreign := [b.folder for b in read if b.manifest.target.name != device.target]:
        raise DeviceError(f"device {device.name} runs target {device.target}, but {foreign[0]} is compiled for another")
    with Session(device) as session:
        session.lock(f"benchmark of {read[0].manifest.network}")
        settle_meter(session)
        least = least_window_ms(session.device.meter, settings.energy_samples)
        settings = settings.model_copy(update={"window_ms": max(settings.window_ms, least)})
        machine = check_machine(session, read[0].manifest.target.triple)
        tools = provide_runtime(session, machine, Path(cache))
        folders = [provide_bundle(session, bundle) for bundle in read]
        jobs = [
            Job(bundle, folder, configuration)
            for bundle, folder in zip(read, folders, strict=True)
            for configuration in bundle.manifest.configurations
        ]
        windows = measure(session, tools, jobs, settings)
        if isinstance(device.meter, AutoMeter):
            windows = model_if_doubted(windows, device.meter.nominal_w)
        remove(session, keep=max(KEPT, len(folders) + 1))
    frame = latency_table(windows, [bundle.manifest for bundle in read], settings)
    with atomic_path(table) as temporary:
        frame.to_parquet(temporary, index=False)
        write_records(records, windows)


def model_if_doubted(windows: Sequence[Window], nominal_w: float) -> list[Window]:
    """The windows as they are if every energy is valid; else all with modelled ones, so that no table mixes the two.

    What the meter said, and why it is doubted, stays beside them.
    """
    doubted = [window.energy.reasons for window in windows if not window.energy.valid]
    if not doubted:
        return list(windows)
    logger.warning("energy is modelled: it is not valid in %d windows, for %s", len(doubted), "; ".join(doubted[0]))
    changed = []
    for window in windows:
        model = modelled(window.latencies_ms, nominal_w)
        values = {**model.model_dump(exclude_unset=True), "idle_subtracted": False}
        changed.append(window.model_copy(update={"energy": window.energy.model_copy(update=values)}))
    return changed
