"""Convolutions as kernels: any filter, stride and groups, by tiles of sums that stay in registers.

A tile is a few pixels by a few vectors of output channels, as the inner kernel of a matrix product is (Goto and van
de Geijn 2008): for each input channel the vectors of weights are loaded once, and each pixel's value is broadcast
and multiplied with all of them. Weights lie as (block, rows, row of the filter, 16 output channels), so that they are
read from beginning to end; a row of the filter over a row of pixels is one run of memory, so filters without dilation
or groups need two loops only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from math import prod

from pydantic import BaseModel, ConfigDict, Field

from depthdial.deploy.graph.images import Finish, Finisher, Image, chunks
from depthdial.deploy.graph.text import Index, Kernel, buffer, vector

BLOCK = 16
"""Output channels that lie side by side in the archive, whatever the target: a multiple of every vector's floats."""


class Cut(BaseModel):
    """How loops are cut: rows and columns of pixels and vectors of output channels whose sums are in registers."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    rows: int = Field(ge=1, le=64)
    columns: int = Field(ge=1, le=64)
    vectors: int = Field(ge=1, le=64)
    parts: int = Field(default=1, ge=1, le=64)
    """Into how many parts the work is cut, which several cores may share."""


@dataclass(frozen=True)
class Convolution:
    """A convolution from a framed image: ``top`` and ``left`` are where in the frame the first filter lies."""

    source: Image
    out: Image
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    groups: int
    top: int
    left: int
    finishes: tuple[Finish, ...]

    @property
    def inside(self) -> int:
        """Input channels of a group."""
        return self.source.channels // self.groups

    @property
    def outside(self) -> int:
        """Output channels of a group."""
        return self.out.channels // self.groups

    @property
    def depthwise(self) -> bool:
        """Whether every channel is convolved alone."""
        return self.groups > 1 and self.groups == self.source.channels == self.out.channels

    @property
    def name(self) -> str:
        """Its shape in words: convolutions of one name are cut alike."""
        window = "x".join(map(str, (*self.kernel, self.inside)))
        out = "x".join(map(str, (self.out.height, self.out.width, self.out.channels)))
        steps = "_".join("x".join(map(str, pair)) for pair in (self.stride, self.dilation))
        return f"conv_{out}_{window}_{steps}_{self.groups}"

    @property
    def shared(self) -> str:
        """Along which axis cores share the work: each reads its part alone of what is larger, image or weights."""
        if self.source.size < prod(self.weights_shape):
            return "channels"
        return "rows" if self.out.height > 1 else "columns"

    @property
    def weights_shape(self) -> tuple[int, int, int, int]:
        """(groups * blocks, rows, row of the filter, 16)."""
        blocks = self.groups * -(-self.outside // BLOCK)
        return blocks, self.kernel[0], self.runs[0] * self.runs[1], BLOCK

    @property
    def runs(self) -> tuple[int, int]:
        """How often, and over how many values that lie side by side, a row of the filter is summed."""
        if self.groups == 1 and self.dilation[1] == 1:
            return 1, self.kernel[1] * self.inside
        return self.kernel[1], self.inside


def even_share(whole: int, parts: int) -> int:
    """What each of ``parts`` has of ``whole`` if all have the same, or 0.

    Parts are cut into tiles apart then: tiles shared out whole would leave one part more than another, and channels
    of one cache line to two cores.
    """
    return whole // parts if whole % parts == 0 else 0


def balanced(whole: int, most: int) -> list[tuple[int, int, int]]:
    """(first, how many, size) of pieces that differ by at most one and are no larger than ``most``."""
    pieces = max(1, -(-whole // most))
    small, larger = divmod(whole, pieces)
    found = [(0, larger, small + 1), (larger * (small + 1), pieces - larger, small)]
    return [piece for piece in found if piece[1] and piece[2]]


Region = tuple[Index, Index, Index, int]
"""(first, first step, last step, size) of tiles along an axis."""


def shares(k: Kernel, part: Index | None, parts: int, whole: int, most: int) -> list[Region]:
    """The tiles, of at most ``most``, that are this part's of ``parts``; all of them if ``part`` is None."""
    if part is None:
        return [(first, 0, count, size) for first, count, size in balanced(whole, most)]
    if share := even_share(whole, parts):
        own = k.product(part, share)
        return [(k.sum(own, first), 0, count, size) for first, count, size in balanced(share, most)]
    found: list[Region] = []
    for first, count, size in balanced(whole, most):
        ends = [k.product(k.sum(part, offset), count) for offset in (0, 1)]
        start, stop = (k.add(f"arith.divui {k.index(end)}, {k.index(parts)} : index") for end in ends)
        found.append((first, start, stop, size))
    return found


def convolved(k: Kernel, c: Convolution, cut: Cut) -> None:
    """The kernel of a convolution of any kind."""
    (depthwise if c.depthwise else dense)(k, c, cut)


