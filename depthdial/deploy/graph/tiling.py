"""Which tiles: from what a processor has, and each layer's shape.

The bounds are those of Low et al. ("Analytical modeling is enough for high-performance BLIS", ACM TOMS 43 (2), 2016,
section 4) after Goto and van de Geijn ("Anatomy of high-performance matrix multiplication", ACM TOMS 34 (3), 2008).
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from depthdial.config.targets import Tiles
from depthdial.deploy.core import Processor
from depthdial.deploy.graph.convolution import Convolution, Cut, balanced, even_share
from depthdial.deploy.graph.images import chunks

MACS_OF_A_PART = 30_000
"""Multiply-adds of a part for each number in a vector register, some 5 us: what it takes to wake another core."""
WAYS, APART = 8, 4096
"""Lines that one set of a first-level cache holds at least, and bytes that lie so far apart that they share a set."""
LATENCY = 4
"""Cycles for which a sum waits for itself."""


def needed_registers(pixels: int, vectors: int, core: Processor) -> int:
    """Vector registers of a tile's innermost loop: sums, weights, a pixel, and a product that is not added at once.

    The weights of a single pixel are read from memory by the instruction that uses them.
    """
    weights = vectors if pixels > 1 or core.by_element else 0
    return pixels * vectors + weights + 1 + (not core.fused)


def cut(c: Convolution, core: Processor, tiles: Tiles) -> Cut:
    """How a convolution is cut: as takes the fewest cycles, with no more sums than registers."""
    return cuts(c, core, tiles)[0]


def cuts(c: Convolution, core: Processor, tiles: Tiles) -> list[Cut]:
    """Ways to cut a convolution that suit a processor, those that should be fastest first."""
    parts = parts_of(c, core, tiles)
    if c.depthwise:
        wide = core.registers >= 32
        best = [(2, 7), (1, 7), (1, 14), (2, 4), (1, 4)] if wide else [(1, 4), (2, 4), (1, 7), (2, 2), (1, 2)]
        return [Cut(rows=rows, columns=columns, vectors=1, parts=parts) for rows, columns in best]
    found = sorted(_tiles(c, core, tiles), key=lambda one: (_cycles(c, one, core, parts), prod(one)))
    return [Cut(rows=rows, columns=columns, vectors=vectors, parts=parts) for rows, columns, vectors in found]


def _full(c: Convolution, core: Processor) -> int:
    return sum(size == core.floats for _, size in chunks(c.outside, core.floats))


def _tiles(c: Convolution, core: Processor, tiles: Tiles) -> Iterator[tuple[int, int, int]]:
    """Tiles that fit: pieces of a row, or several whole rows."""
    most = min(max(1, _full(c, core)), tiles.channel_vectors or 8)
    pixels = WAYS if 4 * c.source.channels * c.stride[1] % APART == 0 else core.registers
    for vectors in [most] if tiles.channel_vectors else range(1, most + 1):
        for columns in range(1, min(pixels, c.out.width) + 1):
            for rows in range(1, min(pixels // columns, c.out.height) + 1 if columns == c.out.width else 2):
                sums = rows * columns * vectors
                fits = needed_registers(rows * columns, vectors, core) <= core.registers
                if (fits and sums <= (tiles.accumulators or sums)) or rows * columns == 1:
                    yield rows, columns, vectors


def _cycles(c: Convolution, own: tuple[int, int, int], core: Processor, parts: int) -> float:
    """Cycles of the innermost loop over all tiles of a part, for one input channel and place of the filter."""
    rows, columns, vectors = own
    full, pieces = _full(c, core), len(chunks(c.outside, core.floats))
    extents = {"channels": full, "rows": c.out.height, "columns": c.out.width}
    extents[c.shared] = even_share(extents[c.shared], parts) or extents[c.shared]
    groups = [(count, size) for _, count, size in balanced(extents["channels"], vectors)]
    groups += [(1, pieces - full)] if pieces > full else []
    return sum(
        many * down * across * step_cycles(high * wide, beside, _weight_bytes(c, beside, core), core)
        for many, beside in groups
        for _, down, high in balanced(extents["rows"], rows)
        for _, across, wide in balanced(extents["columns"], columns)
    )


def _weight_bytes(c: Convolution, vectors: int, core: Processor) -> int:
    """Bytes of weights that are read again for each tile of pixels."""
    return 4 * c.kernel[0] * c.runs[0] * c.runs[1] * vectors * core.floats


def step_cycles(pixels: int, vectors: int, weight_bytes: int, core: Processor) -> float:
    """Cycles that a tile of so many pixels and vectors of channels takes for one input channel, on an assumed core.

    Two multiply-adds, two loads and four instructions begin in a cycle; the weights, ``weight_bytes`` in all, come
    from the first level of cache that they fit into. Half a cycle is the loop's own, so many sums are better than few.
    """
    sums = pixels * vectors
    arithmetic = sums / 2 if core.fused else sums
    spread = pixels * (0 if core.by_element else 1 if core.floats > 4 else 2)
    issued = (sums * (1 if core.fused else 3) + spread + vectors) / 4
    loads = (pixels + vectors) / 2
    bandwidth = 128 if weight_bytes <= 512 * core.l1_kb else 32 if weight_bytes <= 768 * core.l2_kb else 8
    stream = 4 * core.floats * vectors / bandwidth
    return max(arithmetic, issued, loads, stream, LATENCY) + 0.5


def product_tile(rows: int, core: Processor) -> tuple[int, int]:
    """Rows and vectors of a tile of a product of activations."""
    vectors = 4 if core.registers >= 32 else 2
    fitting = [size for size in range(1, rows + 1) if needed_registers(size, vectors, core) <= core.registers]
    return max(fitting, default=1), vectors


def parts_of(c: Convolution, core: Processor, tiles: Tiles) -> int:
    """Into how many parts a convolution is cut: one for each core, if each has enough to do."""
    macs = c.out.height * c.out.width * c.out.channels * c.inside * c.kernel[0] * c.kernel[1]
    return min(tiles.workers or core.cores, max(1, round(macs / (MACS_OF_A_PART * core.floats))))
