"""The policies that are compared: fixed configurations, a greedy rule, the schedule without and with feedback."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from depthdial.replay.names import GREEDY, SCHEDULE, SCHEDULE_WITH_FEEDBACK
from depthdial.replay.simulate import Moment
from depthdial.schedule.choices import Choice
from depthdial.schedule.selector import Inputs, Selector
from depthdial.schedule.table import ScheduleTable
from depthdial.traces.trace import Array


@dataclass
class Fixed:
    """Always the same configuration."""

    name: str
    choice: int

    def choose(self, moment: Moment) -> int:
        """The one configuration."""
        return self.choice

    def observe(self, choice: int, latencies_ms: Array) -> None:
        """Nothing is learnt."""


@dataclass
class Greedy:
    """The usual threshold rule: the most accurate configuration in time whose cost the battery level allows.

    With the charge falling from full to empty, the energy allowed falls from the costliest configuration's to
    the cheapest one's.
    """

    choices: Sequence[Choice]
    candidates: Sequence[int]
    quantile: str
    name: str = GREEDY

    def choose(self, moment: Moment) -> int:
        """The most accurate of those that fit; the fastest if none does."""
        energies = [self.choices[c].energy_mj for c in self.candidates]
        battery = moment.energy_left_j / moment.charge_j
        allowed = min(energies) + battery * (max(energies) - min(energies))
        fitting = [
            c
            for c in self.candidates
            if self.choices[c].latency(self.quantile) <= moment.deadline_ms and self.choices[c].energy_mj <= allowed
        ]
        if fitting:
            return max(fitting, key=lambda c: self.choices[c].accuracy)
        return min(self.candidates, key=lambda c: self.choices[c].latency(self.quantile))

    def observe(self, choice: int, latencies_ms: Array) -> None:
        """Nothing is learnt."""


class Scheduled:
    """The shipped table through the Python selector, without or with what feedback adds."""

    def __init__(self, table: ScheduleTable, names: Sequence[str], *, feedback: bool, energy: bool = True) -> None:
        """``names`` are those of the dial's configurations, in the order in which they are numbered here.

        ``energy`` false leaves out the energy that was really used, and keeps what else ``feedback`` brings.
        """
        self.name = SCHEDULE_WITH_FEEDBACK if feedback else SCHEDULE
        self._feedback, self._energy = feedback, feedback and energy
        if not feedback:
            plain = table.selector.model_copy(update={"gain": 0, "margin": 0, "band": 0, "min_dwell": 0})
            table = table.model_copy(update={"selector": plain})
        self._selector = Selector(table)
        self._choice = [list(names).index(configuration.name) for configuration in table.configurations]
        self._index = {choice: index for index, choice in enumerate(self._choice)}

    def choose(self, moment: Moment) -> int:
        """The table's configuration; without feedback, the charge is taken to be as planned."""
        planned = moment.planned_share * moment.charge_j * 1e3
        inputs = Inputs.measured(
            deadline_ms=moment.deadline_ms,
            energy_left_mj=moment.energy_left_j * 1e3 if self._energy else planned,
            energy_planned_mj=planned,
            battery=moment.energy_left_j / moment.charge_j,
            rate_hz=moment.rate_hz,
        )
        return self._choice[self._selector.decide(inputs)]

    def observe(self, choice: int, latencies_ms: Array) -> None:
        """Let the selector learn the slowdown."""
        for latency_ms in latencies_ms.tolist() if self._feedback else ():
            self._selector.observe(self._index[choice], round(latency_ms * 1e6))
