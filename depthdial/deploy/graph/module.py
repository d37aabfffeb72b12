"""What the functions of one MLIR module share: kernels, of which equal ones are one, and parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from depthdial.config.targets import Tiles
from depthdial.deploy.core import Processor
from depthdial.deploy.graph.convolution import Convolution, Cut
from depthdial.deploy.graph.text import Kernel


class Module:
    """Kernels and parameters, which functions share."""

    def __init__(self, core: Processor, tiles: Tiles, cuts: Mapping[str, Cut]) -> None:
        self.core, self.tiles, self.cuts = core, tiles, cuts
        self.convolutions: list[Convolution] = []
        self.kernels: dict[tuple[object, ...], str] = {}
        self.names: dict[tuple[object, ...], str] = {}
        self.globals: dict[str, str] = {}

    def kernel(self, kind: str, key: tuple[object, ...], write: Callable[[Kernel], None], parts: int = 1) -> str:
        """The name of a kernel, written by ``write`` unless there is an equal one."""
        whole = (kind, *key)
        if whole not in self.names:
            self.names[whole] = f"{kind}_{len(self.names)}"
            kernel = Kernel(self.core)
            write(kernel)
            self.kernels[whole] = kernel.text(self.names[whole], parts)
        return self.names[whole]

    def parameter(self, scope: str, key: str, shape: tuple[int, ...]) -> str:
        """The symbol of a tensor of an archive."""
        kind = f"tensor<{'x'.join(map(str, shape))}xf32>"
        symbol = f'@"{scope}::{key}::{kind}"'
        self.globals[symbol] = f'util.global private {symbol} = #flow.parameter.named<"{scope}"::"{key}"> : {kind}'
        return symbol
