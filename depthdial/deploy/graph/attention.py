"""Products of activations with each other, and attention: batches of small matrices, a few rows at a time."""

from __future__ import annotations

from collections.abc import Callable

from depthdial.deploy.graph.convolution import balanced, products
from depthdial.deploy.graph.images import chunks, exponential
from depthdial.deploy.graph.text import Index, Kernel, buffer, vector


def multiplied(k: Kernel, batch: int, rows: int, inside: int, columns: int, tile: tuple[int, int]) -> None:
    """A product for each of a batch: left (batch, rows * inside), right (batch * inside, columns), result."""
    lanes = k.lanes
    left = k.argument(batch, rows * inside)
    right = k.argument(batch * inside, columns)
    result = k.argument(batch, rows * columns)

    def one(number: str) -> None:
        _product(
            k,
            rows,
            columns,
            inside,
            tile,
            lanes,
            lambda row, at: (
                f"memref.load {left}[{number}, {k.index(k.sum(k.product(row, inside), at))}] : "
                f"{buffer(batch, rows * inside)}"
            ),
            lambda at, column, size: (
                f"vector.load {right}[{k.index(k.sum(k.product(number, inside), at))}, "
                f"{k.index(column)}] : {buffer(batch * inside, columns)}, {vector(size)}"
            ),
            lambda value, row, column, size: k.do(
                f"vector.store {value}, {result}[{number}, {k.index(k.sum(k.product(row, columns), column))}] : "
                f"{buffer(batch, rows * columns)}, {vector(size)}"
            ),
        )

    k.each(0, batch, 1, one)


Load = Callable[[Index, Index], str]
LoadVector = Callable[[Index, Index, int], str]
Store = Callable[[str, Index, Index, int], None]


