"""Fine-tune a dial on its chosen configurations."""

from typing import Any

from depthdial.config.evaluate import Evaluate
from depthdial.config.finetune import Finetune
from depthdial.config.training import Recipe
from depthdial.evaluate.tasks import evaluate_validation, load_engine
from depthdial.networks.configurations import read_configurations, write_configurations
from depthdial.networks.masks import Mask
from depthdial.runs.logs import configure_logging
from depthdial.runs.torch_process import set_up_torch
from depthdial.select.choose import judged_again
from depthdial.train.tasks import finetune_network


def main(smk: Any) -> None:
    """Write ``output.weights``, and ``output.configurations`` with the validation accuracies that these have."""
    configure_logging(smk.log[0])
    set_up_torch(smk.threads)
    source, params = smk.input, smk.params
    chosen = read_configurations(source.configurations)
    finetune_network(
        source.weights,
        source.images,
        chosen,
        Finetune.model_validate(params.finetune),
        Recipe.model_validate(params.recipe),
        made_from=[source.weights, source.configurations, source.images],
        code=params.code,
        output=smk.output.weights,
    )
    evaluate = Evaluate.model_validate(params.evaluate)
    engine = load_engine(smk.output.weights, source.images, evaluate, chosen.scaling, chosen.recalibrated)
    masks = [Mask(configuration.mask) for configuration in chosen.configurations]
    table, _ = evaluate_validation(engine, source.images, masks)
    write_configurations(smk.output.configurations, judged_again(chosen, table))


if "snakemake" in globals():
    main(snakemake)  # type: ignore[name-defined]  # noqa: F821
