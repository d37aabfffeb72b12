"""Weights as safetensors: the state of a dial, its description and what was said of its training."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from depthdial.artefacts import open_tensors, pack_metadata
from depthdial.files import atomic_path
from depthdial.networks.build import dial
from depthdial.networks.description import WEIGHTS, Description
from depthdial.networks.dial import Dial

STATISTICS_FORMAT = "batchnorm-1"


def save_weights(path: str | os.PathLike[str], net: Dial, about: dict[str, Any]) -> None:
    """Write weights as safetensors with description, survival and ``about`` (JSON values) as metadata."""
    values = {"network": net.description.to_dict(), "survival": net.survival, "about": about}
    tensors = {name: value.detach().cpu().contiguous() for name, value in net.state_dict().items()}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, pack_metadata(WEIGHTS, values))


def load_weights(path: str | os.PathLike[str]) -> tuple[Dial, dict[str, Any]]:
    """The network in evaluation mode and what was said about it. Raises ArtefactError on a foreign file."""
    with open_tensors(path, WEIGHTS, "pt") as archive:
        net = dial(Description.from_dict(archive.about["network"]), archive.about["survival"])
        net.load_state_dict({name: archive[name] for name in archive.names()})
        return net.eval(), archive.about["about"]


def save_statistics(path: str | os.PathLike[str], statistics: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Write the BatchNorm statistics of configurations: by configuration, then by their names in its network."""
    tensors = {f"{name}/{key}": value.clone() for name, own in statistics.items() for key, value in own.items()}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, pack_metadata(STATISTICS_FORMAT, {}))


def load_statistics(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Tensors by ``<configuration>/<name in the network>``. Raises ArtefactError on a foreign file."""
    with open_tensors(path, STATISTICS_FORMAT, "pt") as archive:
        return {name: archive[name] for name in archive.names()}
