"""How values lie in memory, and what is done to a vector of results before it is stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from depthdial.deploy.graph.text import Index, Kernel, buffer, vector


@dataclass(frozen=True)
class Image:
    """Pixels of channels, row by row, in a frame of zeros: what every value is, tokens being pixels of one row."""

    height: int
    width: int
    channels: int
    top: int = 0
    left: int = 0
    bottom: int = 0
    right: int = 0

    @property
    def rows(self) -> int:
        """Rows with the frame."""
        return self.top + self.height + self.bottom

    @property
    def columns(self) -> int:
        """Columns with the frame."""
        return self.left + self.width + self.right

    @property
    def framed(self) -> bool:
        """Whether there is a frame."""
        return (self.top, self.left, self.bottom, self.right) != (0, 0, 0, 0)

    @property
    def plain(self) -> Image:
        """The image without its frame."""
        return Image(self.height, self.width, self.channels)

    @property
    def shape(self) -> tuple[int, int]:
        """As kernels see it: rows, and the floats of a row."""
        return self.rows, self.columns * self.channels

    @property
    def size(self) -> int:
        """Floats, with the frame."""
        return self.rows * self.columns * self.channels

    @property
    def type(self) -> str:
        """The MLIR type."""
        return f"tensor<{self.rows}x{self.columns * self.channels}xf32>"


def chunks(channels: int, lanes: int) -> list[tuple[int, int]]:
    """(first channel, channels) of the vectors that channels are computed in: full ones, then powers of two."""
    found, first = [], 0
    while first < channels:
        size = min(lanes, 1 << ((channels - first).bit_length() - 1))
        found.append((first, size))
        first += size
    return found


@dataclass(frozen=True)
class Picked:
    """Which pixels of an image are read: from ``start`` on, ``step`` rows and columns apart."""

    start: tuple[int, int] = (0, 0)
    step: tuple[int, int] = (1, 1)

    def after(self, earlier: Picked) -> Picked:
        """These pixels of those that ``earlier`` picks."""
        (top, left), (down, across) = earlier.start, earlier.step
        start = (top + self.start[0] * down, left + self.start[1] * across)
        return Picked(start, (self.step[0] * down, self.step[1] * across))


@dataclass(frozen=True)
class Finish:
    """One thing that is done to results: ``affine``, ``bias`` and ``scale`` by channel, ``add`` or ``multiply`` by
    another image (of one pixel: by channel) or a number, or an activation.

    Of an image that is added some pixels may be ``picked``; channels that it lacks are zeros then.
    """

    kind: str
    image: Image | None = None
    number: float | None = None
    picked: Picked | None = None


PARAMETERS = {"affine": 2, "bias": 1, "scale": 1}


def lying(k: Kernel, name: str, image: Image, row: Index, column: Index, channel: Index, lanes: int) -> str:
    """Where ``lanes`` channels of a pixel lie, as loads and stores say it."""
    x = k.sum(k.product(k.sum(column, image.left), image.channels), channel)
    return f"{name}[{k.index(k.sum(row, image.top))}, {k.index(x)}] : {buffer(*image.shape)}, {vector(lanes)}"


def loaded(k: Kernel, name: str, image: Image, row: Index, column: Index, channel: Index, lanes: int) -> str:
    """``lanes`` channels of a pixel."""
    return k.add(f"vector.load {lying(k, name, image, row, column, channel, lanes)}")


def picked(
    k: Kernel, name: str, image: Image, pixels: Picked, at: tuple[Index, Index], channel: Index, lanes: int
) -> str:
    """``lanes`` channels of the pixel that is ``at`` its place among those that are picked; zeros after the image's.

    The image has whole vectors of channels, so that none is half of zeros.
    """
    zero = k.splat(0.0, lanes)
    if isinstance(channel, int) and channel >= image.channels:
        return zero
    row, column = (k.sum(k.product(a, by), first) for a, by, first in zip(at, pixels.step, pixels.start, strict=True))
    if isinstance(channel, int):
        return loaded(k, name, image, row, column, channel, lanes)
    inside = k.add(f"arith.cmpi ult, {channel}, {k.index(image.channels)} : index")
    return k.either(inside, vector(lanes), lambda: loaded(k, name, image, row, column, channel, lanes), zero)


class Finisher:
    """Finishes and stores vectors of results; made once for a kernel, after its own arguments."""

    def __init__(self, kernel: Kernel, finishes: tuple[Finish, ...], out: Image) -> None:
        self.kernel, self.finishes, self.out = kernel, finishes, out
        self.arguments = []
        for finish in finishes:
            if finish.kind in PARAMETERS:
                self.arguments.append(kernel.argument(PARAMETERS[finish.kind], out.channels))
            elif finish.image is not None:
                self.arguments.append(kernel.argument(*finish.image.shape))
            else:
                self.arguments.append("")
        self.result = kernel.argument(*out.shape)

    def store(self, value: str, row: Index, column: Index, channel: Index, lanes: int) -> None:
        """Finish ``lanes`` channels of one pixel of the result and store them."""
        value = self.finish(value, row, column, channel, lanes)
        place = lying(self.kernel, self.result, self.out, row, column, channel, lanes)
        self.kernel.do(f"vector.store {value}, {place}")

    def finish(self, value: str, row: Index, column: Index, channel: Index, lanes: int) -> str:
        """A vector of results after all that is done to it."""
        k, kind = self.kernel, vector(lanes)
        for finish, name in zip(self.finishes, self.arguments, strict=True):
            if finish.kind in PARAMETERS:
                of = f"{buffer(PARAMETERS[finish.kind], self.out.channels)}, {kind}"
                first, second = (f"vector.load {name}[{k.index(place)}, {k.index(channel)}] : {of}" for place in (0, 1))
                if finish.kind == "affine":
                    value = k.product_sum(value, k.add(first), k.add(second), lanes)
                else:
                    operation = "addf" if finish.kind == "bias" else "mulf"
                    value = k.add(f"arith.{operation} {value}, {k.add(first)} : {kind}")
            elif finish.image is not None:
                other = self._other(finish, finish.image, name, (row, column), channel, lanes)
                value = k.add(f"arith.{'addf' if finish.kind == 'add' else 'mulf'} {value}, {other} : {kind}")
            elif finish.number is not None:
                operation = "addf" if finish.kind == "add" else "mulf"
                value = k.add(f"arith.{operation} {value}, {k.splat(finish.number, lanes)} : {kind}")
            else:
                value = ACTIVATIONS[finish.kind](k, value, lanes)
        return value

    def _other(
        self, finish: Finish, image: Image, name: str, at: tuple[Index, Index], channel: Index, lanes: int
    ) -> str:
        """A vector of the image that is added or multiplied by."""
        if finish.picked:
            return picked(self.kernel, name, image, finish.picked, at, channel, lanes)
        where = (0, 0) if image.height * image.width == 1 else at
        return loaded(self.kernel, name, image, *where, channel, lanes)

    def border(self, part: str | None, lanes: int) -> None:
        """Zeros into the frame of the result, by the first part."""
        if not self.out.framed:
            return
        k, out = self.kernel, self.out
        wide = out.columns * out.channels

        def fill() -> None:
            self._zeros(0, out.top, 0, wide, lanes)
            self._zeros(out.rows - out.bottom, out.rows, 0, wide, lanes)
            self._zeros(out.top, out.rows - out.bottom, 0, out.left * out.channels, lanes)
            self._zeros(out.top, out.rows - out.bottom, wide - out.right * out.channels, wide, lanes)

        k.first(part, fill)

    def _zeros(self, top: int, bottom: int, left: int, right: int, lanes: int) -> None:
        k = self.kernel
        if top >= bottom or left >= right:
            return
        kind = f"{buffer(*self.out.shape)}, {{}}"

        def store(row: str, at: Index, size: int) -> None:
            zero = k.splat(0.0, size)
            k.do(f"vector.store {zero}, {self.result}[{row}, {k.index(at)}] : {kind.format(vector(size))}")

        def fill(row: str) -> None:
            pieces = chunks(right - left, lanes)
            full = sum(size == lanes for _, size in pieces)
            if full:
                k.each(left, left + full * lanes, lanes, lambda at: store(row, at, lanes))
            for at, size in pieces[full:]:
                store(row, left + at, size)

        k.each(top, bottom, 1, fill)


def _clamped(k: Kernel, value: str, low: float, high: float, lanes: int) -> str:
    kind = vector(lanes)
    value = k.add(f"arith.maximumf {value}, {k.splat(low, lanes)} : {kind}")
    return k.add(f"arith.minimumf {value}, {k.splat(high, lanes)} : {kind}")


def relu(k: Kernel, x: str, lanes: int) -> str:
    """max(x, 0)."""
    return k.add(f"arith.maximumf {x}, {k.splat(0.0, lanes)} : {vector(lanes)}")


def relu6(k: Kernel, x: str, lanes: int) -> str:
    """min(max(x, 0), 6)."""
    return _clamped(k, x, 0.0, 6.0, lanes)


def hardsigmoid(k: Kernel, x: str, lanes: int) -> str:
    """relu6(x + 3) / 6."""
    scaled = k.product_sum(x, k.splat(1 / 6, lanes), k.splat(0.5, lanes), lanes)
    return _clamped(k, scaled, 0.0, 1.0, lanes)


def hardswish(k: Kernel, x: str, lanes: int) -> str:
    """x * hardsigmoid(x)."""
    return k.add(f"arith.mulf {x}, {hardsigmoid(k, x, lanes)} : {vector(lanes)}")


def exponential(k: Kernel, x: str, lanes: int) -> str:
    """exp(x)."""
    return k.add(f"math.exp {x} : {vector(lanes)}")


def sigmoid(k: Kernel, x: str, lanes: int) -> str:
    """1 / (1 + exp(-x))."""
    kind, one = vector(lanes), k.splat(1.0, lanes)
    negative = k.add(f"arith.negf {x} : {kind}")
    below = k.add(f"arith.addf {exponential(k, negative, lanes)}, {one} : {kind}")
    return k.add(f"arith.divf {one}, {below} : {kind}")


def silu(k: Kernel, x: str, lanes: int) -> str:
    """x * sigmoid(x)."""
    return k.add(f"arith.mulf {x}, {sigmoid(k, x, lanes)} : {vector(lanes)}")


def gelu(k: Kernel, x: str, lanes: int) -> str:
    """x / 2 * (1 + erf(x / sqrt(2)))."""
    kind = vector(lanes)
    inner = k.add(f"arith.mulf {x}, {k.splat(0.5**0.5, lanes)} : {kind}")
    outer = k.add(f"math.erf {inner} : {kind}")
    half = k.add(f"arith.mulf {x}, {k.splat(0.5, lanes)} : {kind}")
    return k.product_sum(outer, half, half, lanes)


def gelu_tanh(k: Kernel, x: str, lanes: int) -> str:
    """x * sigmoid(1.5958 * (x + 0.044715 x^3)), GELU by its tanh."""
    kind = vector(lanes)
    square = k.add(f"arith.mulf {x}, {x} : {kind}")
    two = 2 * (2 / 3.141592653589793) ** 0.5
    factor = k.product_sum(square, k.splat(0.044715 * two, lanes), k.splat(two, lanes), lanes)
    inner = k.add(f"arith.mulf {factor}, {x} : {kind}")
    return k.add(f"arith.mulf {x}, {sigmoid(k, inner, lanes)} : {kind}")


ACTIVATIONS: dict[str, Callable[[Kernel, str, int], str]] = {
    "relu": relu,
    "relu6": relu6,
    "hardsigmoid": hardsigmoid,
    "hardswish": hardswish,
    "sigmoid": sigmoid,
    "silu": silu,
    "gelu": gelu,
    "gelu_tanh": gelu_tanh,
}