def dense(k: Kernel, c: Convolution, cut: Cut) -> None:
    """The kernel of a convolution. Arguments: source, weights (groups * blocks, rows, row, 16), finishes, result."""
    lanes = k.lanes
    source, weights = k.argument(*c.source.shape), k.argument(*c.weights_shape)
    finisher = Finisher(k, c.finishes, c.out)
    part = k.add("stream.dispatch.workgroup.id[0] : index") if cut.parts > 1 else None
    finisher.border(part, lanes)

    def regions(axis: str, whole: int, most: int) -> list[Region]:
        return shares(k, part if axis == c.shared else None, cut.parts, whole, most)

    def channels(group: Index) -> None:
        pieces = chunks(c.outside, lanes)
        full = sum(size == lanes for _, size in pieces)
        for first, start, stop, size in regions("channels", full, cut.vectors):

            def piece(step: str, first: Index = first, size: int = size) -> None:
                channel = k.sum(k.product(step, size * lanes), k.product(first, lanes))
                rows([(k.sum(channel, place * lanes), lanes) for place in range(size)], group)

            k.each(start, stop, 1, piece)
        if rest := pieces[full:]:
            vectors: list[tuple[Index, int]] = list(rest)
            k.first(part if c.shared == "channels" else None, lambda: rows(vectors, group))

    def rows(vectors: list[tuple[Index, int]], group: Index) -> None:
        for first, start, stop, size in regions("rows", c.out.height, cut.rows):

            def piece(step: str, first: Index = first, size: int = size) -> None:
                columns(vectors, group, k.sum(k.product(step, size), first), size)

            k.each(start, stop, 1, piece)

    def columns(vectors: list[tuple[Index, int]], group: Index, row: Index, high: int) -> None:
        for first, start, stop, size in regions("columns", c.out.width, cut.columns):

            def piece(step: str, first: Index = first, size: int = size) -> None:
                column = k.sum(k.product(step, size), first)
                _tile(c, k, (source, weights), finisher, vectors, group, (row, column), (high, size))

            k.each(start, stop, 1, piece)

    if c.groups == 1:
        channels(0)
    else:
        k.each(0, c.groups, 1, channels)


def products(
    k: Kernel,
    count: Index,
    sums: list[str],
    rows: int,
    widths: list[int],
    weight: Callable[[str, int], str],
    scalar: Callable[[str, int], str],
) -> list[str]:
    """``rows`` times ``widths`` sums, row by row, with ``count`` products of a scalar and a vector added to each.

    ``weight`` and ``scalar`` say how the vector of a width, and the scalar of a row, is loaded for a counter.
    """

    def one(value: str, sums: list[str]) -> list[str]:
        loaded = [k.add(weight(value, place)) for place in range(len(widths))]
        given = []
        for row in range(rows):
            x, spread = k.add(scalar(value, row)), {}
            for lanes in dict.fromkeys(widths):
                spread[lanes] = k.add(f"vector.broadcast {x} : f32 to {vector(lanes)}")
            for place, lanes in enumerate(widths):
                into = sums[row * len(widths) + place]
                given.append(k.product_sum(spread[lanes], loaded[place], into, lanes))
        return given

    kinds = [vector(lanes) for _ in range(rows) for lanes in widths]
    return k.loop(0, count, 1, list(zip(sums, kinds, strict=True)), one)


