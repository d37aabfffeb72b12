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

from depthdial.config.targets import Tiles
from depthdial.errors import DeployError

_EXECUTABLE = re.compile(r"(?=^ *hal\.executable (?:private|public) @)", re.MULTILINE)
_CONVOLUTION = re.compile(r"hal\.executable\.export public @\w+_(conv_(\d+)x(\d+)x(\d+)x3x3x(\d+)_f32)")
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
_VECTOR = re.compile(r"native_vector_size = (\d+) : i64")


def tile(height: int, width: int, channels: int, floats: int, tiles: Tiles) -> tuple[int, int, int]:
    """Rows of a part, pixels and channels of a tile, of a convolution's output (height, width, channels).

    ``floats`` is the number of floats in a vector register. A tile is a piece of one row: as many channels as
    ``tiles.channel_vectors`` registers hold, and as many pixels as the remaining accumulators allow.
    """
    rows = -(-height // tiles.workers)
    wanted = _divisor(channels, tiles.channel_vectors * floats)
    pixels = _divisor(width, max(1, tiles.accumulators * floats // max(wanted, floats)))
    return rows, pixels, wanted


def _divisor(whole: int, most: int) -> int:
    """The largest divisor of ``whole`` that is at most ``most``."""
    return next(size for size in range(min(whole, most), 0, -1) if whole % size == 0)


def set_tiles(configured: str, tiles: Tiles, about: str) -> str:
    """The compiler's intermediate text with tile sizes replaced in every convolution.

    Raises DeployError that names ``about`` if a convolution's choice is not found: then this is not the
    release of IREE that depthdial is pinned to.
    """
    vector = _VECTOR.search(configured)
    parts = _EXECUTABLE.split(configured)
    return "".join(_set_part(part, tiles, int(vector.group(1)) // 4 if vector else 4, about) for part in parts)


def _set_part(part: str, tiles: Tiles, floats: int, about: str) -> str:
    found = _CONVOLUTION.search(part)
    if found is None:  # a stem of one input channel is no convolution to the compiler, and small
        return part
    height, width, channels, inside = map(int, found.groups()[1:])
    choice = _CHOICE.search(part)
    if choice is None:
        raise DeployError(f"{about}: iree-compile chose no tiles for {found.group(1)}; use a variant without tiles")
    rows, pixels, wanted = tile(height, width, channels, floats, tiles)
    part = _CHOICE.sub(
        f"distribution = [0, {rows}, {width}, {channels}, 0, 0, 0], "
        f"vector_common_parallel = [1, 1, {pixels}, {wanted}, 0, 0, 0], "
        f"vector_reduction = [0, 0, 0, 0, 1, 1, {_divisor(inside, tiles.reduction)}]",
        part,
    )
    own = f"vector_common_parallel = [1, 1, {choice.group(1)}, {choice.group(2)}]"
    return part.replace(own, f"vector_common_parallel = [1, 1, {pixels}, {wanted}]")


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
