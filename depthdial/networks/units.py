"""Which modules of a network are units: residual blocks without a projection.

Such a block hands on its input when all its weights are zero, whatever class it is of, and a block with a projection
does not: so units are found by what they do. A user may name them instead.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn

from depthdial.errors import NetworkError
from depthdial.networks.chain import NoChainError, cut, order_of_calls

Shapes = dict[str, tuple[tuple[int, ...] | None, tuple[int, ...] | None]]
"""Shape of the first input and of the output of a module, None where it is no tensor, by the module's name."""


def find_units(network: nn.Module, patterns: Sequence[str], input_shape: tuple[int, int, int]) -> list[str]:
    """Names of the units in the order of their calls.

    With ``patterns`` (``blocks.*``: a name with as many parts, each of which matches) the modules so named, and it is
    an error if one of them cannot be a unit; without, the smallest modules that can. Raises NetworkError that says
    which cannot and why.
    """
    probe = torch.randn(1, *input_shape, generator=torch.Generator().manual_seed(0))
    if patterns:
        return _named(network, patterns, probe)
    candidates = [name for name in _residual(network, probe) if name]
    refused: list[NoChainError] = []
    while candidates:
        # A module that holds a smaller candidate is only looked at if that one turns out to be none.
        smallest = [n for n in candidates if not any(other.startswith(f"{n}.") for other in candidates)]
        units = order_of_calls(network, smallest)
        if units:
            try:
                cut(network, units, input_shape)
            except NoChainError as error:
                refused.append(error)
                candidates.remove(error.unit)
                continue
            if set(units) == set(smallest):
                return units
        candidates = [name for name in candidates if name in units or name not in smallest]
    if refused:
        raise refused[0]
    raise NetworkError(
        f"{type(network).__name__}: no unit found: no module hands on its input when its weights are zero, as a "
        "residual block without projection does. Name the units by `units:` if there are any"
    )


def _named(network: nn.Module, patterns: Sequence[str], probe: Tensor) -> list[str]:
    """The modules that the patterns name. Raises NetworkError for what is no unit among them."""
    names = [name for name, _ in network.named_modules() if name]
    chosen = [name for name in names if any(matches(name, pattern) for pattern in patterns)]
    for pattern in patterns:
        if not any(matches(name, pattern) for name in chosen):
            raise NetworkError(f"units: no module matches {pattern!r}; modules are {', '.join(names[:8])}, ...")
    shapes = _shapes(network, probe)
    wrong = [name for name in chosen if shapes.get(name, (None, None))[0] != shapes.get(name, (None, 1))[1]]
    if wrong:
        right = [name for name in chosen if name not in wrong]
        changed = "; ".join(f"{name} takes {shapes[name][0]} to {shapes[name][1]}" for name in wrong if name in shapes)
        raise NetworkError(
            f"units: a unit gives a tensor of the shape of its input: {changed or wrong}. "
            + (f"Left are units: [{', '.join(right)}]" if right else "None of the modules named can be a unit")
        )
    ordered = order_of_calls(network, chosen)
    if missing := [name for name in chosen if name not in ordered]:
        raise NetworkError(f"units: {', '.join(missing)}: not called exactly once, or only inside another unit")
    return ordered


def matches(name: str, pattern: str) -> bool:
    """Whether a name has as many parts as the pattern, each of which matches."""
    parts, wanted = name.split("."), pattern.split(".")
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))


def _shapes(network: nn.Module, probe: Tensor) -> Shapes:
    """Shapes of every module that is called, from one run."""
    return {name: (_shape(x), _shape(y)) for name, (x, y) in _called(network, probe).items()}


def _shape(value: Any) -> tuple[int, ...] | None:
    return tuple(value.shape[1:]) if isinstance(value, Tensor) else None


def _called(network: nn.Module, probe: Tensor) -> dict[str, tuple[Any, Any]]:
    """First input and output of every module at its last call, from one run in evaluation mode."""
    found: dict[str, tuple[Any, Any]] = {}

    def keep(name: str) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            found[name] = (args[0] if args else None, output)

        return hook

    was = network.training
    handles = [module.register_forward_hook(keep(name)) for name, module in network.named_modules()]
    try:
        # With gradients, torch does not take the short cut of its attention that passes modules by.
        with torch.enable_grad():
            network.eval()(probe)
    finally:
        network.train(was)
        for handle in handles:
            handle.remove()
    return found


def _residual(network: nn.Module, probe: Tensor) -> list[str]:
    """Modules with weights that keep the shape and, when their weights are zero, hand on their input."""
    zeroed = copy.deepcopy(network)
    with torch.no_grad():
        for parameter in zeroed.parameters():
            parameter.zero_()
    zeroed.eval()
    found = []
    for name, (x, y) in _called(network, probe).items():
        if not isinstance(x, Tensor) or not isinstance(y, Tensor) or x.shape != y.shape or x is y:
            continue
        module = zeroed.get_submodule(name)
        if next(module.parameters(), None) is not None and _hands_on(module, x.detach()):
            found.append(name)
    return found


def _hands_on(module: nn.Module, x: Tensor) -> bool:
    """Whether the module's output is its input. What needs more than one argument is asked without the others."""
    try:
        with torch.no_grad():
            return torch.equal(module(x.clone()), x)
    except Exception:  # Whatever the module's own code does without its other arguments: then it is no unit.
        return False
