"""Fine-tune a dial on its chosen configurations."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from depthdial.config.evaluate import Evaluate
from depthdial.config.finetune import Finetune
from depthdial.config.training import Recipe
from depthdial.data.images import load_info, load_split
from depthdial.evaluate.tasks import evaluate_validation, load_engine
from depthdial.files import atomic_path, sha256_file
from depthdial.networks.configurations import ConfigurationSet, read_configurations
from depthdial.networks.masks import Mask
from depthdial.networks.weights import load_weights, save_weights
from depthdial.runs.logs import configure_logging
from depthdial.train.finetune import finetune


def main(smk: Any) -> None:
    """Write ``output.weights``, and ``output.table`` with the validation accuracies before and after."""
    configure_logging(smk.log[0])
    torch.set_num_threads(smk.threads)
    source, params = smk.input, smk.params
    chosen = read_configurations(source.configurations)
    settings = Finetune.model_validate(params.finetune)
    recipe, evaluate = Recipe.model_validate(params.recipe), Evaluate.model_validate(params.evaluate)
    net, about = load_weights(source.weights)
    masks = [Mask(configuration.mask) for configuration in chosen.configurations]
    before = accuracies(source.weights, source.images, chosen, evaluate)
    inputs = [sha256_file(path) for path in (source.weights, source.configurations, source.images)]
    key = json.dumps([inputs, params.finetune, params.recipe, params.code])
    checkpoint = Path(smk.output.weights).with_name("finetune-checkpoint.safetensors")
    net = finetune(
        net, masks, chosen.scaling, settings, recipe, chosen.seed, load_info(source.images),
        load_split(source.images, "train"), checkpoint, key,
    )  # fmt: skip
    save_weights(smk.output.weights, net, about | {"finetune": params.finetune})
    table = pd.DataFrame(
        {
            "name": [configuration.name for configuration in chosen.configurations],
            "mask": [mask.bits for mask in masks],
            "before": before,
            "after": accuracies(smk.output.weights, source.images, chosen, evaluate),
        }
    )
    with atomic_path(smk.output.table) as temporary:
        table.to_csv(temporary, index=False)
    checkpoint.unlink(missing_ok=True)


def accuracies(weights: str, images: str, chosen: ConfigurationSet, settings: Evaluate) -> list[float]:
    """Validation accuracy of every configuration, in their order."""
    engine = load_engine(weights, images, settings, chosen.scaling, chosen.recalibrated)
    masks = [configuration.mask for configuration in chosen.configurations]
    table, _ = evaluate_validation(engine, images, [Mask(mask) for mask in masks])
    found = dict(zip(table["mask"], table["val_accuracy"], strict=True))
    return [found[mask] for mask in masks]


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
