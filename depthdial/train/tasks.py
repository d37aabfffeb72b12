"""Training from files: what the workflow's jobs do. A checkpoint stands beside the weights until they are whole."""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from depthdial.artefacts import open_tensors
from depthdial.config.finetune import Finetune
from depthdial.config.networks import Network
from depthdial.config.training import Recipe
from depthdial.data.images import load_info, load_split
from depthdial.files import atomic_path, sha256_file
from depthdial.networks.adopt import fit, weights_of
from depthdial.networks.build import dial
from depthdial.networks.configurations import ConfigurationSet
from depthdial.networks.description import WEIGHTS, read_description
from depthdial.networks.masks import Mask
from depthdial.networks.weights import load_weights, save_weights
from depthdial.runs.provenance import git_commit, versions
from depthdial.train.finetune import finetune
from depthdial.train.loop import HISTORY, train, training_device, validate

File = str | os.PathLike[str]
COSTS = ("processor_seconds", "mmacs")
"""Columns of a history that say what an epoch cost."""


def train_network(
    images: File,
    described: File,
    network: Network,
    recipe: Recipe,
    seed: int,
    *,
    begins: Sequence[File] = (),
    code: str,
    threads: int,
    weights: File,
    history: File,
) -> None:
    """Train a network; write its weights, with what made them, and a row per epoch.

    ``described`` is what was said of it; ``begins`` are the files that `layout.begins` names. ``code`` is the digest of
    the code that trains: a checkpoint of other code, settings or images, or from other weights, is not resumed.
    """
    info, digest = load_info(images), sha256_file(images)
    description = read_description(described)
    # `scaling` says how masks are evaluated; training does not depend on it.
    asked = [network.model_dump(mode="json", exclude={"scaling"}), recipe.model_dump(mode="json")]
    beginning = _beginning(network, begins)
    key = json.dumps([description.to_dict(), *asked, seed, digest, beginning, code])
    checkpoint = Path(weights).with_name("checkpoint.safetensors")
    splits = (load_split(images, "train"), load_split(images, "validation"))
    start = _first_weights(network, begins) if network.weights else None
    net, epochs = train(
        description, network.survival, recipe, seed, info, splits, checkpoint, key, start, network.anew
    )  # fmt: skip
    about = {
        "recipe": recipe.model_dump(mode="json"),
        "images_sha256": digest,
        "device": str(training_device(recipe)),
        "threads": threads,
        "validation_accuracy": epochs[-1]["validation_accuracy"],
    }
    _write_history(history, epochs)
    save_weights(weights, net, _provenance(info.name, network, seed) | beginning | about)
    checkpoint.unlink(missing_ok=True)


def adopt_network(
    images: File,
    described: File,
    network: Network,
    seed: int,
    *,
    begins: Sequence[File] = (),
    threads: int,
    weights: File,
    history: File,
) -> None:
    """Take a network with the weights that it was given before; write them as training does, and no epoch."""
    info = load_info(images)
    net = dial(read_description(described)).eval()
    fit(net, _first_weights(network, begins))
    about = {
        "recipe": {"name": network.recipe},
        "images_sha256": sha256_file(images),
        "device": "cpu",
        "threads": threads,
        "validation_accuracy": validate(net, info, load_split(images, "validation"), torch.device("cpu"), "none"),
    }
    _write_history(history, [])
    save_weights(weights, net, _provenance(info.name, network, seed) | _beginning(network, begins) | about)


def _write_history(path: File, epochs: Sequence[dict[str, Any]]) -> None:
    """A row per epoch, by the standard library: a GPU machine may have no pandas."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        rows = csv.DictWriter(file, list(HISTORY), lineterminator="\n")
        rows.writeheader()
        rows.writerows(epochs)


def _provenance(dataset: str, network: Network, seed: int) -> dict[str, Any]:
    return {
        "dataset": dataset,
        "network": network.name,
        "role": network.role,
        "seed": seed,
        "commit": git_commit(),
        "versions": versions("torch"),
    }


def _first_weights(network: Network, begins: Sequence[File]) -> dict[str, Tensor]:
    """The weights that a network begins with: of a file, or those that its library offers."""
    named = os.fspath(begins[0]) if begins else str(network.weights)
    return weights_of(network.family, str(network.model), named)


def _beginning(network: Network, begins: Sequence[File]) -> dict[str, Any]:
    """Which weights a network begins with, if any, their digest if they are a file, and what they cost here."""
    if network.weights is None:
        return {}
    about = {"weights": network.weights, "weights_sha256": sha256_file(begins[0]) if begins else None}
    return about | ({"earlier": _training_cost(*begins)} if len(begins) > 1 else {})


def _training_cost(weights: File, history: File) -> dict[str, float]:
    """Epochs of a training and the sums of what it cost, with those of the training that it began from."""
    with open_tensors(weights, WEIGHTS) as archive:
        cost = Counter(archive.about["about"].get("earlier", {}))
    with Path(history).open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            cost.update({"epochs": 1} | {column: float(row[column]) for column in COSTS})
    return dict(cost)


def finetune_network(
    weights: File,
    images: File,
    chosen: ConfigurationSet,
    settings: Finetune,
    recipe: Recipe,
    *,
    made_from: Sequence[File],
    code: str,
    output: File,
) -> None:
    """Train a network a little further on its configurations; write its weights.

    ``made_from`` are the files that the result depends on; a checkpoint of others, or of other ``code``, is not used.
    """
    net, about = load_weights(weights)
    asked = settings.model_dump(mode="json")
    key = json.dumps([[sha256_file(path) for path in made_from], asked, recipe.model_dump(mode="json"), code])
    checkpoint = Path(output).with_name("finetune-checkpoint.safetensors")
    masks = [Mask(configuration.mask) for configuration in chosen.configurations]
    split, info = load_split(images, "train"), load_info(images)
    net = finetune(net, masks, chosen.scaling, settings, recipe, chosen.seed, info, split, checkpoint, key)
    save_weights(output, net, about | {"finetune": asked})
    checkpoint.unlink(missing_ok=True)
