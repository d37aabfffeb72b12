"""Memory and time of preparing photographs: ``make bench-data``. JSON on the last line.

2,000 JPEGs of 1200 x 900 pixels in class folders become images of 64 x 64; the peak is that of a process of its own, of
which the imports alone take some 50 MB. Beside it stands the time of the fingerprint that the workflow
takes at its start, for 50,000 files.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from depthdial.config.data import Dataset
from depthdial.data.fingerprint import fingerprint

PHOTOS, WIDTH, HEIGHT, DISTINCT = 2000, 1200, 900, 20
FILES = 50_000
CHILD = """
import sys, time
from pathlib import Path
from depthdial.config.data import Dataset
from depthdial.data.images import save_images
from depthdial.data.prepare import prepare
def peak(): return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
before, start = peak(), time.perf_counter()
folder = Path(sys.argv[1])
settings = Dataset(name="photos", source="folder", path=str(folder), image_size=64)
classes, splits = prepare(settings, folder.parent)
save_images(folder.parent / "images.safetensors", "photos", classes, splits)
print(peak(), before, time.perf_counter() - start)
"""


def main() -> None:
    """Print what was measured."""
    with tempfile.TemporaryDirectory() as name:
        photos = Path(name) / "photos"
        write_photos(photos)
        command = [sys.executable, "-c", CHILD, str(photos)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peak, before, seconds = map(float, done.stdout.split())
        files = Path(name) / "files"
        for label in range(100):
            (files / "train" / f"{label:03}").mkdir(parents=True)
            for index in range(FILES // 100):
                (files / "train" / f"{label:03}" / f"{index}.jpg").touch()
        start = time.perf_counter()
        fingerprint(Dataset(name="files", source="folder", path=str(files)))
        told = {
            "data_peak_mb": round(peak, 1),
            "data_imports_mb": round(before, 1),
            "data_photos_per_s": round(PHOTOS / seconds, 1),
            "data_fingerprint_50k_s": round(time.perf_counter() - start, 3),
        }
    for key, value in told.items():
        print(f"{key:28}{value}")  # noqa: T201
    print(json.dumps(told))  # noqa: T201


def write_photos(folder: Path) -> None:
    """Smooth pictures with some noise, as photographs compress."""
    generator = np.random.default_rng(0)
    contents = []
    for _ in range(DISTINCT):
        coarse = generator.integers(0, 256, (9, 12, 3), np.uint8)
        smooth = np.asarray(Image.fromarray(coarse).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC), np.float32)
        noisy = np.clip(smooth + generator.normal(0, 6, smooth.shape), 0, 255).astype(np.uint8)
        file = io.BytesIO()
        Image.fromarray(noisy).save(file, "JPEG", quality=90)
        contents.append(file.getvalue())
    for index in range(PHOTOS):
        place = folder / ("test" if index % 5 == 0 else "train") / f"class{index % 7}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{index:04}.jpg").write_bytes(contents[index % DISTINCT])


if __name__ == "__main__":
    main()
