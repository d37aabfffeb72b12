"""Weights as safetensors: the state of a network, its architecture and what was said of its training."""

from __future__ import annotations

import os
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from depthdial.errors import ArtefactError
from depthdial.files import atomic_path, pack_metadata, unpack_metadata
from depthdial.networks.description import Architecture
from depthdial.networks.families.he_resnet import ResNet

FORMAT = "weights-1"


def save_weights(path: str | os.PathLike[str], net: ResNet, about: dict[str, Any]) -> None:
    """Write weights as safetensors with architecture, survival and ``about`` (JSON values) as metadata."""
    values = {"architecture": net.arch.to_dict(), "survival": net.survival, "about": about}
    tensors = {name: value.detach().cpu().contiguous() for name, value in net.state_dict().items()}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, pack_metadata(FORMAT, values))


def load_weights(path: str | os.PathLike[str]) -> tuple[ResNet, dict[str, Any]]:
    """The network in evaluation mode and what was said about it. Raises ArtefactError on a foreign file."""
    try:
        with safe_open(path, framework="pt") as archive:
            metadata = archive.metadata()
            state = {name: archive.get_tensor(name) for name in archive.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise ArtefactError(f"{path}: cannot be read as safetensors ({error})") from None
    values = unpack_metadata(path, metadata, FORMAT)
    net = ResNet(Architecture.from_dict(values["architecture"]), values["survival"])
    net.load_state_dict(state)
    return net.eval(), values["about"]
