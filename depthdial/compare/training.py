"""What training cost: time, and the work that closed blocks save."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from depthdial.compare.runs import Trained, by_network
from depthdial.statistics.intervals import NOTHING, mean, ratio


def seconds(run: Trained) -> float:
    """Processor time of a training and of those that it began from; neither a busy machine nor a pause adds to it."""
    return float(run.history["processor_seconds"].sum() + earlier(run, "processor_seconds"))


def work(run: Trained) -> float:
    """Million multiply-accumulates that each training image has cost forward, over all epochs, as ``seconds``."""
    return float(run.history["mmacs"].sum() + earlier(run, "mmacs"))


def epochs(run: Trained) -> int:
    """Epochs of a training and of those that it began from."""
    return len(run.history) + int(earlier(run, "epochs"))


def earlier(run: Trained, cost: str) -> float:
    """What the training cost of the networks of the experiment whose weights a network began with."""
    return float(run.metadata["about"].get("earlier", {}).get(cost, 0))


def training_time(trained: Sequence[Trained]) -> pd.DataFrame:
    """A row per network; ``trained`` are all seeds of all.

    Columns: network, role, recipe, begins_with (weights that were trained before, if any), epochs, seeds, open_share
    (branches that ran in its own epochs, as a share of all), mmacs and seconds (of processor time), earlier_seconds
    (those of them that the network of the experiment took whose weights it began with), and of dials time_share: the
    time as a share of that of the control of the same shape (Welch on logarithms).
    """
    networks = by_network(trained)
    controls = {_kind(runs[0]): runs for runs in networks if runs[0].role == "control"}
    rows = []
    for runs in networks:
        first = runs[0]
        control = controls.get(_kind(first)) if first.role == "dial" else None
        share = ratio(map(seconds, runs), map(seconds, control)) if control else NOTHING
        rows.append(
            {
                "network": first.network,
                "role": first.role,
                "recipe": first.metadata["about"]["recipe"]["name"],
                "begins_with": first.metadata["about"].get("weights") or "",
                "epochs": epochs(first),
                "seeds": len(runs),
                "open_share": mean(run.history["open_share"].mean() for run in runs).value,
                "mmacs": mean(map(work, runs)).value,
                **mean(map(seconds, runs)).columns("seconds"),
                "earlier_seconds": mean(earlier(run, "processor_seconds") for run in runs).value,
                **share.columns("time_share"),
            }
        )
    return pd.DataFrame(rows)


def _kind(run: Trained) -> tuple[str, str]:
    return run.arch.family, run.arch.model


def trained_table(runs: Sequence[Trained]) -> pd.DataFrame:
    """A row per trained network: what it is, what it was trained by, where and from which commit."""
    rows = []
    for run in runs:
        about = run.metadata["about"]
        rows.append(
            {
                "dataset": about["dataset"],
                "network": run.network,
                "role": run.role,
                "seed": run.seed,
                "depth": run.arch.options.get("depth"),
                "width": run.arch.options.get("width"),
                "recipe": about["recipe"]["name"],
                "survival_lowest": min(run.metadata["survival"]),
                "validation_accuracy": about["validation_accuracy"],
                "commit": about["commit"],
                "torch": about["versions"]["torch"],
                "device": about["device"],
            }
        )
    return pd.DataFrame(rows)
