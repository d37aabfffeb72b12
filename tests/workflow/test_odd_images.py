"""What is odd about images is said by the workflow: in the log of the job that prepares them, or before any job."""

import re
import tarfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from tests.system.snakemake_run import checkout, snakemake

pytestmark = pytest.mark.slow
LOCAL = ("--cores", "1", "--configfile", "odd.yaml")
LOGS = "logs/odd/prepare_data"


def write_images(root: Path) -> Path:
    """Two classes; two test images that are training images too, and a folder val/ of three."""
    generator = np.random.default_rng(0)
    for part in ("train", "test", "val"):
        for label in "ab":
            (root / part / label).mkdir(parents=True)
    for place, count in {"train/a": 8, "train/b": 8, "test/a": 4, "test/b": 4, "val/a": 2, "val/b": 1}.items():
        for index in range(count):
            Image.fromarray(generator.integers(0, 256, (8, 8, 3), np.uint8)).save(root / place / f"{index}.png")
    for index in range(2):
        (root / f"test/a/{index}.png").write_bytes((root / f"train/a/{index}.png").read_bytes())
    return root


def experiment(*datasets: dict[str, object]) -> str:
    network = {"name": "net", "role": "dial", "depth": 8, "width": 4, "survival": {"last": 0.8}}
    return yaml.safe_dump({"experiment": "odd", "datasets": list(datasets), "networks": [network]})


def test_the_log_of_the_job_names_them_with_their_number(tmp_path: Path) -> None:
    place = checkout(tmp_path / "clone")
    root = write_images(place / "images")
    with tarfile.open(place / "images.tar", "w") as file:
        file.add(root, "images")
        file.add(root / "train/b/0.png", "images/train/a/7.png")
    sources = {"folder": "images", "archive": "images.tar"}
    datasets = [{"name": name, "source": "folder", "path": path} for name, path in sources.items()]
    (place / "odd.yaml").write_text(experiment(*datasets))
    done = snakemake(place, *(f"results/odd/{name}/images.safetensors" for name in sources), *LOCAL)
    assert done.code == 0, done.text
    logs = {name: (place / LOGS / f"{name}.log").read_text() for name in sources}
    for name, text in logs.items():
        assert re.search(r"3 files in (images/)?val/ are not used: images for validation are drawn from train/", text)
        shared = [line for line in text.splitlines() if "images are the same in" in line]
        counted = [int(line.split(f"{name}: ")[1].split()[0]) for line in shared if " and test" in line]
        assert sum(counted) == 2, text
    assert "1 names are there more than once (images/train/a/7.png): the last of each counts" in logs["archive"]
    assert "more than once" not in logs["folder"]


def test_files_of_cifar_that_are_missing_are_told_before_any_job(tmp_path: Path) -> None:
    place = checkout(tmp_path / "clone")
    (place / "odd.yaml").write_text(
        experiment({"name": "cifar", "source": "cifar10", "path": "nowhere", "download": False})
    )
    done = snakemake(place, *LOCAL)
    assert done.code != 0
    assert "datasets, cifar: nowhere/cifar-10-batches-py: no batches.meta, test_batch, data_batch_1," in done.text
    assert "unpack cifar-10-python.tar.gz in nowhere, or set download: true" in done.text
    assert "Traceback" not in done.text
    assert not (place / "results").exists()
