"""One way from an image file to pixels, whoever asks: preparing data, running a bundle, serving a trace.

What is done to a picture is told in docs/own-data.md, in the order of ``decode``.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

# Imported by name: Pillow would load all its formats to find one of these.
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageChops,
    JpegImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from depthdial.config.data import Reading
from depthdial.errors import DataError

_PLUGINS = (
    BmpImagePlugin.BmpImageFile,
    GifImagePlugin.GifImageFile,
    JpegImagePlugin.JpegImageFile,
    PngImagePlugin.PngImageFile,
    PpmImagePlugin.PpmImageFile,
    TiffImagePlugin.TiffImageFile,
    WebPImagePlugin.WebPImageFile,
)
FORMATS = tuple(plugin.format for plugin in _PLUGINS)
"""All that is ever read, told by content. Other formats of Pillow run programs on what they are given."""
READ = "PNG, JPEG, BMP, GIF, WebP, TIFF or PNM"
GROUND = 255
"""What shows where a picture is transparent: white."""
MOST_BYTES = 256 << 20
MOST_PIXELS, MOST_DECODED = 100_000_000, 40_000_000
"""Of a picture as its file says, and of what is decoded: a JPEG can be decoded at a fraction of its size."""
ORIENTATION, BITS, PHOTOMETRIC = 0x0112, 0x0102, 0x0106
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


class NoPictureError(DataError):
    """The content is of none of the formats that are read."""


def decode(
    content: bytes, reading: Reading, size: int | None = None, channels: int | None = None
) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """The pixels of an image file, (C, H, W): one channel if the picture is grey in whatever mode, else RGB.

    ``size`` is the side of the square that ``reading`` makes of it, without it the picture keeps its size;
    ``channels`` asks for grey (1) or RGB (3). Returned with them are width and height as they were. Raises DataError
    that says why it cannot be read, without a file's name, and NoPictureError, which is one, if it is of no format
    that is read.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
                image, sides = _upright(picture, reading, size)
            if channels is not None:
                image = image.convert("L" if channels == 1 else "RGB")
            if size is not None:
                image = fitted(image, reading, size)
    except DataError:
        raise
    except UnidentifiedImageError:
        raise NoPictureError(f"not a {READ} image, or damaged at its start") from None
    except Image.DecompressionBombError:
        raise DataError(f"more than {MOST_PIXELS:,} pixels") from None
    except Exception as error:  # whatever a library says of a damaged file: it has no one kind of error for it
        said = str(error) or type(error).__name__
        raise DataError("damaged" if " object at 0x" in said else f"damaged ({said})") from None
    pixels = np.asarray(image)
    planes = pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))
    return planes, sides


def _upright(picture: Image.Image, reading: Reading, size: int | None) -> tuple[Image.Image, tuple[int, int]]:
    """A picture just opened, loaded, as L or RGB, turned as its camera says; and its sides, turned so too."""
    if picture.width * picture.height > MOST_PIXELS:
        raise DataError(f"{picture.width}x{picture.height}: more than {MOST_PIXELS:,} pixels")
    if picture.mode == "F" or (picture.mode == "I" and picture.format != "PPM"):
        kind = "floats (mode F)" if picture.mode == "F" else "32-bit integers (mode I)"
        raise DataError(f"its pixels are {kind}, of which nobody knows what is white: store them with 8 or 16 bits")
    sides = picture.size
    if picture.format in ("JPEG", "MPO"):
        sideways = picture.getexif().get(ORIENTATION, 1) in (5, 6, 7, 8)
        sides = sides[::-1] if sideways else sides
        if size is not None:
            wide, high = _scaled(sides, reading, size)
            # Decoded no smaller than twice what it is resized to: hardly a pixel differs, memory does.
            picture.draft(None, (2 * high, 2 * wide) if sideways else (2 * wide, 2 * high))
    if picture.width * picture.height > MOST_DECODED:
        raise DataError(f"{picture.width}x{picture.height}: more than {MOST_DECODED:,} pixels")
    picture.load()
    turn = TURNS.get(picture.getexif().get(ORIENTATION, 1))
    image = _opaque(picture)
    image = image if turn is None else image.transpose(turn)
    return image, sides if picture.format in ("JPEG", "MPO") else image.size


def _opaque(image: Image.Image) -> Image.Image:
    """As L if it is grey, else RGB, on the one ground where it is transparent."""
    if image.mode.startswith("I"):
        return _upper_bits(image)
    grey = image.mode in ("1", "L", "LA", "La")
    if image.has_transparency_data:
        layered = image.convert("LA" if grey else "RGBA")
        opaque = Image.new("L" if grey else "RGB", image.size, GROUND if grey else (GROUND,) * 3)
        opaque.paste(layered.convert(opaque.mode), mask=layered.getchannel("A"))
    else:
        opaque = image.convert("L" if grey else "RGB")
    if image.mode in ("P", "PA") and _is_grey(opaque):
        opaque = opaque.getchannel(0)
    return opaque


def _is_grey(image: Image.Image) -> bool:
    red, green, blue = image.split()
    return ImageChops.difference(red, green).getbbox() is None and ImageChops.difference(red, blue).getbbox() is None


def _upper_bits(image: Image.Image) -> Image.Image:
    """Sixteen bits of grey as eight: the upper ones, as Pillow itself takes them of 16-bit colours."""
    values = np.asarray(image).astype(np.uint16)
    tags = getattr(image, "tag_v2", {})
    bits = 12 if tags.get(BITS) == (12,) else 16
    grey = (values >> (bits - 8)).astype(np.uint8)
    if tags.get(PHOTOMETRIC) == 0:  # white is zero
        grey = 255 - grey
    key = image.info.get("transparency")
    return Image.fromarray(grey if key is None else np.where(values == key, np.uint8(GROUND), grey))


def fitted(image: Image.Image, reading: Reading, size: int) -> Image.Image:
    """``size`` pixels square: stretched, or resized by its shorter side and cut out of the middle.

    Sides and cuts are rounded as torchvision's Resize and CenterCrop round them.
    """
    wide, high = _scaled(image.size, reading, size)
    if image.size == (wide, high) == (size, size):
        return image
    left, top = round((wide - size) / 2), round((high - size) / 2)
    if image.size == (wide, high):
        return image.crop((left, top, left + size, top + size))
    across, down = image.width / wide, image.height / high
    box = (left * across, top * down, min((left + size) * across, image.width), min((top + size) * down, image.height))
    return image.resize((size, size), FILTERS[reading.interpolation], box)


def _scaled(sides: tuple[int, int], reading: Reading, size: int) -> tuple[int, int]:
    """Width and height to which a picture is resized before the middle is cut out of it."""
    if reading.fit == "stretch":
        return size, size
    short = reading.resize or size
    wide, high = sides
    return (short, int(short * high / wide)) if wide <= high else (int(short * wide / high), short)


def read_bounded(read: Callable[[int], bytes], size: int) -> bytes:
    """A file's content by its own ``read``. Raises DataError if it is, or says to be, larger than any image read."""
    content = b"" if size > MOST_BYTES else read(MOST_BYTES + 1)
    if max(size, len(content)) > MOST_BYTES:
        raise NoPictureError(f"larger than {MOST_BYTES >> 20} MB")
    return content
