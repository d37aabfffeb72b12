"""Weights that were trained elsewhere: read without running what is in the file, and fitted into a network."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from depthdial.artefacts import reading
from depthdial.errors import NetworkError
from depthdial.networks.families import torchvision
from depthdial.networks.units import matches

COUNTERS = "num_batches_tracked"
"""How often a BatchNorm has been trained; nothing here needs it."""
WRAPPERS = ("state_dict", "model_state_dict", "model_ema", "model", "net", "weights")
"""Where files of checkpoints keep the weights, the first that is there."""


def read_weights(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The tensors of a safetensors file, or of a PyTorch file, in which nothing but tensors and plain values is read.

    Weights may lie under one of ``WRAPPERS``, with ``module.`` before each name. Raises ArtefactError that names the
    file if it cannot be read, NetworkError if there are no weights in it.
    """
    again = "name a safetensors file, or a PyTorch file of a state_dict"
    with reading(path, "weights", again):
        if Path(path).suffix == ".safetensors":
            return dict(load_file(path))
        found: Any = torch.load(path, map_location="cpu", weights_only=True)
    inner = next(
        (found[key] for key in WRAPPERS if isinstance(found, dict) and isinstance(found.get(key), dict)), found
    )
    state = {k: v for k, v in inner.items() if isinstance(v, Tensor)} if isinstance(inner, dict) else {}
    if not state:
        raise NetworkError(f"weights: {path} holds no tensors by name; {again}")
    bare = {name.removeprefix("module."): value for name, value in state.items()}
    return bare if len(bare) == len(state) else state


def weights_of(family: str, model: str, weights: str) -> dict[str, Tensor]:
    """What ``weights`` names: a file, or weights that torchvision offers by that name."""
    if Path(weights).suffix:
        return read_weights(weights)
    names = torchvision.weight_names(model) if family == "torchvision" else []
    if weights not in (*names, "DEFAULT") or not names:
        raise NetworkError(
            f"weights: {weights!r} is neither a file with a suffix nor weights of {model}"
            + (f", which are {', '.join(names)}" if names else "")
        )
    return torchvision.download(model, weights)


def fit(network: nn.Module, state: Mapping[str, Tensor], anew: Sequence[str] = ()) -> None:
    """Put the tensors into the network, in place; those that match ``anew`` stay as they are.

    Raises NetworkError that names the tensors that are missing, superfluous or of another shape.
    """
    wanted = network.state_dict()
    left = {name for name in wanted if any(matches(name, pattern) for pattern in anew)}
    if unknown := [pattern for pattern in anew if not any(matches(name, pattern) for name in wanted)]:
        raise NetworkError(f"anew: no tensor matches {', '.join(unknown)}")
    missing = [n for n in wanted if n not in state and n not in left and not n.endswith(COUNTERS)]
    superfluous = [n for n in state if n not in wanted and n not in left and not n.endswith(COUNTERS)]
    shapes = [
        f"{name} is {tuple(state[name].shape)}, expected {tuple(value.shape)}"
        for name, value in wanted.items()
        if name in state and name not in left and state[name].shape != value.shape
    ]
    problems = [
        f"{what} {len(names)}: {', '.join(names[:5])}{', ...' if len(names) > 5 else ''}"
        for what, names in (("missing", missing), ("superfluous", superfluous), ("of another shape", shapes))
        if names
    ]
    if problems:
        raise NetworkError(
            f"weights: do not fit {type(network).__name__}: {'; '.join(problems)}. If the classes are others, name the "
            "classifier's tensors by `anew:` and a recipe to train it"
        )
    network.load_state_dict({**wanted, **{n: v for n, v in state.items() if n in wanted and n not in left}})
