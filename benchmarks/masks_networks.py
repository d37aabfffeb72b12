"""The networks that `make bench-masks` works on: ResNets trained with Stochastic Depth on scikit-learn's digits.

They and the tables of all their masks are kept under results/bench-masks.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from depthdial.config.data import Dataset
from depthdial.config.networks import Survival
from depthdial.config.training import Recipe
from depthdial.data.images import load_info, load_split, save_images
from depthdial.data.prepare import prepare
from depthdial.evaluate.engine import Engine
from depthdial.evaluate.tables import mask_table, read_masks, write_masks
from depthdial.evaluate.tasks import calibration_tensor, load_tensors
from depthdial.networks.dial import Dial
from depthdial.networks.families.he_shapes import Architecture
from depthdial.networks.masks import all_masks
from depthdial.networks.weights import load_weights, save_weights
from depthdial.train.loop import train

ROOT = Path("results/bench-masks")
IMAGES = ROOT / "images.safetensors"
CALIBRATION = 256


@dataclass(frozen=True)
class Case:
    """A trained network of the benchmark."""

    depth: int
    width: int
    seed: int

    @property
    def folder(self) -> Path:
        """Where its files are kept between runs."""
        return ROOT / f"resnet{self.depth}-w{self.width}-seed{self.seed}"

    @property
    def weights(self) -> Path:
        """Its weights, trained with Stochastic Depth on the digits if they are not there."""
        path = self.folder / "weights.safetensors"
        if not path.exists():
            info = load_info(IMAGES)
            arch = Architecture(self.depth, self.width, *info.shape[:2], len(info.classes))
            splits = load_split(IMAGES, "train"), load_split(IMAGES, "validation")
            path.parent.mkdir(parents=True, exist_ok=True)
            state = self.folder / "state.safetensors"
            net, _ = train(arch.describe(), Survival(last=0.5), Recipe(), self.seed, info, splits, state, "")
            save_weights(path, net, {})
        return path

    def net(self) -> Dial:
        """The trained network."""
        return load_weights(self.weights)[0]

    def truth(self) -> pd.DataFrame:
        """The table of all its masks on all validation images."""
        path = self.folder / "masks.parquet"
        if not path.exists():
            engine = Engine(self.net(), "survival", calibration_tensor(IMAGES, CALIBRATION))
            evaluation = engine.evaluate(list(all_masks(engine.network.n_units)), *load_tensors(IMAGES, "validation"))
            write_masks(path, mask_table(engine.network, evaluation), {"seconds": 0, "block_evaluations": 0})
        return read_masks(path)[0]


def prepare_images() -> None:
    """The digits, split as in the default experiment."""
    if not IMAGES.exists():
        settings = Dataset(name="digits", source="digits", validation_fraction=0.2, test_fraction=0.2)
        classes, splits = prepare(settings)
        save_images(IMAGES, settings.name, classes, splits)
