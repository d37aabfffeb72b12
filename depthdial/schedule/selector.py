"""The selector in Python: runtime/depthdial_selector.h, number for number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from depthdial.schedule.grid import FLOORS, LARGEST, UNKNOWN, encode
from depthdial.schedule.header import inverse
from depthdial.schedule.table import ScheduleTable

SLOWEST = 32767


@dataclass(frozen=True)
class Inputs:
    """The present conditions as integers; see grid.UNITS. ``planned`` is in the unit of the reserve."""

    value: Mapping[str, int]
    planned: int = 0
    age_ms: int = 0

    @classmethod
    def measured(
        cls,
        *,
        deadline_ms: float,
        energy_left_mj: float = 0.0,
        energy_planned_mj: float = 0.0,
        battery: float = 1.0,
        rate_hz: float = 0.0,
        slowdown: float = 1.0,
        temperature_c: float = 20.0,
        age_ms: int = 0,
    ) -> Inputs:
        """From physical values; whatever is NaN, negative or huge becomes unknown."""
        values = {
            "reserve": _count(energy_left_mj),
            "battery": encode("battery", battery),
            "temperature": encode("temperature", temperature_c),
            "slowdown": encode("slowdown", slowdown),
            "rate": encode("rate", rate_hz),
            "deadline": encode("deadline", deadline_ms),
        }
        return cls(values, _count(energy_planned_mj), age_ms)


def _count(energy_mj: float) -> int:
    """Energy in whole microjoules."""
    return int(energy_mj * 1000) if 0 <= energy_mj * 1000 <= LARGEST else UNKNOWN


@dataclass
class Selector:
    """One stream of inferences: decides the configuration of each, learns from how long it took."""

    table: ScheduleTable
    slowdown: int = 1024 << 8
    deviation: int = 0
    dwell: int = 0
    current: int = 0
    _axes: list[tuple[str, tuple[int, ...]]] = field(init=False, repr=False)
    _median_ns: list[int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.dwell = self.table.selector.min_dwell
        self._axes = [(axis.name, axis.levels) for axis in self.table.axes]
        self._median_ns = [round(configuration.median_ms * 1e6) for configuration in self.table.configurations]

    @property
    def name(self) -> str:
        """The configuration chosen last."""
        return self.table.configurations[self.current].name

    def reckoned_slowdown(self) -> int:
        """The slowdown to reckon with, in 1024ths."""
        estimate = (self.slowdown + ((self.deviation * self.table.selector.margin) >> 4)) >> 8
        return min(max(estimate, 1024), SLOWEST)

    def look_up(self, inputs: Inputs, keep: int = 1024) -> int:
        """The configuration of the cell in which the inputs, shrunk to ``keep``/1024, lie; 0 outside the grid."""
        slowdown = self.reckoned_slowdown()
        scaled = not any(name == "slowdown" for name, _ in self._axes)
        cell = 0
        for name, levels in self._axes:
            value, unit, scale = inputs.value.get(name, UNKNOWN), 1, 1
            if name == "slowdown" and self.table.selector.gain:
                value = slowdown
            if value > LARGEST:
                return 0
            floor = name in FLOORS
            value = (value * (keep if floor else 2048 - keep)) >> 10
            if name == "reserve":
                if inputs.planned > LARGEST:
                    return 0
                scale, unit = inputs.planned, 1000
            elif name == "deadline" and scaled:
                scale, unit = slowdown, 1024
            value = value * unit + floor
            index = sum(level * scale < value for level in levels) - floor
            if not 0 <= index < len(levels):
                return 0
            cell = cell * len(levels) + index
        return self.table.cells[cell]

    def decide(self, inputs: Inputs) -> int:
        """The configuration for the next inference, as an index into the table's configurations."""
        settings = self.table.selector
        chosen = 0
        if settings.max_age_ms == 0 or inputs.age_ms <= settings.max_age_ms:
            chosen = self.look_up(inputs)
        waits = self.dwell < settings.min_dwell
        if chosen > self.current and (
            waits or (settings.band and self.look_up(inputs, 1024 - settings.band) <= self.current)
        ):
            chosen = self.current
        self.dwell = 0 if chosen != self.current else min(self.dwell + 1, 2**32 - 1)
        self.current = chosen
        return chosen

    def observe(self, configuration: int, latency_ns: int) -> None:
        """Learn from the latency of an inference with a configuration."""
        if not 0 <= configuration < len(self._median_ns):
            return
        gain = self.table.selector.gain
        median = self._median_ns[configuration]
        ratio = SLOWEST
        if latency_ns < median << 4:
            ratio = (latency_ns * inverse(median)) >> 32
        ratio <<= 8
        # Outliers count no more than a quarter off: the estimate follows the median, as the table's latencies do.
        ratio = max(self.slowdown - (self.slowdown >> 2), min(self.slowdown + (self.slowdown >> 2), ratio))
        distance = abs(ratio - self.slowdown)
        self.slowdown = (self.slowdown * (256 - gain) + ratio * gain) >> 8
        self.deviation = (self.deviation * (256 - gain) + distance * gain) >> 8
        self.slowdown = max(self.slowdown, SLOWEST)
