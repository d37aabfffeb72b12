"""A network described by running it once: multiply-accumulates counted, bytes of activations watched."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from depthdial.errors import NetworkError
from depthdial.networks.description import Description, Unit, stages_of
from depthdial.networks.dial import ChainNetwork


class _Alive(TorchDispatchMode):
    """Counts the bytes of the tensors that operations have made and that are alive; ``most`` is their maximum."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self.known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for value in result if isinstance(result, tuple | list) else [result]:
            if isinstance(value, Tensor):
                self._add(value.untyped_storage())
        return result

    def _add(self, storage: Any) -> None:
        key = storage._cdata
        if key in self.known:
            return
        self.known.add(key)
        self.now += storage.nbytes()
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self._remove, key, storage.nbytes())

    def _remove(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.now -= size


def measured(
    network: nn.Module,
    units: Sequence[str],
    input_shape: tuple[int, int, int],
    classes: int,
    family: str,
    model: str,
    options: Mapping[str, Any],
) -> Description:
    """The description of ``network`` with the given units. Raises NetworkError where one changes the shape.

    Multiply-accumulates are those of convolutions and matrix products, as ``torch.utils.flop_counter`` counts them.
    """
    blank = tuple(Unit(i, name, 0, 0, "", 0) for i, name in enumerate(units))
    rough = Description(family, model, blank, (0,) * (len(units) + 1), input_shape, classes, 0, options)
    chain = ChainNetwork(network, rough).eval()
    x = torch.randn(1, *input_shape, generator=torch.Generator().manual_seed(0))
    segments, macs, shapes, kinds, work = [], [], [], _Kinds(), 0
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), _slow_attention():
        for index, name in enumerate(units):
            x, cost, used = _counted(partial(chain.run_segment, index), x)
            segments.append(cost)
            y, cost, more = _counted(partial(chain.run_unit, index), x)
            if y.shape != x.shape:
                change = f"from {tuple(x.shape[1:])} to {tuple(y.shape[1:])}"
                raise NetworkError(f"unit {name}: changes the shape {change}; it cannot be skipped")
            macs.append(cost)
            shapes.append(tuple(y.shape[1:]))
            kinds.add(network.get_submodule(name), shapes[-1], cost)
            x, work = y, max(work, used, more)
        x, cost, used = _counted(partial(chain.run_segment, len(units)), x)
        segments.append(cost)
    if tuple(x.shape) != (1, classes):
        raise NetworkError(
            f"{model}: gives {tuple(x.shape)} for one image; with {classes} classes it must give (1, {classes})"
        )
    stages = stages_of(shapes)
    described = tuple(
        Unit(i, name, stages[i], macs[i], kinds.names[i], 4 * torch.Size(shapes[i]).numel())
        for i, name in enumerate(units)
    )
    return Description(family, model, described, tuple(segments), input_shape, classes, max(work, used), dict(options))


def _counted(part: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, int, int]:
    """The part's output, its multiply-accumulates and the most bytes alive in it, its input among them."""
    alive = _Alive()
    with alive:
        y = part(x)
    counter = FlopCounterMode(display=False)
    with counter:
        part(x)
    return y, counter.get_total_flops() // 2, alive.most + x.numel() * x.element_size()


class _Kinds:
    """Names for units that are alike: of one class, with weights and outputs of the same shapes, at the same cost."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.known: dict[Any, str] = {}

    def add(self, module: nn.Module, shape: tuple[int, ...], macs: int) -> None:
        """Append the name of another unit's kind."""
        weights = tuple((name, tuple(p.shape)) for name, p in module.named_parameters())
        plain = f"{type(module).__name__} {'x'.join(map(str, shape))}"
        key = (plain, weights, macs)
        if key not in self.known:
            alike = sum(name.split(" / ")[0] == plain for name in self.known.values())
            self.known[key] = f"{plain} / {alike + 1}" if alike else plain
        self.names.append(self.known[key])


class _slow_attention:  # noqa: N801 - reads as the function that it is
    """Without the short cut of torch's attention, of which nothing is counted."""

    def __enter__(self) -> None:
        self.was = torch.backends.mha.get_fastpath_enabled()
        torch.backends.mha.set_fastpath_enabled(False)

    def __exit__(self, *_: object) -> None:
        torch.backends.mha.set_fastpath_enabled(self.was)
