"""Train one network with one seed."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from depthdial.config.networks import Network
from depthdial.config.training import Recipe
from depthdial.data.images import load_info, load_split
from depthdial.files import atomic_path, sha256_file
from depthdial.networks.build import describe
from depthdial.networks.weights import save_weights
from depthdial.runs.logs import configure_logging
from depthdial.runs.provenance import git_commit, versions
from depthdial.train.loop import train, training_device


def main(smk: Any) -> None:
    """Write ``output.weights`` and ``output.history``; a checkpoint stands beside them until they are whole."""
    configure_logging(smk.log[0])
    torch.set_num_threads(smk.threads)
    network = Network.model_validate(smk.params.network)
    recipe = Recipe.model_validate(smk.params.recipe)
    seed = int(smk.wildcards.seed)
    info = load_info(smk.input.images)
    described = describe(network, info.shape, len(info.classes))
    images = sha256_file(smk.input.images)
    key = json.dumps([described.to_dict(), smk.params.network, smk.params.recipe, seed, images, smk.params.code])
    checkpoint = Path(smk.output.weights).with_name("checkpoint.safetensors")
    splits = (load_split(smk.input.images, "train"), load_split(smk.input.images, "validation"))
    net, history = train(described, network.survival, recipe, seed, info, splits, checkpoint, key)
    about = {
        "dataset": info.name,
        "network": network.name,
        "role": network.role,
        "seed": seed,
        "recipe": recipe.model_dump(mode="json"),
        "images_sha256": images,
        "device": str(training_device(recipe)),
        "threads": smk.threads,
        "validation_accuracy": history[-1]["validation_accuracy"],
        "commit": git_commit(),
        "versions": versions("torch"),
    }
    with atomic_path(smk.output.history) as temporary:
        pd.DataFrame(history).to_csv(temporary, index=False)
    save_weights(smk.output.weights, net, about)
    checkpoint.unlink(missing_ok=True)


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
