"""Inputs for real inference: a bundle's own, or a folder of pictures."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from depthdial.artefacts import read_array
from depthdial.data.folder import read_pictures
from depthdial.data.images import normalise
from depthdial.deploy.runtime import Bundle


def network_inputs(bundle: Bundle, images: str | os.PathLike[str] | None = None) -> list[NDArray[np.float32]]:
    """Normalised inputs (C, H, W): of the image files of a folder, else those of the bundle's numerics gate."""
    about = bundle.manifest.input
    if images is None:
        return [read_array(bundle.folder / name)[0] for name in bundle.manifest.gate.inputs]
    pictures = read_pictures(Path(images), about.reading, about.shape[1:])
    return [normalise(pixels, about.mean, about.deviation) for _, pixels in pictures]
