"""Networks of the user's own: a function in a Python file that lies beside the configuration.

That file is code that the user chose to run. A file of weights cannot bring in another: it names the file within the
folder that the workflow runs in, and the digest that it had.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path, PurePosixPath

from torch import nn

from depthdial.errors import NetworkError
from depthdial.files import sha256_file


def build(place: str, digest: str, input_shape: tuple[int, int, int], classes: int) -> nn.Module:
    """What the function named by ``place`` (``networks/mine.py:build``) gives, called with classes and input shape.

    Raises NetworkError if the file is not there, lies elsewhere, is not the one of ``digest``, or fails.
    """
    path, function = source(place)
    if sha256_file(path) != digest:
        raise NetworkError(f"module: {path} has changed since the network was described; run the workflow again")
    spec = importlib.util.spec_from_file_location(f"depthdial_user_{digest[:12]}", path)
    assert spec is not None
    assert spec.loader is not None
    code = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(code)
        network = getattr(code, function)(classes=classes, input_shape=input_shape)
    except Exception as error:  # Whatever the user's own code raises.
        raise NetworkError(f"module: {place} failed: {type(error).__name__}: {error}") from error
    if not isinstance(network, nn.Module):
        raise NetworkError(f"module: {place} gave a {type(network).__name__}, expected a torch.nn.Module")
    return network


def source(place: str) -> tuple[Path, str]:
    """File and function of ``networks/mine.py:build``. Raises NetworkError for a file that may not be run."""
    name, _, function = place.partition(":")
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or path.suffix != ".py" or not function.isidentifier():
        raise NetworkError(
            f"module: expected file.py:function with a path within the folder that the workflow runs in, got {place!r}"
        )
    if not Path(path).is_file() or Path.cwd() not in Path(path).resolve().parents:
        raise NetworkError(f"module: there is no file {path} in {Path.cwd()}")
    return Path(path), function
