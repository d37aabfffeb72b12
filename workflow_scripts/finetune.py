"""Fine-tune a dial on its chosen configurations."""

import json
from pathlib import Path
from typing import Any

import torch

from depthdial.config.evaluate import Evaluate
from depthdial.config.finetune import Finetune
from depthdial.config.training import Recipe
from depthdial.data.images import load_info, load_split
from depthdial.evaluate.tasks import evaluate_validation, load_engine
from depthdial.files import sha256_file
from depthdial.networks.configurations import read_configurations, write_configurations
from depthdial.networks.masks import Mask
from depthdial.networks.weights import load_weights, save_weights
from depthdial.runs.logs import configure_logging
from depthdial.select.choose import judged_again
from depthdial.train.finetune import finetune


def main(smk: Any) -> None:
    """Write ``output.weights``, and ``output.configurations`` with the validation accuracies that these have."""
    configure_logging(smk.log[0])
    torch.set_num_threads(smk.threads)
    source, params = smk.input, smk.params
    chosen = read_configurations(source.configurations)
    settings = Finetune.model_validate(params.finetune)
    recipe, evaluate = Recipe.model_validate(params.recipe), Evaluate.model_validate(params.evaluate)
    net, about = load_weights(source.weights)
    masks = [Mask(configuration.mask) for configuration in chosen.configurations]
    inputs = [sha256_file(path) for path in (source.weights, source.configurations, source.images)]
    key = json.dumps([inputs, params.finetune, params.recipe, params.code])
    checkpoint = Path(smk.output.weights).with_name("finetune-checkpoint.safetensors")
    net = finetune(
        net, masks, chosen.scaling, settings, recipe, chosen.seed, load_info(source.images),
        load_split(source.images, "train"), checkpoint, key,
    )  # fmt: skip
    save_weights(smk.output.weights, net, about | {"finetune": params.finetune})
    engine = load_engine(smk.output.weights, source.images, evaluate, chosen.scaling, chosen.recalibrated)
    table, _ = evaluate_validation(engine, source.images, masks)
    write_configurations(smk.output.configurations, judged_again(chosen, table))
    checkpoint.unlink(missing_ok=True)


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
