"""The first paragraph of a page of results: what a dial is worth, in sentences with their intervals."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from depthdial.compare.claims import DROP, at_half, points, with_latency_share
from depthdial.compare.files import read_comparison
from depthdial.compare.findings import against_static
from depthdial.compare.tables import escaped
from depthdial.report.findings import against, first_sentence

Row = dict[Any, Any]


def worth(dials: Sequence[Mapping[str, str]], folder: Path) -> str:
    """A paragraph for each data set, about the dial that has the largest hypervolume on its validation images.

    ``dials`` have title, network, device and the paths of the tables recipes, equal_macs, equal_time, configurations;
    links hold in ``folder``.
    """
    chosen = {dial["recipes"]: dial for dial in dials if dial["network"] == _best(dial["recipes"])}
    return "\n\n".join(_paragraph(dial, folder) for dial in chosen.values())


def _best(recipes: str) -> str:
    return str(read_comparison(recipes).sort_values("hypervolume")["network"].iloc[-1])


def _paragraph(dial: Mapping[str, str], folder: Path) -> str:
    """Against its own full network, against the original of constant depth, against what one would deploy instead."""
    configurations = read_comparison(dial["configurations"])
    ours = configurations[configurations["network"] == dial["network"]]
    said = [first_sentence(configurations, dial["network"], [])]
    if ours["to_constant"].notna().any():
        here, _ = at_half(with_latency_share(ours), "latency_share", "the time", DROP)
        said.append(f"To halve the time of the original: {here}.")
    said += [against(name, found) for name, found in against_static(read_comparison(dial["equal_time"])).items()]
    said += map(_at_macs, _statics(read_comparison(dial["equal_macs"])))
    links = [f"[{name}.csv]({os.path.relpath(dial[name], folder)})" for name in ("configurations", "equal_macs")]
    said.append(f"Times, and what is chosen by them, are of one training seed. Numbers: {', '.join(links)}.")
    return f"**{escaped(dial['title'])}**, on {escaped(dial['device'])}: {' '.join(said)}"


def _statics(equal_macs: pd.DataFrame) -> list[Row]:
    return equal_macs[equal_macs["to_static"].notna()].to_dict("records")


def _at_macs(row: Row) -> str:
    tuned = not pd.isna(row["finetuned_to_static"])
    gap = points(row, "finetuned_to_static" if tuned else "to_static")
    return f"At no more MACs than {row['budget']}: {gap} points against it{', fine-tuned' if tuned else ''}."
