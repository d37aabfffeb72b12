"""How the loops of convolutions are cut, and how they store: our own choice in place of the compiler's.

IREE 3.13 restores the batch dimension of a convolution of one image after it has read the tile sizes that a
program may carry, and loses them on the way; its own choice keeps eight sums in registers on AVX-512, too few
to hide the latency of the multiply-adds, and 2x2 tiles without vectors on aarch64. So iree-compile runs in
two steps: it stops when it has chosen (``--compile-to=executable-configurations``), the choice is replaced
here, and it goes on from there. The batch dimension, once restored, is also in the way where a result is stored into
the middle of a frame: it is taken off again by a ``map_store``, which computes an address for every single value.
Here the frame gets the dimension instead, so that whole vectors are stored. Measured effects are in docs/decisions.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from depthdial.config.targets import Tiles
from depthdial.deploy.processor import Processor
from depthdial.errors import DeployError

MACS_OF_A_PART = 30_000
"""Multiply-adds of a part for each number in a vector register, some 5 us: what it takes to wake another core."""
UNROLLED = 4
"""Input channels of an innermost loop: a vector of NEON, whose numbers are multiplied by one after the other."""
LARGEST_STEP = 32 * 1024
"""Bytes of a step of the innermost loop from which on iree-compile refuses it."""
_EXECUTABLE = re.compile(r"(?=^ *hal\.executable (?:private|public) @)", re.MULTILINE)
_CONVOLUTION = re.compile(r"hal\.executable\.export public @\w+_(conv_(\d+)x(\d+)x(\d+)x(\d+)x(\d+)x(\d+)_f32)")
_READS = re.compile(r"ins\(%\w+, %\w+ : tensor<1x(\d+)x\d+x\d+xf32>, tensor<\d+x\d+x\d+x\d+xf32>\)")
_CHOICE = re.compile(
    r"distribution = \[0, \d+, \d+, \d+, 0, 0, 0\], "
    r"vector_common_parallel = \[1, 1, (\d+), (\d+), 0, 0, 0\], "
    r"vector_reduction = \[0, 0, 0, 0, 1, 1, \d+\]"
)
_MAP_STORE = re.compile(
    r"(?P<indent> *)%\w+ = iree_linalg_ext\.map_store \{[^}]*\} (?P<value>%\w+) into %\w+ \{\n"
    r" *\^bb0\(%(?P<batch>\w+): index, %(?P<row>\w+): index, [^\n]*\n"
    r" *%(?P<both>\w+) = affine\.linearize_index disjoint \[%(?P=batch), %(?P=row)\] by \(1, \d+\) : index\n"
    r" *iree_linalg_ext\.yield %(?P=both), %\w+, %\w+, %true\w* : [^\n]*\n"
    r" *\} : (?P<tensor>tensor<1x(?P<shape>\d+x\d+x\d+)xf32>) into [^\n]*\n"
    r" *iree_codegen\.store_to_buffer %\w+, (?P<frame>%\w+) : [^\n]* into "
    r"memref<(?P=shape)xf32, strided<\[(?P<pitch>\d+), (?P<pitches>\d+, 1)\](?P<where>[^\n]*)>\n"
)


class Convolution(NamedTuple):
    """The shape of a convolution of one image: its output, its window, the channels that it reads, its stride."""

    height: int
    width: int
    channels: int
    window_height: int
    window_width: int
    inside: int
    stride: int = 1

    @property
    def macs(self) -> int:
        """Multiply-adds."""
        return self.height * self.width * self.channels * self.weights

    @property
    def weights(self) -> int:
        """Weights of one output channel."""
        return self.window_height * self.window_width * self.inside


class Cut(BaseModel):
    """How a convolution is cut: rows of a part; pixels and channels of a tile; input channels of a step."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rows: int
    pixels: int
    channels: int
    reduction: int


def needed_registers(pixels: int, vectors: int, core: Processor) -> int:
    """Vector registers of a tile's innermost loop: sums, weights, pixels, and a product that is not added at once.

    A pixel's value is spread over one register, in turn, unless instructions multiply by one number of a register;
    then each pixel has one. Weights of a single pixel are read from memory by the instruction that uses them.
    """
    weights = vectors if pixels > 1 or core.by_element else 0
    return pixels * vectors + weights + (pixels if core.by_element else 1) + (not core.fused)


def step_cycles(pixels: int, vectors: int, weight_bytes: int, core: Processor) -> float:
    """Cycles that a tile of so many pixels and registers of channels takes for one input channel, on an assumed core.

    The bounds are those of Low et al. ("Analytical modeling is enough for high-performance BLIS", ACM TOMS 43 (2),
    2016, section 4) after Goto and van de Geijn ("Anatomy of high-performance matrix multiplication", ACM TOMS 34 (3),
    2008): two multiply-adds, two loads and four instructions begin in a cycle; weights (``weight_bytes`` in all, read
    anew for each tile of pixels) come from the first level of cache they fit into. Half a cycle is the loop's own, so
    that many sums, which hide each other's latency, are better than few.
    """
    sums = pixels * vectors
    spread = pixels * (1 / UNROLLED if core.by_element else 1 if core.floats > 4 else 2)
    copies = sums if not core.fused else 0
    weights = vectors if core.fused or pixels > 1 else 0
    bandwidth = 128 if weight_bytes <= 1024 * core.l1_kb else 32 if weight_bytes <= 1024 * core.l2_kb else 8
    arithmetic = sums / 2 if core.fused else sums
    issued = (sums * (1 if core.fused else 2) + copies + spread + weights) / 4
    loads = (pixels * (1 / UNROLLED if core.by_element else 1) + vectors) / 2
    stream = 4 * core.floats * vectors / bandwidth
    return max(arithmetic, issued, loads, stream) + 0.5


