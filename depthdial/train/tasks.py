"""Training from files: what the workflow's jobs do. A checkpoint stands beside the weights until they are whole."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from depthdial.config.finetune import Finetune
from depthdial.config.networks import Network
from depthdial.config.training import Recipe
from depthdial.data.images import load_info, load_split
from depthdial.files import atomic_path, sha256_file
from depthdial.networks.build import describe
from depthdial.networks.configurations import ConfigurationSet
from depthdial.networks.masks import Mask
from depthdial.networks.weights import load_weights, save_weights
from depthdial.runs.provenance import git_commit, versions
from depthdial.train.finetune import finetune
from depthdial.train.loop import train, training_device

File = str | os.PathLike[str]


def train_network(
    images: File, network: Network, recipe: Recipe, seed: int, *, code: str, threads: int, weights: File, history: File
) -> None:
    """Train a network; write its weights, with what made them, and a row per epoch.

    ``code`` is the digest of the code that trains: a checkpoint of other code, settings or images is not resumed.
    """
    info, digest = load_info(images), sha256_file(images)
    described = describe(network, info.shape, len(info.classes))
    # `scaling` says how masks are evaluated; training does not depend on it.
    asked = [network.model_dump(mode="json", exclude={"scaling"}), recipe.model_dump(mode="json")]
    key = json.dumps([described.to_dict(), *asked, seed, digest, code])
    checkpoint = Path(weights).with_name("checkpoint.safetensors")
    splits = (load_split(images, "train"), load_split(images, "validation"))
    net, epochs = train(described, network.survival, recipe, seed, info, splits, checkpoint, key)
    about = {
        "dataset": info.name,
        "network": network.name,
        "role": network.role,
        "seed": seed,
        "recipe": recipe.model_dump(mode="json"),
        "images_sha256": digest,
        "device": str(training_device(recipe)),
        "threads": threads,
        "validation_accuracy": epochs[-1]["validation_accuracy"],
        "commit": git_commit(),
        "versions": versions("torch"),
    }
    with atomic_path(history) as temporary:
        pd.DataFrame(epochs).to_csv(temporary, index=False)
    save_weights(weights, net, about)
    checkpoint.unlink(missing_ok=True)


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
