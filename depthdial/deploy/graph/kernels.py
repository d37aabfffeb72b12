"""The kernels that are no convolutions: means, pools, norms, and what is done to every value alone."""

from __future__ import annotations

from collections.abc import Callable

from depthdial.deploy.graph.convolution import balanced
from depthdial.deploy.graph.images import Finish, Finisher, Image, Picked, chunks, loaded, picked
from depthdial.deploy.graph.text import Index, Kernel, buffer, vector

TOGETHER = 4
"""Vectors, or pixels, whose sums are added up side by side: as many as additions that a processor has under way."""


def _by_channel(k: Kernel, channels: int, lanes: int, body: Callable[[list[tuple[Index, int]]], None]) -> None:
    """``body`` for groups of vectors (first channel, lanes) that cover all channels."""
    pieces = chunks(channels, lanes)
    full = sum(size == lanes for _, size in pieces)
    for first, count, size in balanced(full, TOGETHER) if full else []:

        def group(step: str, first: int = first, size: int = size) -> None:
            channel = k.sum(k.product(step, size * lanes), first * lanes)
            body([(k.sum(channel, place * lanes), lanes) for place in range(size)])

        k.each(0, count, 1, group)
    for piece in pieces[full:]:
        body([piece])


def mapped(k: Kernel, source: Image, out: Image, finishes: tuple[Finish, ...], pixels: Picked | None = None) -> None:
    """Finishes alone, from one image, or some ``pixels`` of it, to another. Arguments: source, finishes, result."""
    lanes = k.lanes
    given = k.argument(*source.shape)
    finisher = Finisher(k, finishes, out)
    finisher.border(None, lanes)

    def pixel(row: str, column: str) -> None:
        def body(vectors: list[tuple[Index, int]]) -> None:
            for channel, size in vectors:
                if pixels:
                    value = picked(k, given, source, pixels, (row, column), channel, size)
                else:
                    value = loaded(k, given, source, row, column, channel, size)
                finisher.store(value, row, column, channel, size)

        _by_channel(k, out.channels, lanes, body)

    k.each(0, out.height, 1, lambda row: k.each(0, out.width, 1, lambda column: pixel(row, column)))


def turned(k: Kernel, source: Image, out: Image) -> None:
    """Channels first (as a plain buffer: channels, pixels) to an image. Arguments: source, result."""
    given = k.argument(out.channels, out.height * out.width)
    finisher = Finisher(k, (), out)
    finisher.border(None, 1)

    def pixel(row: str, column: str) -> None:
        place = k.index(k.sum(k.product(row, out.width), column))
        for channel in range(out.channels):
            kind = f"{buffer(out.channels, out.height * out.width)}, {vector(1)}"
            value = k.add(f"vector.load {given}[{k.index(channel)}, {place}] : {kind}")
            finisher.store(value, row, column, channel, 1)

    k.each(0, out.height, 1, lambda row: k.each(0, out.width, 1, lambda column: pixel(row, column)))


def averaged(k: Kernel, source: Image, out: Image, finishes: tuple[Finish, ...]) -> None:
    """The mean over all pixels. Arguments: source, finishes, result."""
    lanes = k.lanes
    given = k.argument(*source.shape)
    finisher = Finisher(k, finishes, out)

    def body(vectors: list[tuple[Index, int]]) -> None:
        zeros = [(k.splat(0.0, size), vector(size)) for _, size in vectors]

        def pixel(row: str) -> Callable[[str, list[str]], list[str]]:
            def add(column: str, sums: list[str]) -> list[str]:
                values = [loaded(k, given, source, row, column, channel, size) for channel, size in vectors]
                pairs = zip(sums, values, zeros, strict=True)
                return [k.add(f"arith.addf {total}, {value} : {kind}") for total, value, (_, kind) in pairs]

            return add

        def line(row: str, sums: list[str]) -> list[str]:
            carried = [(value, kind) for value, (_, kind) in zip(sums, zeros, strict=True)]
            return k.loop(0, source.width, 1, carried, pixel(row))

        sums = k.loop(0, source.height, 1, zeros, line)
        for total, (channel, size) in zip(sums, vectors, strict=True):
            share = k.splat(1 / (source.height * source.width), size)
            finisher.store(k.add(f"arith.mulf {total}, {share} : {vector(size)}"), 0, 0, channel, size)

    _by_channel(k, out.channels, lanes, body)


def pooled(
    k: Kernel,
    source: Image,
    out: Image,
    finishes: tuple[Finish, ...],
    window: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    op: str,
    counted: bool,
) -> None:
    """The ``max`` or ``average`` of windows; what lies outside of the image counts in averages, if ``counted``."""
    lanes = k.lanes
    given = k.argument(*source.shape)
    finisher = Finisher(k, finishes, out)
    finisher.border(None, lanes)
    combine = "maximumf" if op == "max" else "addf"

    def bounds(at: str, axis: int, size: int) -> tuple[Index, Index]:
        start = k.sum(k.product(at, stride[axis]), -padding[axis])
        stop = k.sum(start, window[axis])
        if padding[axis] == 0 and (size - window[axis]) % stride[axis] == 0:
            return start, stop
        low = k.add(f"arith.maxsi {k.index(start)}, {k.index(0)} : index")
        return low, k.add(f"arith.minsi {k.index(stop)}, {k.index(size)} : index")

    def pixel(row: str, column: str, rows: tuple[Index, Index]) -> None:
        columns = bounds(column, 1, source.width)

        def body(vectors: list[tuple[Index, int]]) -> None:
            first = -3.4028234663852886e38 if op == "max" else 0.0
            start = [(k.splat(first, size), vector(size)) for _, size in vectors]

            def line(y: str, values: list[str]) -> list[str]:
                def one(x: str, values: list[str]) -> list[str]:
                    read = [loaded(k, given, source, y, x, channel, size) for channel, size in vectors]
                    pairs = zip(values, read, start, strict=True)
                    return [k.add(f"arith.{combine} {old}, {new} : {kind}") for old, new, (_, kind) in pairs]

                return k.loop(*columns, 1, [(v, kind) for v, (_, kind) in zip(values, start, strict=True)], one)

            values = k.loop(*rows, 1, start, line)
            for value, (channel, size) in zip(values, vectors, strict=True):
                if op == "average":
                    value = _divided(k, value, size, None if counted else (rows, columns), window)
                finisher.store(value, row, column, channel, size)

        _by_channel(k, out.channels, lanes, body)

    def line(row: str) -> None:
        rows = bounds(row, 0, source.height)
        k.each(0, out.width, 1, lambda column: pixel(row, column, rows))

    k.each(0, out.height, 1, line)


