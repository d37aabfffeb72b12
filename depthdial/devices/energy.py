"""The energy of an inference from the power during its window: judged, with the reasons where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from depthdial.config.devices import Device, ModelledMeter
from depthdial.devices.meters import Power, RealMeter
from depthdial.devices.records import Energy, EnergySource
from depthdial.devices.session import Finished

CLOCK_S = 0.01
"""Resolution of /proc/uptime, by which samples and windows are aligned."""
CLOCK_SHARE = 0.02
"""Largest share of a window's timed part that the two ends of the clock may make uncertain."""
GAP = 10
"""A meter that is silent for this many of its intervals has stopped."""
STILL_SHARE = 0.2
"""A counter that does not move in more than this share of a window has stopped."""
OVERHEAD_SHARE = 0.1
"""Largest share of the timed part that the benchmark tool may take for itself, between inferences and after them: its
power counts as that of inferences."""


@dataclass(frozen=True)
class Idle:
    """Mean power of the idle device in watts, and why it cannot be relied on; without it there is a reason."""

    mean_w: float | None
    doubts: tuple[str, ...]


def judge(
    device: Device,
    source: EnergySource,
    power: Power,
    done: Finished,
    latencies_ms: Sequence[float],
    timed_s: float,
    overhead_s: float,
    least_samples: int,
) -> Energy:
    """Energy of one inference in a window whose last ``timed_s`` seconds were timed; or why there is none.

    Measured: mean power times mean latency, which is what the window took divided by its inferences. Modelled: nominal
    power times median latency. ``overhead_s`` is what the tool took for itself from the first inference on.
    """
    meter = device.meter
    if isinstance(meter, ModelledMeter):
        return modelled(latencies_ms, meter.nominal_w)
    part = power.part(done.ended_s - timed_s, done.ended_s)
    reasons = _doubts(part, source, done.ended_s, timed_s, meter, least_samples)
    if overhead_s > OVERHEAD_SHARE * timed_s:
        reasons.append(
            f"the benchmark tool took {overhead_s:.2f} s for itself beside {timed_s:.2f} s of inferences: the network "
            f"is too small for its energy to be told from the tool's"
        )
    mean_w = part.mean_w
    return Energy(
        source=source,
        valid=not reasons,
        reasons=tuple(reasons),
        energy_mj=mean_w * float(np.mean(latencies_ms)) if mean_w is not None and not reasons else None,
        mean_w=mean_w,
        sampling_hz=len(part.times_s) / timed_s if timed_s > 0 else None,
        times_s=tuple(np.round(power.times_s, 4).tolist()),
        watts=tuple(value if np.isfinite(value) else None for value in power.watts.tolist()),
    )


def modelled(latencies_ms: Sequence[float], nominal_w: float) -> Energy:
    """Energy of one inference without a meter."""
    energy_mj = nominal_w * float(np.median(latencies_ms))
    return Energy(source="modelled", valid=True, energy_mj=energy_mj, mean_w=nominal_w)


def judge_idle(device: Device, source: EnergySource, power: Power, done: Finished, least_samples: int) -> Idle:
    """Power of the idle device during a run that did nothing, doubted as that of a window is."""
    meter = device.meter
    if isinstance(meter, ModelledMeter):
        return Idle(None, ("there is no meter",))
    part = power.part(done.began_s, done.ended_s)
    doubts = _doubts(part, source, done.ended_s, done.ended_s - done.began_s, meter, least_samples)
    return Idle(part.mean_w, tuple(doubts))


def settle_idle(energy: Energy, latencies_ms: Sequence[float], before: Idle, after: Idle, subtract: bool) -> Energy:
    """A window's measured energy with what is known of idle power, which is subtracted if that is asked for."""
    doubts = tuple(
        f"idle power {when}: {why}" for when, idle in (("before", before), ("after", after)) for why in idle.doubts
    )
    changes = {"idle_before_w": before.mean_w, "idle_after_w": after.mean_w, "idle_doubts": doubts}
    if not subtract or energy.energy_mj is None or energy.mean_w is None:
        return energy.model_copy(update=changes)
    idle_w = ((before.mean_w or 0) + (after.mean_w or 0)) / 2
    if not doubts and energy.mean_w <= idle_w:
        doubts = (f"the window drew {energy.mean_w:.4g} W, no more than the {idle_w:.4g} W of the idle device",)
    if doubts:
        return energy.model_copy(update={**changes, "valid": False, "reasons": doubts, "energy_mj": None})
    above_mj = (energy.mean_w - idle_w) * float(np.mean(latencies_ms))
    return energy.model_copy(update={**changes, "energy_mj": above_mj, "idle_subtracted": True})


def _doubts(
    part: Power, source: EnergySource, ended_s: float, timed_s: float, meter: RealMeter, least_samples: int
) -> list[str]:
    """Why power samples do not give an energy."""
    if not len(part.times_s):
        return ["the meter gave no sample in the window"]
    doubts = []
    if len(part.times_s) < least_samples:
        doubts.append(
            f"{len(part.times_s)} power samples in {timed_s:.2f} s, at least {least_samples} are needed; lengthen "
            f"window_ms or read the meter more often"
        )
    if CLOCK_SHARE * timed_s < 2 * CLOCK_S:
        doubts.append(f"the timed part lasts {timed_s:.2f} s, too short for a clock of 10 ms; lengthen window_ms")
    silent = max(float(part.seconds.max()), ended_s - float(part.times_s[-1]))
    if silent > GAP * meter.interval_ms / 1000:
        doubts.append(f"the meter stopped or paused: it was silent for {silent:.2f} s")
    bad = ~np.isfinite(part.watts) & (part.seconds > 0)
    if bad.any():
        doubts.append(f"{int(bad.sum())} readings are no numbers")
    values = part.watts[np.isfinite(part.watts)]
    if ((values < 0) | (values > meter.highest_w)).any():
        doubts.append(f"a reading of {values[np.argmax(np.abs(values))]:.4g} W is outside 0 to {meter.highest_w:g} W")
    if source == "rapl" and (part.watts == 0).mean() > STILL_SHARE:
        doubts.append("the energy counter stood still")
    elif part.mean_w is None or part.mean_w <= 0:
        doubts.append(f"a mean of {part.mean_w or 0:.4g} W is that of no running device")
    return doubts