def _product(
    k: Kernel,
    rows: int,
    columns: int,
    inside: int,
    tile: tuple[int, int],
    lanes: int,
    scalar: Load,
    weight: LoadVector,
    store: Store,
) -> None:
    """rows x inside times inside x columns, by tiles of (rows, vectors)."""
    pieces = chunks(columns, lanes)
    full = sum(size == lanes for _, size in pieces)

    def tiles(vectors: list[tuple[Index, int]]) -> None:
        for first, count, size in balanced(rows, tile[0]):

            def piece(step: str, first: int = first, size: int = size) -> None:
                row = k.sum(k.product(step, size), first)
                zeros = [k.splat(0.0, wide) for _ in range(size) for _, wide in vectors]
                sums = products(
                    k,
                    inside,
                    zeros,
                    size,
                    [wide for _, wide in vectors],
                    lambda at, place: weight(at, *vectors[place]),
                    lambda at, place: scalar(k.sum(row, place), at),
                )
                for number, value in enumerate(sums):
                    channel, wide = vectors[number % len(vectors)]
                    store(value, k.sum(row, number // len(vectors)), channel, wide)

            k.each(0, count, 1, piece)

    for first, count, size in balanced(full, tile[1]) if full else []:

        def group(step: str, first: int = first, size: int = size) -> None:
            column = k.sum(k.product(step, size * lanes), first * lanes)
            tiles([(k.sum(column, place * lanes), lanes) for place in range(size)])

        k.each(0, count, 1, group)
    for piece in pieces[full:]:
        tiles([piece])


def softmax(k: Kernel, rows: int, columns: int) -> None:
    """exp(x) over its sum in each row. Arguments: source and result (rows, columns)."""
    lanes = k.lanes
    kind = buffer(rows, columns)
    source, result = k.argument(rows, columns), k.argument(rows, columns)

    def row(number: str) -> None:
        total = _exponentials(k, source, result, kind, number, columns, lanes)
        _over(k, result, kind, number, columns, lanes, total)

    k.each(0, rows, 1, row)


def _each_vector(k: Kernel, columns: int, lanes: int, body: Callable[[Index, int], None]) -> None:
    pieces = chunks(columns, lanes)
    full = sum(size == lanes for _, size in pieces)
    k.each(0, full, 1, lambda step: body(k.product(step, lanes), lanes))
    for at, size in pieces[full:]:
        body(at, size)


def _reduced(k: Kernel, columns: int, lanes: int, first: float, op: str, body: Callable[[Index, int], str]) -> str:
    """What ``op`` makes of all values that ``body`` gives for the vectors of a row."""
    pieces = chunks(columns, lanes)
    full = sum(size == lanes for _, size in pieces)
    word, name = ("add", "addf") if op == "add" else ("maximumf", "maximumf")
    kind = vector(lanes)

    def one(step: str, carried: list[str]) -> list[str]:
        return [k.add(f"arith.{name} {carried[0]}, {body(k.product(step, lanes), lanes)} : {kind}")]

    value = k.loop(0, full, 1, [(k.splat(first, lanes), kind)], one)[0]
    found = k.add(f"vector.reduction <{word}>, {value} fastmath<reassoc> : {kind} into f32")
    for at, size in pieces[full:]:
        more = k.add(f"vector.reduction <{word}>, {body(at, size)} fastmath<reassoc> : {vector(size)} into f32")
        found = k.add(f"arith.{name} {found}, {more} : f32")
    return found


def _exponentials(k: Kernel, source: str, result: str, kind: str, row: str, columns: int, lanes: int) -> str:
    """exp(x - max) of a row, stored, and its sum."""

    def read(at: Index, size: int) -> str:
        return k.add(f"vector.load {source}[{row}, {k.index(at)}] : {kind}, {vector(size)}")

    largest = _reduced(k, columns, lanes, -3.4028234663852886e38, "max", read)

    def power(at: Index, size: int) -> str:
        top = k.add(f"vector.broadcast {largest} : f32 to {vector(size)}")
        below = k.add(f"arith.subf {read(at, size)}, {top} : {vector(size)}")
        value = exponential(k, below, size)
        k.do(f"vector.store {value}, {result}[{row}, {k.index(at)}] : {kind}, {vector(size)}")
        return value

    return _reduced(k, columns, lanes, 0.0, "add", power)


def _over(k: Kernel, result: str, kind: str, row: str, columns: int, lanes: int, total: str) -> None:
    """Divide a row."""
    factor = k.add(f"arith.divf {k.scalar(1.0)}, {total} : f32")

    def one(at: Index, size: int) -> None:
        value = k.add(f"vector.load {result}[{row}, {k.index(at)}] : {kind}, {vector(size)}")
        spread = k.add(f"vector.broadcast {factor} : f32 to {vector(size)}")
        scaled = k.add(f"arith.mulf {value}, {spread} : {vector(size)}")
        k.do(f"vector.store {scaled}, {result}[{row}, {k.index(at)}] : {kind}, {vector(size)}")

    _each_vector(k, columns, lanes, one)


def attention(k: Kernel, batch: int, queries: int, keys: int, deep: int, scale: float, tile: tuple[int, int]) -> None:
    """softmax(q k^T * scale) v for each of a batch.

    Arguments: q (batch, queries * deep), k transposed (batch * deep, keys), v (batch * keys, deep), result as q.
    A few rows of scores at a time lie in memory, as many as a tile has, so that they stay in the nearest cache.
    """
    lanes = k.lanes
    q, turned = k.argument(batch, queries * deep), k.argument(batch * deep, keys)
    v, result = k.argument(batch * keys, deep), k.argument(batch, queries * deep)
    together = max(size for _, _, size in balanced(queries, tile[0]))
    kind = buffer(together, keys)
    scores = k.add(f"memref.alloca() : {kind}")

    def rows(number: str, first: Index, size: int) -> None:
        def keep(value: str, row: Index, column: Index, wide: int) -> None:
            scaled = k.add(f"arith.mulf {value}, {k.splat(scale, wide)} : {vector(wide)}")
            k.do(f"vector.store {scaled}, {scores}[{k.index(row)}, {k.index(column)}] : {kind}, {vector(wide)}")

        def query(row: Index, at: Index) -> str:
            place = k.sum(k.product(k.sum(first, row), deep), at)
            return f"memref.load {q}[{number}, {k.index(place)}] : {buffer(batch, queries * deep)}"

        def key(at: Index, column: Index, wide: int) -> str:
            row = k.index(k.sum(k.product(number, deep), at))
            return f"vector.load {turned}[{row}, {k.index(column)}] : {buffer(batch * deep, keys)}, {vector(wide)}"

        _product(k, size, keys, deep, tile, lanes, query, key, keep)
        for row in range(size):
            total = _exponentials(k, scores, scores, kind, k.index(row), keys, lanes)
            _over(k, scores, kind, k.index(row), keys, lanes, total)

        def score(row: Index, at: Index) -> str:
            return f"memref.load {scores}[{k.index(row)}, {k.index(at)}] : {kind}"

        def value(at: Index, column: Index, wide: int) -> str:
            row = k.index(k.sum(k.product(number, keys), at))
            return f"vector.load {v}[{row}, {k.index(column)}] : {buffer(batch * keys, deep)}, {vector(wide)}"

        def store(total: str, row: Index, column: Index, wide: int) -> None:
            place = k.index(k.sum(k.product(k.sum(first, row), deep), column))
            k.do(f"vector.store {total}, {result}[{number}, {place}] : {buffer(batch, queries * deep)}, {vector(wide)}")

        _product(k, size, deep, keys, tile, lanes, score, value, store)

    def one(number: str) -> None:
        for first, count, size in balanced(queries, tile[0]):

            def piece(step: str, first: int = first, size: int = size) -> None:
                rows(number, k.sum(k.product(step, size), first), size)

            k.each(0, count, 1, piece)

    k.each(0, batch, 1, one)
