"""EfficientNet-Lite0 from two packages, which `make efficientnet-lite0` puts into .cache/efficientnet-lite0."""

import sys
from pathlib import Path

from torch import nn

FETCHED = Path(__file__).parents[2] / ".cache/efficientnet-lite0"


def build(classes: int, input_shape: tuple[int, int, int]) -> nn.Module:
    """The network for square images of 224 pixels; its own drop connect is off."""
    sys.path.append(str(FETCHED))
    try:
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise ImportError(f"{error}; run `make efficientnet-lite0` first") from None
    finally:
        sys.path.remove(str(FETCHED))
    if input_shape != (3, 224, 224):
        raise ValueError(f"takes images of 3 x 224 x 224, got {input_shape}")
    return EfficientNet.from_name("efficientnet-lite0", num_classes=classes, drop_connect_rate=0.0)
