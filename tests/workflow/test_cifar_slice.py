"""config/cifar10.yaml on a few hundred images in the layout of its archive, to the end: the same rules, few steps."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from depthdial.compare.files import read_comparison
from depthdial.report.results import publish
from tests.system.snakemake_run import checkout, snakemake
from tests.unit.test_results import disagreements

pytestmark = pytest.mark.slow
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
COUNTS = {"train": 32, "test": 8}
"""Images of each class."""


def draw(label: int, generator: np.random.Generator) -> Image.Image:
    """A striped picture, 32 x 32: the class is the direction and the colour of the stripes."""
    rows, columns = np.mgrid[:32, :32]
    angle = np.pi * label / len(CLASSES)
    stripes = np.sin(0.6 * (rows * np.cos(angle) + columns * np.sin(angle)) + generator.uniform(0, 6))
    colour = np.array([label % 3, label % 4, label % 5]) / 5 + 0.3
    noise = generator.normal(0, 12, (32, 32, 3))
    return Image.fromarray(np.clip(128 + 100 * stripes[..., None] * colour + noise, 0, 255).astype(np.uint8))


def write_archive(path: Path) -> None:
    """A .tar.xz of JPEG files in train/<class>/ and test/<class>/."""
    generator = np.random.default_rng(0)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:xz") as archive:
        for part, count in COUNTS.items():
            for label, name in enumerate(CLASSES):
                for index in range(count):
                    content = io.BytesIO()
                    draw(label, generator).save(content, "JPEG", quality=90)
                    member = tarfile.TarInfo(f"cifar10/{part}/{name}/{index:04d}.jpg")
                    member.size = content.tell()
                    content.seek(0)
                    archive.addfile(member, content)


def sliced(values: dict[str, Any]) -> dict[str, Any]:
    """The configuration with few images, steps, masks and rounds; deeper networks than ResNet-20 are left out."""
    values["networks"] = [network for network in values["networks"] if network["depth"] <= 20]
    values["datasets"][0] |= {"path": "data/few.tar.xz", "image_size": 16}
    values["seeds"] = [0]
    for recipe in values["recipes"]:
        recipe |= {"epochs": 2, "batch_size": 32}
    for network in values["networks"]:
        network["width"] = 4
    if values.get("finetune"):
        values["finetune"]["epochs"] = 1
    values["evaluate"] |= {"shards": 1, "calibration_images": 32}
    values["select"]["configurations"] = 2
    values["search"] = {"exhaustive_blocks": 9, "generations": 1, "batch": 4, "compare": ["sensitivity", "l2"]}
    values["search"] |= {"ablation_masks": 2, "importance_images": 16}
    values["deploy"] = {"gate_images": 1}
    # How well this machine measures is not the question.
    devices = {"devices_file": "tests/system/cluster-devices.yaml", "devices": ["head"]}
    values["benchmark"] = devices | {"rounds": 3, "window_ms": 20, "drift_limit": 1.0, "frequency_limit": 1.0}
    values["schedule"] = {"charge_relative": 2.0}
    return values


def test_the_experiment_runs_to_its_end_on_a_slice(tmp_path: Path) -> None:
    place = checkout(tmp_path)
    write_archive(place / "data/few.tar.xz")
    values = sliced(yaml.safe_load((place / "config/cifar10.yaml").read_text()))
    (place / "slice.yaml").write_text(yaml.safe_dump(values))
    done = snakemake(place, "--cores", "2", "--configfile", "slice.yaml", timeout_s=1500)
    assert done.code == 0, done.text[-5000:]
    results = place / "results/cifar10"
    names = {network["name"]: network["role"] for network in values["networks"]}
    dials = [name for name, role in names.items() if role == "dial"]
    for dial in dials:
        tables = results / "tables/cifar10" / dial
        accuracies = read_comparison(tables / "accuracies.csv")
        assert {dial, *(name for name, role in names.items() if role == "static")} <= set(accuracies["network"])
        assert set(accuracies["n_test"]) == {COUNTS["test"] * len(CLASSES)}
        equal = read_comparison(tables / "equal_macs.csv")
        assert (equal["dial_macs"] <= equal["budget_macs"]).all()
        assert len(read_comparison(tables / "head/equal_time.csv"))
    recipes = read_comparison(results / "tables/cifar10/recipes.csv")
    assert set(recipes["network"]) == set(dials)
    claims = read_comparison(results / "tables/claims.csv")
    gap = claims[claims["claim"].str.contains("49.61")]
    assert set(gap["verdict"]) == {"not checked"}, "there is no ResNet-110 in it"
    recipe = {network["name"]: network["recipe"] for network in values["networks"]}
    sandwiches = {each["name"] for each in values["recipes"] if each.get("sandwich")}
    judged = {subject.split()[0] for subject in gap["subject"]}
    assert judged
    assert not {recipe[name] for name in judged} & sandwiches, "the paper's claims are put to the paper's training"
    page = (results / "report.html").read_text()
    assert "Paper and here" in page
    assert "no ResNet-110 in this experiment" in page
    page, *files = publish(results, place / "published")
    assert disagreements(page) == []
    prose, table = page.read_text().split("\n\n")[1:3]
    assert "of the time of all blocks" in prose
    assert ", at no more MACs | " in table
    metadata = next(path for path in files if path.name == "networks.json")
    assert len(pd.read_json(metadata)) == len(names)
