"""The files of trained networks, as comparisons read them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray

from depthdial.artefacts import open_tensors, read_csv, read_table, reading
from depthdial.networks.configurations import ConfigurationSet, read_configurations
from depthdial.networks.description import WEIGHTS, Description

FINETUNED = "finetuned.json"
TRAINED = "as trained"
"""The full network with the BatchNorm statistics of its training, among the budgets that are tested."""


@dataclass(frozen=True)
class Trained:
    """One trained network: the folder that holds its weights, tables and history."""

    folder: Path
    fine_tuned: bool = False
    """Whether its configurations were trained further before they were deployed."""
    sampled: tuple[Path, ...] = ()
    """The tables of random masks at chosen numbers of skipped units, if it has any."""

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """What its weights say of themselves: network, survival, about (recipe, seed, commit, ...)."""
        path = self.folder / "weights.safetensors"
        with open_tensors(path, WEIGHTS) as archive:
            return archive.about

    @property
    def network(self) -> str:
        """Name of the network."""
        return str(self.metadata["about"]["network"])

    @property
    def role(self) -> str:
        """``dial``, ``control`` or ``static``."""
        return str(self.metadata["about"]["role"])

    @property
    def seed(self) -> int:
        """Training seed."""
        return int(self.metadata["about"]["seed"])

    @property
    def arch(self) -> Description:
        """What it is."""
        return Description.from_dict(self.metadata["network"])

    @cached_property
    def history(self) -> pd.DataFrame:
        """A row per epoch."""
        return read_csv(self.folder / "history.csv")

    @cached_property
    def masks(self) -> pd.DataFrame:
        """The masks evaluated on the validation split, without the bits."""
        return read_table(self.folder / "masks.parquet", ["mask", "kept", "macs", "n_val", "val_accuracy"])

    @cached_property
    def samples(self) -> pd.DataFrame | None:
        """Random masks at chosen numbers of skipped units, as ``masks``, with the bits."""
        columns = ["mask", "kept", "macs", "n_val", "val_accuracy", "correct"]
        return pd.concat([read_table(path, columns) for path in self.sampled]) if self.sampled else None

    @cached_property
    def evaluated(self) -> dict[str, Any]:
        """How its masks were evaluated: scaling, recalibrated, precision, ..."""
        path = self.folder / "masks.parquet"
        with reading(path, "a table of masks"):
            found: dict[str, Any] = json.loads(pq.read_schema(path).metadata[b"about"])
            return found

    @property
    def exhaustive(self) -> bool:
        """Whether these are all masks of the network."""
        return len(self.masks) == 2**self.arch.n_units

    @cached_property
    def tested(self) -> pd.DataFrame:
        """Test accuracies with columns budget, budget_macs, macs, mask, n_test, test_accuracy, low, high, correct.

        Of a searched network at each budget; of a static one its full network.
        """
        if self.role != "static":
            return read_table(self.folder / "budgets.parquet")
        table = read_table(self.folder / "test.parquet").rename(columns={"name": "budget"})
        return table.assign(budget=TRAINED, budget_macs=self.arch.full_macs, macs=self.arch.full_macs)

    @cached_property
    def configurations(self) -> ConfigurationSet:
        """Its configurations as they were chosen."""
        return read_configurations(self.folder / "configurations.json")

    @cached_property
    def finetuned(self) -> ConfigurationSet | None:
        """Its configurations with their validation accuracies after fine-tuning, if there was any."""
        return read_configurations(self.folder / FINETUNED) if self.fine_tuned else None

    @property
    def deployed(self) -> ConfigurationSet:
        """Its configurations with the validation accuracies of the weights that are deployed."""
        return self.finetuned or self.configurations

    def finetuned_at(self, macs: float) -> dict[Any, Any] | None:
        """The test of the fine-tuned configuration of at most ``macs`` that is best on validation; None if none is."""
        assert self.finetuned is not None
        best = self.finetuned.best(lambda one: one.macs <= macs)
        return self.tested_configuration(best.name) if best else None

    def tested_configuration(self, name: str) -> dict[Any, Any]:
        """The row of one configuration in ``test.parquet``."""
        found: dict[Any, Any] = self.read("test.parquet").query("name == @name").to_dict("records")[0]
        return found

    @property
    def as_trained(self) -> dict[Any, Any]:
        """What the full network, as it came out of training, is tested to be: a row of ``tested``."""
        found = self.tested_at(TRAINED)
        assert found is not None
        return found

    def tested_at(self, budget: str) -> dict[Any, Any] | None:
        """The row of ``tested`` at a budget; None if no mask is that cheap."""
        found: list[dict[Any, Any]] = self.tested[self.tested["budget"] == budget].to_dict("records")
        return found[0] if found else None

    def off_front(self, budget: str) -> bool:
        """Whether a mask of fewer MACs is at least as accurate on validation as the one tested at a budget."""
        macs, accuracy = self.masks["macs"], self.masks["val_accuracy"]
        mask = self.tested.loc[self.tested["budget"] == budget, "mask"].iloc[0]
        own = self.masks["mask"] == mask
        cheaper = macs < macs[own].iloc[0]
        return bool((accuracy[cheaper] >= accuracy[own].iloc[0]).any())

    def read(self, name: str) -> pd.DataFrame:
        """One of its other tables."""
        return read_table(self.folder / name)


def trained_networks(paths: Iterable[str | Path]) -> list[Trained]:
    """The trained networks whose weights are among ``paths``, in their order; fine-tuned or sampled if those say so."""
    given = [Path(path) for path in paths]
    return [
        Trained(
            path.parent,
            path.with_name(FINETUNED) in given,
            tuple(other for other in given if other.parent == path.parent / "samples"),
        )
        for path in given
        if path.name == "weights.safetensors"
    ]


def by_network(runs: Iterable[Trained]) -> list[list[Trained]]:
    """The runs of each network together, in the order in which networks come first."""
    found: dict[str, list[Trained]] = {}
    for run in runs:
        found.setdefault(run.network, []).append(run)
    return list(found.values())


def bits(packed: bytes, n: int) -> NDArray[np.bool_]:
    """Correctness of ``n`` images from packed bits."""
    return np.unpackbits(np.frombuffer(packed, np.uint8), count=n).astype(bool)