def _tile(
    c: Convolution,
    k: Kernel,
    arguments: tuple[str, str],
    finisher: Finisher,
    vectors: list[tuple[Index, int]],
    group: Index,
    at: tuple[Index, Index],
    size: tuple[int, int],
) -> None:
    """Sums of ``size`` pixels from ``at`` on, and of ``vectors`` (first channel in the group, lanes); stored."""
    source, weights = arguments
    blocks = -(-c.outside // BLOCK)
    pixels = [(y, x) for y in range(size[0]) for x in range(size[1])]
    base_row = k.sum(k.product(at[0], c.stride[0]), c.top)
    base = k.product(k.sum(k.product(at[1], c.stride[1]), c.left), c.source.channels)
    base = k.sum(base, k.product(group, c.inside))
    places = []
    for channel, _ in vectors:
        if isinstance(channel, int):
            block: Index = channel // BLOCK
            lane: Index = channel % BLOCK
        else:
            block = k.add(f"arith.divui {channel}, {k.index(BLOCK)} : index")
            lane = k.add(f"arith.remui {channel}, {k.index(BLOCK)} : index")
        places.append((k.sum(block, k.product(group, blocks)), lane))
    widths = [lanes for _, lanes in vectors]
    zeros = [(k.splat(0.0, lanes), vector(lanes)) for _ in pixels for lanes in widths]

    def filter_row(y: str, sums: list[str]) -> list[str]:
        above = k.sum(base_row, k.product(y, c.dilation[0]))
        lines = [k.index(k.sum(above, row * c.stride[0])) for row, _ in pixels]

        def run(number: str, sums: list[str]) -> list[str]:
            start = k.product(number, c.dilation[1] * c.source.channels)
            first = k.product(number, c.runs[1])
            starts = [k.sum(k.sum(base, start), column * c.stride[1] * c.source.channels) for _, column in pixels]

            def weight(value: str, at: int) -> str:
                (block, lane), (_, lanes) = places[at], vectors[at]
                place = k.index(k.sum(value, first))
                return (
                    f"vector.load {weights}[{k.index(block)}, {y}, {place}, {k.index(lane)}] : "
                    f"{buffer(*c.weights_shape)}, {vector(lanes)}"
                )

            def pixel(value: str, at: int) -> str:
                x = k.index(k.sum(starts[at], value))
                return f"memref.load {source}[{lines[at]}, {x}] : {buffer(*c.source.shape)}"

            return products(k, c.runs[1], sums, len(pixels), widths, weight, pixel)

        return k.loop(0, c.runs[0], 1, [(s, kind) for s, (_, kind) in zip(sums, zeros, strict=True)], run)

    sums = k.loop(0, c.kernel[0], 1, zeros, filter_row)
    first = k.product(group, c.outside)
    for number, (y, x) in enumerate(pixels):
        for place, (channel, lanes) in enumerate(vectors):
            row, column = k.sum(at[0], y), k.sum(at[1], x)
            finisher.store(sums[number * len(vectors) + place], row, column, k.sum(first, channel), lanes)


def depthwise(k: Kernel, c: Convolution, cut: Cut) -> None:
    """The kernel of a convolution of each channel alone. Arguments: source, weights (places, C), finishes, result.

    A tile is ``cut.columns`` pixels of a row; a pixel that is read is used by all of them. ``cut.rows`` rows are
    computed together.
    """
    lanes = k.lanes
    source, weights = k.argument(*c.source.shape), k.argument(c.kernel[0] * c.kernel[1], c.out.channels)
    finisher = Finisher(k, c.finishes, c.out)
    part = k.add("stream.dispatch.workgroup.id[0] : index") if cut.parts > 1 else None
    finisher.border(part, lanes)

    def channels(channel: Index, size: int) -> None:
        kind = f"{buffer(c.kernel[0] * c.kernel[1], c.out.channels)}, {vector(size)}"
        loaded = [
            k.add(f"vector.load {weights}[{k.index(place)}, {k.index(channel)}] : {kind}")
            for place in range(c.kernel[0] * c.kernel[1])
        ]
        for first, count, high in balanced(c.out.height, cut.rows):

            def row(step: str, first: int = first, high: int = high) -> None:
                at = k.sum(k.product(step, high), first)
                for left, pieces, wide in balanced(c.out.width, cut.columns):

                    def piece(number: str, left: int = left, wide: int = wide) -> None:
                        column = k.sum(k.product(number, wide), left)
                        _window(c, k, source, finisher, loaded, (at, column), (high, wide), channel, size)

                    k.each(0, pieces, 1, piece)

            k.each(0, count, 1, row)

    pieces = chunks(c.out.channels, lanes)
    full = sum(size == lanes for _, size in pieces)
    if full:
        start: Index = 0
        stop: Index = full
        if part is not None:
            ends = [k.product(k.sum(part, offset), full) for offset in (0, 1)]
            start, stop = (k.add(f"arith.divui {k.index(end)}, {k.index(cut.parts)} : index") for end in ends)
        k.each(start, stop, 1, lambda step: channels(k.product(step, lanes), lanes))

    def tail() -> None:
        for channel, size in pieces[full:]:
            channels(channel, size)

    k.first(part, tail)


def _window(
    c: Convolution,
    k: Kernel,
    source: str,
    finisher: Finisher,
    weights: list[str],
    at: tuple[Index, Index],
    size: tuple[int, int],
    channel: Index,
    lanes: int,
) -> None:
    """``lanes`` channels of ``size`` pixels from ``at`` on: a vector that is read goes into all sums that it is of."""
    kind, (high, wide) = vector(lanes), c.kernel
    zero = k.splat(0.0, lanes)
    sums = {(y, x): zero for y in range(size[0]) for x in range(size[1])}
    top = k.sum(k.product(at[0], c.stride[0]), c.top)
    left = k.product(k.sum(k.product(at[1], c.stride[1]), c.left), c.source.channels)
    left = k.sum(left, channel)
    uses: dict[tuple[int, int], list[tuple[tuple[int, int], int]]] = {}
    for y, x in sums:
        for j in range(high):
            for i in range(wide):
                read = (y * c.stride[0] + j * c.dilation[0], x * c.stride[1] + i * c.dilation[1])
                uses.setdefault(read, []).append(((y, x), j * wide + i))
    for line, group in groupby(sorted(uses), key=lambda read: read[0]):
        row = k.index(k.sum(top, line))
        for _, offset in group:
            column = k.index(k.sum(left, offset * c.source.channels))
            value = k.add(f"vector.load {source}[{row}, {column}] : {buffer(*c.source.shape)}, {kind}")
            for pixel, place in uses[line, offset]:
                sums[pixel] = k.product_sum(value, weights[place], sums[pixel], lanes)
    for (y, x), value in sums.items():
        finisher.store(value, k.sum(at[0], y), k.sum(at[1], x), channel, lanes)
