"""A network too deep to enumerate goes through the workflow in generations; a dead shard is redone alone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from depthdial.data.images import Split, save_images
from depthdial.evaluate.tables import read_masks
from depthdial.networks.build import dial
from depthdial.networks.families.he_shapes import Architecture
from depthdial.networks.masks import Mask
from depthdial.networks.weights import save_weights

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
SNAKEFILE = """
include: "{root}/rules/common.smk"
include: "{root}/rules/masks.smk"
include: "{root}/rules/search.smk"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run in which everything before the masks is done already."""
    config = {
        "experiment": "e",
        "datasets": [{"name": "d", "source": "digits"}],
        "networks": [{"name": "dial", "role": "dial", "depth": 26, "width": 2, "survival": {"last": 0.5}}],
        "seeds": [0],
        "evaluate": {"shards": 2, "calibration_images": 16},
        "search": {"exhaustive_blocks": 9, "generations": 2, "batch": 8},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    (tmp_path / "Snakefile").write_text(SNAKEFILE.format(root=ROOT))
    (tmp_path / "config").symlink_to(ROOT / "config")
    data = tmp_path / "results/e/d"
    (data / "dial/seed0").mkdir(parents=True)
    torch.manual_seed(0)
    images, labels = torch.randint(0, 256, (40, 1, 8, 8), dtype=torch.uint8), torch.randint(0, 10, (40,))
    split = Split(images.numpy(), labels.numpy())
    save_images(
        data / "images.safetensors", "d", list("0123456789"), dict.fromkeys(("train", "validation", "test"), split)
    )
    save_weights(data / "dial/seed0/weights.safetensors", dial(Architecture(26, 2, 1, 8, 10).describe()), {})
    return tmp_path


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "snakemake", *arguments, "--cores", "2", "--configfile", "config.yaml"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_generations_are_rounds_of_shards(folder: Path) -> None:
    target = "results/e/d/dial/seed0/masks.parquet"
    done = snakemake(folder, target)
    assert done.returncode == 0, done.stderr[-3000:]
    table, _ = read_masks(folder / target)
    assert table["mask"].is_unique
    assert set(table["mask"]) >= {Mask.full(12).bits, "0" * 12}
    for lost in (target, "results/e/d/dial/seed0/search/generation1/shard1.parquet"):
        (folder / lost).unlink()
    again = snakemake(folder, target)
    assert again.returncode == 0, again.stderr[-3000:]
    assert "2 of 2 steps" in again.stderr + again.stdout
    assert read_masks(folder / target)[0].equals(table)
