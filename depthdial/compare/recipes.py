"""Dials of the same shape that differ in how they were trained: the ablation of training recipes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from depthdial.compare.runs import Trained, by_network
from depthdial.compare.tested import over
from depthdial.compare.training import epochs, seconds, work
from depthdial.networks.configurations import ConfigurationSet
from depthdial.networks.masks import Mask
from depthdial.search.fronts import Measure
from depthdial.statistics.intervals import Interval, mean, paired, share


def recipes(runs: Sequence[Trained], settings: Mapping[str, Mapping[str, Any]], sampled: int) -> pd.DataFrame:
    """A row per dial (``runs`` are of all dials and seeds), by depth, then as listed; means over seeds with intervals
    (test accuracies of one seed: Wilson's).

    ``settings`` has, by name, everything that a network's training was told. Columns: depth, width, network, differs
    (the settings in which dials of this shape are not alike), epochs, seeds, mmacs and seconds (what training cost);
    test accuracies: full, and at_50 and so on for each share of MACs in per cent; on validation: hypervolume (of the
    front), all_masks (their mean, where all are evaluated), finetuning (what it brought to the configurations, in the
    mean), and of seed ``sampled``, over the masks that ``ablate_scaling`` samples: recalibrated, as_trained
    (BatchNorm), gain.
    """
    rows = []
    dials = by_network(runs)
    for dial in sorted(dials, key=lambda dial: _shape(dial[0])):
        first = dial[0]
        alike = [other[0].network for other in dials if _shape(other[0]) == _shape(first)]
        samples = [_sample(run) for run in dial if run.seed == sampled]
        rows.append(
            {
                "depth": first.arch.options.get("depth"),
                "width": first.arch.options.get("width"),
                "network": first.network,
                "differs": differing(first.network, {name: settings[name] for name in alike}),
                "epochs": epochs(first),
                "seeds": len(dial),
                "mmacs": mean(map(work, dial)).value,
                **mean(map(seconds, dial)).columns("seconds"),
                **over([run.tested_at("full") for run in dial]).columns("full"),
                **{
                    key: value
                    for part in _shares(first)
                    for key, value in _at(dial, part).columns(f"at_{part}").items()
                },
                **mean(map(front_hypervolume, dial)).columns("hypervolume"),
                **share(run.masks["val_accuracy"].mean() for run in dial if run.exhaustive).columns("all_masks"),
                **share(sample[True] for sample in samples).columns("recalibrated"),
                **share(sample[False] for sample in samples).columns("as_trained"),
                **mean(_finetuning_gains(dial)).columns("finetuning"),
                **paired([s[True] for s in samples], [s[False] for s in samples]).columns("gain"),
            }
        )
    return pd.DataFrame(rows)


def _at(dial: Sequence[Trained], part: str) -> Interval:
    return over([run.tested_at(f"{part} %") for run in dial])


def front_hypervolume(run: Trained) -> float:
    """Hypervolume of the validation front, as searches measure it."""
    found = zip(run.masks["mask"], run.masks["val_accuracy"], strict=True)
    return Measure(run.arch).hypervolume({Mask(bits): accuracy for bits, accuracy in found})


def differing(name: str, settings: Mapping[str, Mapping[str, Any]]) -> str:
    """What sets the training of ``name`` apart from that of the others, as text; empty where there is nothing."""
    flat = {network: _flatten(values) for network, values in settings.items()}
    keys = dict.fromkeys(key for values in flat.values() for key in values)
    varied = sorted(key for key in keys if len({values.get(key) for values in flat.values()}) > 1)
    said = (f"{key} {flat[name][key]}" if key in flat[name] else f"no {key.split('.')[0]}" for key in varied)
    return ", ".join(dict.fromkeys(said))


def _flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{key}.")
        elif value is not None:
            flat[prefix + key] = value if isinstance(value, str) else json.dumps(value)
    return flat


def _finetuning_gains(dial: Sequence[Trained]) -> list[float]:
    """What fine-tuning brought each seed, in the mean over its configurations."""
    return [
        _mean_accuracy(run.finetuned) - _mean_accuracy(run.configurations) for run in dial if run.finetuned is not None
    ]


def _mean_accuracy(chosen: ConfigurationSet) -> float:
    return float(np.mean([one.validation_accuracy for one in chosen.configurations]))


def _shape(run: Trained) -> tuple[str, str]:
    return run.arch.family, run.arch.model


def _shares(run: Trained) -> list[str]:
    """Budgets that are shares of the full network's MACs, in per cent."""
    return [budget.removesuffix(" %") for budget in run.tested["budget"] if budget.endswith(" %")]


def _sample(run: Trained) -> dict[bool, float]:
    """Mean accuracy of the sampled masks with recalibrated BatchNorm (True) and as trained (False)."""
    table = run.read("ablation.parquet")
    table = table[table["scaling"] == run.evaluated["scaling"]]
    return {bool(key): float(value) for key, value in table.groupby("recalibrated")["val_accuracy"].mean().items()}