def fitting_tiles(shape: Convolution, core: Processor, tiles: Tiles | None = None) -> list[tuple[int, int]]:
    """Pixels and channels of tiles whose loops the registers hold, the fastest by ``step_cycles`` first.

    A tile is a piece of one row; what ``tiles`` says of sums and vectors is kept. Where the model finds no
    difference, fewer registers come first. There is always one tile, a pixel by a vector if need be.
    """
    tiles, floats = tiles or Tiles(), core.floats
    wide = [size for size in _divisors(shape.channels) if size <= (tiles.channel_vectors or 8) * floats]
    if tiles.channel_vectors or wide[-1] < floats:
        wide = wide[-1:]
    else:
        wide = [size for size in wide if size % floats == 0] or wide[-1:]

    def cost(choice: tuple[int, int]) -> tuple[float, int]:
        pixels, channels = choice
        vectors = -(-channels // floats)
        cycles = step_cycles(pixels, vectors, 4 * shape.weights * shape.channels, core) / (pixels * channels)
        return cycles, needed_registers(pixels, vectors, core)

    choices = [(pixels, channels) for pixels in _divisors(shape.width) for channels in wide]
    if tiles.accumulators is not None:
        most = tiles.accumulators * floats
        return [max([one for one in choices if one[0] * max(one[1], floats) <= most] or [(1, wide[0])])]
    fitting = [one for one in choices if needed_registers(one[0], -(-one[1] // floats), core) <= core.registers]
    return sorted(fitting or [(1, wide[0])], key=cost)


def cut(shape: Convolution, core: Processor, tiles: Tiles) -> Cut:
    """How a convolution is cut for a core, as far as ``tiles`` does not say it.

    A step is shorter where pixels are read at a stride: the compiler reads those between them too, into registers.
    """
    pixels, channels = fitting_tiles(shape, core, tiles)[0]
    unrolled = tiles.reduction or max(1, UNROLLED // shape.stride)
    most = min(unrolled, max(1, (LARGEST_STEP - 1) // (4 * pixels * channels)))
    parts = min(tiles.workers or core.cores, max(1, round(shape.macs / (MACS_OF_A_PART * core.floats))))
    return Cut(
        rows=-(-shape.height // parts),
        pixels=pixels,
        channels=channels,
        reduction=max(size for size in _divisors(shape.inside) if size <= most),
    )


def _divisors(whole: int) -> list[int]:
    return [size for size in range(1, whole + 1) if whole % size == 0]


def convolutions(configured: str) -> dict[str, Convolution]:
    """The convolutions in the compiler's intermediate text, by what it calls their shape."""
    return dict(found for part in _EXECUTABLE.split(configured) if (found := _convolution(part)))


def _convolution(part: str) -> tuple[str, Convolution] | None:
    """The convolution in the text of one executable, if that is what it is."""
    found = _CONVOLUTION.search(part)
    if found is None:  # a stem of one input channel is no convolution to the compiler, and small
        return None
    shape, reads = Convolution(*map(int, found.groups()[1:])), _READS.search(part)
    stride = (int(reads[1]) - shape.window_height) // shape.height + 1 if reads else 1
    return found[1], shape._replace(stride=stride)


def set_tiles(configured: str, tiles: Tiles, core: Processor, about: str, cuts: Mapping[str, Cut] | None = None) -> str:
    """The compiler's intermediate text with tile sizes replaced in every convolution.

    ``cuts`` are found better than ``tiles`` for some shapes (see ``convolutions``). Raises DeployError that names
    ``about`` if a convolution's choice is not found: then this is not the release of IREE that depthdial is pinned to.
    """
    own = {name: cut(shape, core, tiles) for name, shape in convolutions(configured).items()} | dict(cuts or {})
    return "".join(_set_part(part, own, about) for part in _EXECUTABLE.split(configured))


def _set_part(part: str, cuts: Mapping[str, Cut], about: str) -> str:
    found = _convolution(part)
    if found is None:
        return part
    name, shape = found
    choice = _CHOICE.search(part)
    if choice is None:
        raise DeployError(f"{about}: iree-compile chose no tiles for {name}; use a variant without tiles")
    own = cuts[name]
    part = _CHOICE.sub(
        f"distribution = [0, {own.rows}, {shape.width}, {shape.channels}, 0, 0, 0], "
        f"vector_common_parallel = [1, 1, {own.pixels}, {own.channels}, 0, 0, 0], "
        f"vector_reduction = [0, 0, 0, 0, 1, 1, {own.reduction}]",
        part,
    )
    others = f"vector_common_parallel = [1, 1, {choice.group(1)}, {choice.group(2)}]"
    return part.replace(others, f"vector_common_parallel = [1, 1, {own.pixels}, {own.channels}]")


def store_vectors(configured: str) -> str:
    """The compiler's intermediate text with results stored into frames as they are computed, a vector at a time."""
    return _MAP_STORE.sub(_store, configured)


def _store(found: re.Match[str]) -> str:
    shape, pitch, where = found["shape"], int(found["pitch"]), found["where"]
    rows, columns, channels = shape.split("x")
    frame = f"memref<{shape}xf32, strided<[{pitch}, {found['pitches']}]{where}>"
    image = f"memref<1x{shape}xf32, strided<[{int(rows) * pitch}, {pitch}, {found['pitches']}]{where}>"
    indent, name = found["indent"], f"{found['frame']}_image"
    return (
        f"{indent}{name} = memref.expand_shape {found['frame']} [[0, 1], [2], [3]] "
        f"output_shape [1, {rows}, {columns}, {channels}] : {frame} into {image}\n"
        f"{indent}iree_codegen.store_to_buffer {found['value']}, {name} : {found['tensor']} into {image}\n"
    )
