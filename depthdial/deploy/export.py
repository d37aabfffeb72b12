"""What is taken out of PyTorch: weights once, BatchNorm per configuration, inputs and outputs to check against."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from depthdial.config.deploy import Deploy
from depthdial.data.images import load_info, load_split
from depthdial.deploy.archive import write_archive
from depthdial.errors import ArtefactError, DeployError
from depthdial.files import DIGESTS, atomic_folder, digests, write_json
from depthdial.networks.configurations import Configuration, ConfigurationSet, read_configurations
from depthdial.networks.dial import Dial, Static
from depthdial.networks.masks import Mask
from depthdial.networks.weights import load_statistics, load_weights

log = logging.getLogger(__name__)
Array = NDArray[np.float32]
StrPath = str | os.PathLike[str]


def shared_tensors(net: Dial) -> dict[str, Array]:
    """Convolutions as (3, 3, in, out) and the classifier: what all configurations share, by its name in the parent."""
    tensors = {}
    for name, module in net.named_modules():
        if isinstance(module, nn.Conv2d):
            tensors[f"{name}.weight"] = _array(module.weight.permute(2, 3, 1, 0))
    for name in ("classifier.weight", "classifier.bias"):
        tensors[name] = _array(net.get_parameter(name))
    return tensors


def normalisation_tensors(net: Static) -> dict[str, Array]:
    """BatchNorm as ``x * scale + shift``, (2, channels); the factor of a block's branch is part of its second one."""
    tensors = {}
    for name, module in net.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            if module.running_mean is None or module.running_var is None:
                raise ValueError(f"{name} keeps no running statistics")
            block = name.split(".")[1] if name.endswith(".bn2") else None
            factor = 1.0 if block is None else net.scaling_factors[int(block)]
            scale = module.weight / torch.sqrt(module.running_var + module.eps)
            shift = module.bias - module.running_mean * scale
            tensors[name] = _array(torch.stack([scale, shift]) * factor)
    return tensors


def _array(value: Tensor) -> Array:
    return np.ascontiguousarray(value.detach().numpy(), np.float32)


def static_network(
    net: Dial, configuration: Configuration, chosen: ConfigurationSet, statistics: dict[str, Tensor]
) -> Static:
    """The network that a configuration is, with its own BatchNorm statistics if it has any.

    Raises ArtefactError if the set says that it was recalibrated and a statistic is missing.
    """
    static = net.extract(Mask(configuration.mask), chosen.scaling)
    for name, module in static.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            for buffer in ("running_mean", "running_var"):
                key = f"{configuration.name}/{name}.{buffer}"
                if key in statistics:
                    if statistics[key].shape != getattr(module, buffer).shape:
                        raise ArtefactError(f"the statistics' {key} has another shape than in the network; recalibrate")
                    getattr(module, buffer).copy_(statistics[key])
                elif chosen.recalibrated:
                    raise ArtefactError(
                        f"configuration {configuration.name}: the statistics lack {key}; recalibrate again"
                    )
    return static


def gate_inputs(images: StrPath, count: int) -> list[Array]:
    """``count`` fixed inputs (1, C, H, W): the first images of the training split, and noise as the last."""
    info = load_info(images)
    pictures = info.normalise(load_split(images, "train").images[: count - 1])
    noise = np.random.default_rng(0).standard_normal((1, *info.shape)).astype(np.float32)
    return [*(picture[None] for picture in pictures), noise]


def export(
    weights: StrPath,
    batchnorm: StrPath | None,
    configurations: StrPath,
    images: StrPath,
    settings: Deploy,
    folder: StrPath,
) -> None:
    """Write ``weights.irpa``, ``batchnorm/<name>.irpa``, ``gate/input<i>.npy`` and ``gate/<name>.<i>.npy``.

    ``batchnorm`` has the statistics of recalibrated configurations; None where they have those of the weights.

    Raises ArtefactError that names the configuration or the file that is wrong, and DeployError for a configuration
    whose logits are not finite in PyTorch: there is nothing to compare with.
    """
    net, _ = load_weights(weights)
    chosen = read_configurations(configurations)
    statistics = {} if batchnorm is None else load_statistics(batchnorm)
    inputs = gate_inputs(images, settings.gate_images)
    with atomic_folder(folder) as temporary:
        (temporary / "gate").mkdir()
        write_archive(temporary / "weights.irpa", shared_tensors(net))
        for index, value in enumerate(inputs):
            np.save(temporary / "gate" / f"input{index}.npy", value)
        for configuration in chosen.configurations:
            static = static_network(net, configuration, chosen, statistics)
            own = {f"{configuration.name}/{key}": value for key, value in normalisation_tensors(static).items()}
            write_archive(temporary / "batchnorm" / f"{configuration.name}.irpa", own)
            _write_expected(static, inputs, temporary / "gate", configuration.name)
        write_json(temporary / DIGESTS, digests(temporary))
    log.info("exported %d configurations of %s", len(chosen.configurations), chosen.network)


def _write_expected(static: Static, inputs: list[Array], folder: Path, name: str) -> None:
    with torch.inference_mode():
        for index, value in enumerate(inputs):
            logits = static(torch.from_numpy(value)).numpy()
            if not np.isfinite(logits).all():
                raise DeployError(f"configuration {name}: its logits of input {index} are not finite; train again")
            np.save(folder / f"{name}.{index}.npy", logits)
