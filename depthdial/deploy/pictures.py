"""Image files as a network reads them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from depthdial.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".pgm")


def image_files(folder: str | os.PathLike[str]) -> list[Path]:
    """Image files of a folder by name. Raises DataError if there are none."""
    root = Path(folder)
    found = sorted(path for path in root.glob("*") if path.suffix.lower() in SUFFIXES)
    if not found:
        raise DataError(f"{root}: no image files; expected files that end in {', '.join(SUFFIXES)}")
    return found


def read_image(path: str | os.PathLike[str], shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """A file as bytes (C, H, W) of the wanted shape: grey or RGB, resized if need be.

    Raises DataError if the file is no image.
    """
    from PIL import Image, UnidentifiedImageError

    channels, height, width = shape
    try:
        with Image.open(path) as picture:
            converted = picture.convert("L" if channels == 1 else "RGB")
    except (OSError, UnidentifiedImageError) as error:
        raise DataError(f"{path}: cannot be read as an image ({error})") from None
    if converted.size != (width, height):
        converted = converted.resize((width, height), Image.Resampling.BILINEAR)
    pixels = np.asarray(converted, np.uint8)
    return pixels[None] if channels == 1 else np.ascontiguousarray(pixels.transpose(2, 0, 1))
