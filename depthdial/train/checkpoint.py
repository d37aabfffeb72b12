"""Checkpoints at every epoch, without pickle, bound to the settings that made them."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from depthdial.files import atomic_path
from depthdial.networks.dial import Dial

logger = logging.getLogger(__name__)


def save_checkpoint(
    path: Path, net: Dial, optimiser: torch.optim.Optimizer, key: str, history: list[dict[str, Any]]
) -> None:
    """Write the state after ``len(history)`` epochs; ``key`` says which settings made it."""
    tensors = {f"net.{name}": value.detach().cpu().contiguous() for name, value in net.state_dict().items()}
    for name, parameter in net.named_parameters():
        for entry, value in optimiser.state.get(parameter, {}).items():
            if isinstance(value, Tensor):
                tensors[f"{entry}/{name}"] = value.detach().cpu().contiguous()
    with atomic_path(path) as temporary:
        metadata = {"key": key, "history": json.dumps(history), "survival": json.dumps(net.survival)}
        save_file(tensors, temporary, metadata)


def load_checkpoint(path: Path, net: Dial, optimiser: torch.optim.Optimizer, key: str) -> list[dict[str, Any]]:
    """Restore the state if there is one made with the same settings; return its history, else an empty one."""
    if not path.exists():
        return []
    try:
        with safe_open(path, framework="pt") as archive:
            metadata = archive.metadata() or {}
            if metadata.get("key") != key:
                logger.info("the checkpoint was made with other settings; training starts anew")
                return []
            tensors = {name: archive.get_tensor(name) for name in archive.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        logger.warning("the checkpoint cannot be read (%s); training starts anew", error)
        return []
    net.load_state_dict({n.removeprefix("net."): t for n, t in tensors.items() if n.startswith("net.")})
    net.survival = tuple(json.loads(metadata["survival"]))
    parameters = dict(net.named_parameters())
    for name, value in tensors.items():
        entry, _, owner = name.partition("/")
        if owner in parameters:
            # Counters of steps stay where they are; what is as large as the parameter goes with it.
            parameter = parameters[owner]
            optimiser.state[parameter][entry] = value.to(parameter.device) if value.ndim else value
    history: list[dict[str, Any]] = json.loads(metadata["history"])
    return history
