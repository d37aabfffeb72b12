"""Inputs for real inference: a bundle's own, or a folder of pictures."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from depthdial.artefacts import read_array
from depthdial.data.images import normalise
from depthdial.deploy.pictures import image_files, read_image
from depthdial.deploy.runtime import Bundle


def network_inputs(bundle: Bundle, images: str | os.PathLike[str] | None = None) -> list[NDArray[np.float32]]:
    """Normalised inputs (C, H, W): of the image files of a folder, else those of the bundle's numerics gate."""
    about = bundle.manifest.input
    if images is None:
        return [read_array(bundle.folder / name)[0] for name in bundle.manifest.gate.inputs]
    pixels = (read_image(path, about.shape[1:]) for path in image_files(images))
    return [normalise(one, about.mean, about.deviation) for one in pixels]
