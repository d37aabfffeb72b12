"""Images are an input: what was made of them is made again when they change, and nothing else is."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from tests.system.snakemake_run import checkout, snakemake

pytestmark = pytest.mark.slow
LOCAL = ("--cores", "1", "--configfile", "own.yaml")
PREPARED = "results/own/own/images.safetensors"
CONFIG = {
    "experiment": "own",
    "datasets": [{"name": "own", "source": "folder", "path": "images", "title": "own images"}],
    "networks": [{"name": "net", "role": "dial", "depth": 8, "width": 4, "recipe": "r", "survival": {"last": 0.8}}],
    "recipes": [{"name": "r", "epochs": 1}],
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone with a folder of images that were prepared."""
    clone = checkout(tmp_path_factory.mktemp("clone"))
    generator = np.random.default_rng(0)
    for part in ("train", "test"):
        for label in ("a", "b"):
            (clone / "images" / part / label).mkdir(parents=True)
            for index in range(5):
                pixels = generator.integers(0, 256, (8, 8, 3), np.uint8)
                Image.fromarray(pixels).save(clone / "images" / part / label / f"{index}.png")
    (clone / "own.yaml").write_text(yaml.safe_dump(CONFIG))
    assert snakemake(clone, PREPARED, *LOCAL).code == 0
    return clone


def told(place: Path) -> str:
    return snakemake(place, PREPARED, "-n", *LOCAL).text


def test_a_title_changes_nothing(place: Path) -> None:
    text = yaml.safe_dump(CONFIG)
    (place / "own.yaml").write_text(text.replace("own images", "another title"))
    assert "Nothing to be done" in told(place)
    (place / "own.yaml").write_text(text.replace("title:", "split_seed: 1\n  title:"))
    assert "prepare_data" in told(place)
    (place / "own.yaml").write_text(text)
    assert "Nothing to be done" in told(place)


def test_deleted_moved_and_new_images_are_noticed(place: Path) -> None:
    images = place / "images"
    (images / "train/a/0.png").rename(place / "aside.png")
    assert "prepare_data" in told(place)
    (place / "aside.png").rename(images / "train/b/moved.png")
    assert "prepare_data" in told(place)
    done = snakemake(place, PREPARED, *LOCAL)
    assert done.code == 0
    assert "Nothing to be done" in told(place)
    (images / "train/b/moved.png").rename(images / "train/a/0.png")
    assert "prepare_data" in told(place)


def test_a_folder_that_is_gone_is_an_error(place: Path) -> None:
    (place / "images").rename(place / "elsewhere")
    done = snakemake(place, PREPARED, *LOCAL)
    (place / "elsewhere").rename(place / "images")
    assert done.code != 0
    assert "datasets, own: images: no such folder or archive" in done.text
    assert "Traceback" not in done.text
