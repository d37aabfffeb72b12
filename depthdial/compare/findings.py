"""What a device's tables say of a dial: each choice is made on validation, then judged on the same test images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from depthdial.networks.configurations import FULL

Row = dict[Any, Any]
Verdict = Literal["more accurate", "less accurate", "not told apart"]
MORE: Verdict = "more accurate"
LESS: Verdict = "less accurate"
ALIKE: Verdict = "not told apart"


@dataclass(frozen=True)
class Finding:
    """A configuration that validation chose, against another network, on ``n_test`` test images that both saw.

    ``configuration`` is a row of the table that it was found in, ``rival`` the name of the other network or
    configuration; ``difference`` is the accuracy of the first minus that of the second, with its paired 95 % interval.
    """

    configuration: Row
    rival: str
    difference: float
    low: float
    high: float
    n_test: int

    @property
    def verdict(self) -> Verdict:
        """What the interval says; it decides nothing while it reaches both sides."""
        return verdict_of(self.low, self.high)


def verdict_of(low: float, high: float) -> Verdict:
    """What an interval of a difference in accuracy says."""
    return MORE if low > 0 else LESS if high < 0 else ALIKE


def as_accurate(configurations: pd.DataFrame, dial: str) -> Finding | None:
    """The fastest configuration of a dial that is at least as accurate as its full network on validation.

    ``configurations`` is ``configurations.csv`` of a device. None if no faster one is.
    """
    ours = configurations[configurations["network"] == dial]
    full = ours[ours["configuration"] == FULL].iloc[0]
    rivals = ours[(ours["val_accuracy"] >= full["val_accuracy"]) & (ours["latency_ms"] < full["latency_ms"])]
    if rivals.empty:
        return None
    return _finding(rivals.sort_values("latency_ms").iloc[0].to_dict(), FULL, "to_full")


def against_static(equal_time: pd.DataFrame) -> dict[str, Finding | None]:
    """By static network: the configuration no slower than it that is most accurate on validation; None if none is.

    ``equal_time`` is ``equal_time.csv`` of a device, whose rows were chosen that way.
    """
    statics = equal_time[~equal_time["budget"].str.endswith("%")]
    return {
        row["budget"]: None if pd.isna(row.get("configuration")) else _finding(row, row["budget"], "to_static")
        for row in statics.to_dict("records")
    }


def static_as_good(configurations: pd.DataFrame, equal_time: pd.DataFrame) -> Finding | None:
    """The dial against the static network of fewest MACs that is as good in the same time; None if the dial beats all.

    As good is a network that the configuration chosen for its time is not more accurate than, by the paired interval.
    """
    macs = configurations.set_index("network")["macs"]
    found = [one for one in against_static(equal_time).values() if one is not None and one.verdict != MORE]
    return min(found, key=lambda one: macs[one.rival], default=None)


def _finding(row: Row, rival: str, name: str) -> Finding:
    return Finding(row, rival, row[name], row[f"{name}_low"], row[f"{name}_high"], int(row["n_test"]))
