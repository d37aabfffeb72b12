"""Files of trained networks without training: accuracies made up, formats the real ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors.numpy import save_file

from depthdial.artefacts import pack_metadata
from depthdial.compare.runs import Trained
from depthdial.evaluate.results import Evaluation
from depthdial.evaluate.tables import mask_table, write_masks
from depthdial.evaluate.tasks import test_table as tested_masks
from depthdial.networks.description import WEIGHTS, Description
from depthdial.networks.families.he_shapes import Architecture
from depthdial.networks.masks import Mask, all_masks

N_IMAGES = 200


def packed(accuracies: Sequence[float], generator: np.random.Generator, n: int = N_IMAGES) -> np.ndarray:
    """Packed correctness of networks with exactly these accuracies."""
    rows = [generator.permutation(np.arange(n) < round(accuracy * n)) for accuracy in accuracies]
    return np.packbits(np.array(rows), axis=1)


def plant(
    folder: Path, name: str, role: str, seed: int, depth: int, accuracies: dict[str, float], **about: Any
) -> Trained:
    """A trained network whose masks have the given accuracies (0.5 the others) on validation and, less 0.01, on test.

    ``about`` changes what its weights say; ``seconds`` is the time of each of its four epochs.
    """
    place = folder / name / f"seed{seed}"
    place.mkdir(parents=True)
    generator = np.random.default_rng(seed)
    arch = Architecture(depth, 4, 1, 8, 10).describe()
    full = Mask.full(arch.n_units)
    seconds = about.pop("seconds", 10.0)
    said = {
        "dataset": "made-up",
        "network": name,
        "role": role,
        "seed": seed,
        "commit": "0123456789ab",
        "device": "cpu",
    }
    said |= {"recipe": {"name": "brief", "epochs": 4}, "validation_accuracy": accuracies[full.bits]}
    said |= {"versions": {"torch": "0"}} | about
    values = {"network": arch.to_dict(), "survival": [0.5] * arch.n_units, "about": said}
    save_file({"nothing": np.zeros(1, np.float32)}, place / "weights.safetensors", pack_metadata(WEIGHTS, values))
    history = {
        "epoch": range(1, 5),
        "processor_seconds": seconds,
        "mmacs": 2.5,
        "open_share": 0.75 if role == "dial" else 1.0,
    }
    pd.DataFrame(history).to_csv(place / "history.csv", index=False)
    masks = sorted(all_masks(arch.n_units)) if role != "static" else [full]
    values_of = [accuracies.get(mask.bits, 0.5) for mask in masks]
    table = mask_table(arch, Evaluation(tuple(masks), N_IMAGES, packed(values_of, generator)))
    write_masks(place / "masks.parquet", table, {"scaling": "survival", "recalibrated": True})
    if role == "static":
        tested = _tested([full], {full: accuracies[full.bits]}, generator, ["c00"]).assign(network=name)
        tested.to_parquet(place / "test.parquet")
        return Trained(place)
    known = dict(zip(masks, values_of, strict=True))
    within = {"full": full, "50 %": best(known, arch, 0.5 * arch.full_macs)}
    if depth > 8:
        within["small"] = best(known, arch, Architecture(8, 4, 1, 8, 10).describe().full_macs)
    within["as trained"] = full
    budgets = _tested(list(within.values()), known, generator, list(within)).rename(columns={"name": "budget"})
    macs = {"50 %": arch.full_macs // 2, "small": Architecture(8, 4, 1, 8, 10).describe().full_macs}
    budgets["budget_macs"] = [macs.get(name, arch.full_macs) for name in within]
    budgets["macs"] = [arch.macs(mask) for mask in within.values()]
    budgets.to_parquet(place / "budgets.parquet")
    sampled = table.drop(columns="correct").assign(scaling="survival")
    worse = sampled.assign(val_accuracy=sampled["val_accuracy"] - 0.1)
    ablation = pd.concat([sampled.assign(recalibrated=True), worse.assign(recalibrated=False)])
    ablation.to_parquet(place / "ablation.parquet")
    return Trained(place)


def best(known: dict[Mask, float], arch: Description, macs: float) -> Mask:
    """The most accurate mask of at most so many MACs."""
    return max((mask for mask in known if arch.macs(mask) <= macs), key=lambda mask: (known[mask], -arch.macs(mask)))


def _tested(masks: list[Mask], known: dict[Mask, float], generator: np.random.Generator, names: list[str]) -> Any:
    rows = packed([known[mask] - 0.01 for mask in masks], generator)
    parts = [
        tested_masks([name], [mask], Evaluation((mask,), N_IMAGES, rows[[index]]))
        for index, (name, mask) in enumerate(zip(names, masks, strict=True))
    ]
    return pd.concat(parts, ignore_index=True)
