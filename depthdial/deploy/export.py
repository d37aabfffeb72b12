"""What is taken out of PyTorch: weights once, BatchNorm per configuration, inputs and outputs to check against."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from depthdial.config.deploy import Deploy
from depthdial.data.images import load_info, load_split
from depthdial.deploy.archive import write_archive
from depthdial.deploy.graph.layouts import stored, stored_norms
from depthdial.deploy.graph.nodes import Graph, write_graph
from depthdial.deploy.graph.trace import trace
from depthdial.deploy.manifest import DESCRIPTION, GRAPH
from depthdial.errors import ArtefactError, DeployError
from depthdial.files import DIGESTS, atomic_folder, digests, write_json
from depthdial.networks.configurations import Configuration, ConfigurationSet, read_configurations
from depthdial.networks.description import write_description
from depthdial.networks.dial import Dial, Static
from depthdial.networks.masks import Mask
from depthdial.networks.weights import load_statistics, load_weights

log = logging.getLogger(__name__)
Array = NDArray[np.float32]
StrPath = str | os.PathLike[str]


def shared_tensors(net: Dial) -> tuple[Graph, dict[str, Array]]:
    """The graph of the full network, and the weights that all configurations share as kernels read them, by name.

    Raises DeployError that names each operation for which there is no kernel.
    """
    example = torch.zeros(1, *net.description.input_shape)
    units = [unit.name for unit in net.description.units]
    graph, weights = trace(net.extract(Mask.full(len(units))), example, units)
    return graph, {name: stored(_array(value), graph.weights[name]) for name, value in weights.items()}


def normalisation_tensors(net: Static, names: Iterable[str]) -> dict[str, Array]:
    """``normalisation`` of a configuration; the factor of a unit's branch is part of its second BatchNorm."""
    units = zip(net.description.units, net.scaling_factors, strict=True)
    return normalisation(net, names, {f"{unit.name}.bn2": factor for unit, factor in units if factor != 1})


def normalisation(net: nn.Module, names: Iterable[str], factors: Mapping[str, float] | None = None) -> dict[str, Array]:
    """Each BatchNorm of ``names`` that a network has, as ``x * scale + shift``: (2, channels), times its factor."""
    held, tensors = dict(net.named_modules()), {}
    for name in names:
        if (module := held.get(name)) is not None:
            scale = module.weight / torch.sqrt(module.running_var + module.eps)
            shift = module.bias - module.running_mean * scale
            tensors[name] = _array(torch.stack([scale, shift]) * (factors or {}).get(name, 1.0))
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
    """Write ``network.json``, ``graph.json``, ``weights.irpa``, ``batchnorm/<name>.irpa`` and what the gate compares.

    ``batchnorm`` has the statistics of recalibrated configurations; None where they have those of the weights.

    Raises ArtefactError that names the configuration or the file that is wrong, and DeployError for a configuration
    whose logits are not finite in PyTorch: there is nothing to compare with.
    """
    net, _ = load_weights(weights)
    chosen = read_configurations(configurations)
    statistics = {} if batchnorm is None else load_statistics(batchnorm)
    inputs = gate_inputs(images, settings.gate_images)
    graph, tensors = shared_tensors(net)
    with atomic_folder(folder) as temporary:
        (temporary / "gate").mkdir()
        write_description(temporary / DESCRIPTION, net.description)
        write_graph(temporary / GRAPH, graph)
        write_archive(temporary / "weights.irpa", tensors)
        for index, value in enumerate(inputs):
            np.save(temporary / "gate" / f"input{index}.npy", value)
        for configuration in chosen.configurations:
            static = static_network(net, configuration, chosen, statistics)
            kept = graph.keeping(Mask(configuration.mask))
            own = stored_norms(normalisation_tensors(static, graph.normalised), kept)
            archive = {configuration.name: own} if own.size else {}
            write_archive(temporary / "batchnorm" / f"{configuration.name}.irpa", archive)
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
