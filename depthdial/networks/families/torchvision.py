"""Networks of torchvision, by the names of its registry."""

from __future__ import annotations

import inspect

from torch import Tensor, nn

from depthdial.errors import NetworkError


def build(model: str, input_shape: tuple[int, int, int], classes: int) -> nn.Module:
    """The network with random weights. Raises NetworkError for a name that torchvision does not know."""
    import torchvision  # only where it is asked for: training on a GPU machine does without
    from torchvision.ops import StochasticDepth

    if model not in torchvision.models.list_models(module=torchvision.models):
        raise NetworkError(f"model: torchvision {torchvision.__version__} has no classifier {model!r}")
    channels, height, _ = input_shape
    if channels != 3:
        raise NetworkError(f"model: networks of torchvision take images of 3 channels, these have {channels}")
    given = {"image_size": height} if model.startswith("vit_") else {}
    if "aux_logits" in inspect.signature(torchvision.models.get_model_builder(model)).parameters:
        given["aux_logits"] = False
    network: nn.Module = torchvision.models.get_model(model, weights=None, num_classes=classes, **given)
    for module in network.modules():
        if isinstance(module, StochasticDepth):
            module.p = 0.0
    return network


def weight_names(model: str) -> list[str]:
    """The weights that torchvision offers for the network."""
    import torchvision

    return [weights.name for weights in torchvision.models.get_model_weights(model)]


def download(model: str, name: str) -> dict[str, Tensor]:
    """Weights by their name in torchvision, fetched once into torch's cache and checked against their digest."""
    import torchvision

    state: dict[str, Tensor] = torchvision.models.get_model_weights(model)[name].get_state_dict(
        progress=False, check_hash=True
    )
    return state
