"""Networks of timm, an optional dependency: ``pip install depthdial[timm]``."""

from __future__ import annotations

from typing import Any

from torch import nn

from depthdial.errors import NetworkError


def build(model: str, input_shape: tuple[int, int, int], classes: int) -> nn.Module:
    """The network with random weights. Raises NetworkError without timm or for a name that it does not know."""
    try:
        import timm
        from timm.layers.drop import DropPath
    except ImportError:
        raise NetworkError("family: timm is not installed; pip install 'depthdial[timm]'") from None
    if not timm.is_model(model):
        close = ", ".join(timm.list_models(f"*{model.split('_')[0]}*")[:5])
        raise NetworkError(f"model: timm {timm.__version__} has no network {model!r}; there are {close or 'others'}")
    channels, height, width = input_shape
    about = timm.get_pretrained_cfg(model)
    fixed = about is not None and about.fixed_input_size and about.input_size[1:] != (height, width)
    given: dict[str, Any] = {"img_size": (height, width)} if fixed else {}
    network: nn.Module = timm.create_model(model, pretrained=False, num_classes=classes, in_chans=channels, **given)
    for module in network.modules():
        if isinstance(module, DropPath):
            module.drop_prob = 0.0
    return network