def _divided(
    k: Kernel, value: str, lanes: int, inside: tuple[tuple[Index, Index], ...] | None, window: tuple[int, int]
) -> str:
    """A sum over the whole window, or over what of it lies ``inside``, as a mean."""
    if inside is None:
        return k.add(f"arith.mulf {value}, {k.splat(1 / (window[0] * window[1]), lanes)} : {vector(lanes)}")
    spans = [k.add(f"arith.subi {k.index(stop)}, {k.index(start)} : index") for start, stop in inside]
    count = k.add(f"arith.muli {spans[0]}, {spans[1]} : index")
    whole = k.add(f"arith.index_cast {count} : index to i32")
    number = k.add(f"arith.sitofp {whole} : i32 to f32")
    spread = k.add(f"vector.broadcast {number} : f32 to {vector(lanes)}")
    return k.add(f"arith.divf {value}, {spread} : {vector(lanes)}")


def normalised(k: Kernel, source: Image, out: Image, finishes: tuple[Finish, ...], epsilon: float) -> None:
    """Each pixel less its mean over channels, over its deviation. Arguments: source, finishes, result.

    Means and deviations are computed one after the other, as PyTorch does, of ``TOGETHER`` pixels side by side.
    """
    lanes = k.lanes
    given = k.argument(*source.shape)
    finisher = Finisher(k, finishes, out)
    finisher.border(None, lanes)
    pieces = chunks(out.channels, lanes)
    full = sum(size == lanes for _, size in pieces)
    share = k.scalar(1 / out.channels)
    small = k.scalar(epsilon)

    def total(row: str, columns: list[Index], term: Callable[[int, str, int], str]) -> list[str]:
        """The sum over channels of a term of each value, for each of the pixels."""
        kind = vector(lanes)

        def one(channel: str, sums: list[str]) -> list[str]:
            at = k.product(channel, lanes)
            values = [loaded(k, given, source, row, column, at, lanes) for column in columns]
            terms = [term(place, value, lanes) for place, value in enumerate(values)]
            return [k.add(f"arith.addf {old}, {new} : {kind}") for old, new in zip(sums, terms, strict=True)]

        sums = k.loop(0, full, 1, [(k.splat(0.0, lanes), kind) for _ in columns], one)
        found = []
        for place, column in enumerate(columns):
            value = k.add(f"vector.reduction <add>, {sums[place]} fastmath<reassoc> : {kind} into f32")
            for channel, size in pieces[full:]:
                rest = term(place, loaded(k, given, source, row, column, channel, size), size)
                more = k.add(f"vector.reduction <add>, {rest} fastmath<reassoc> : {vector(size)} into f32")
                value = k.add(f"arith.addf {value}, {more} : f32")
            found.append(value)
        return found

    def spread(value: str, size: int) -> str:
        return k.add(f"vector.broadcast {value} : f32 to {vector(size)}")

    def pixels(row: str, columns: list[Index]) -> None:
        means = [k.add(f"arith.mulf {one}, {share} : f32") for one in total(row, columns, lambda _, value, __: value)]

        def squared(place: int, value: str, size: int) -> str:
            centred = k.add(f"arith.subf {value}, {spread(means[place], size)} : {vector(size)}")
            return k.add(f"arith.mulf {centred}, {centred} : {vector(size)}")

        factors = []
        for one in total(row, columns, squared):
            variance = k.add(f"arith.addf {k.add(f'arith.mulf {one}, {share} : f32')}, {small} : f32")
            root = k.add(f"math.sqrt {variance} : f32")
            factors.append(k.add(f"arith.divf {k.scalar(1.0)}, {root} : f32"))

        def write(channel: Index, size: int) -> None:
            for place, column in enumerate(columns):
                value = loaded(k, given, source, row, column, channel, size)
                centred = k.add(f"arith.subf {value}, {spread(means[place], size)} : {vector(size)}")
                scaled = k.add(f"arith.mulf {centred}, {spread(factors[place], size)} : {vector(size)}")
                finisher.store(scaled, row, column, channel, size)

        k.each(0, full, 1, lambda step: write(k.product(step, lanes), lanes))
        for channel, size in pieces[full:]:
            write(channel, size)

    def line(row: str) -> None:
        for first, count, size in balanced(out.width, TOGETHER):

            def piece(step: str, first: int = first, size: int = size) -> None:
                column = k.sum(k.product(step, size), first)
                pixels(row, [k.sum(column, place) for place in range(size)])

            k.each(0, count, 1, piece)

    k.each(0, out.height, 1, line)
