"""The command for a GPU machine, on the processor: without the packages that such a machine lacks, and resumed."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image

from depthdial.errors import ConfigError
from depthdial.networks.weights import load_weights
from depthdial.train.gpu import main

ROOT = Path(__file__).parents[2]
LACKING = (
    *("snakemake", "pandas", "pyarrow", "scipy", "sklearn", "torchvision", "timm", "moocore", "pymoo", "matplotlib"),
    *("typer", "pulp", "highspy", "iree", "asyncssh", "jinja2", "pandera", "cryptography"),
)
HIDDEN = f"""
import runpy, sys
sys.modules.update(dict.fromkeys({LACKING!r}))
sys.argv[:] = ["gpu", *sys.argv[1:]]
runpy.run_module("depthdial.train.gpu", run_name="__main__")
"""


def archive(folder: Path) -> Path:
    """Two classes of tiny images, told apart by their brightness."""
    generator = np.random.default_rng(0)
    for part, count in (("train", 40), ("test", 4)):
        for label, name in enumerate(("dark", "bright")):
            (folder / part / name).mkdir(parents=True)
            for index in range(count):
                pixels = generator.integers(0, 100, (8, 8, 3), np.uint8) + np.uint8(150 * label)
                Image.fromarray(pixels).save(folder / part / name / f"{index}.png")
    with tarfile.open(folder / "images.tar.xz", "w:xz") as file:
        for part in ("train", "test"):
            file.add(folder / part, part)
    return folder / "images.tar.xz"


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    files = ["--archive", str(folder / "images.tar.xz"), "--experiment", str(folder / "tiny.yaml")]
    command = [sys.executable, "-c", HIDDEN, *files, "--results", str(folder), "--device", "cpu", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.slow
def test_networks_are_trained_without_the_rest_of_the_workflow_and_not_twice(tmp_path: Path) -> None:
    archive(tmp_path)
    experiment = {
        "experiment": "tiny",
        "datasets": [{"name": "d", "source": "folder", "path": "elsewhere.tar", "validation_fraction": 0.2}],
        "seeds": [0],
        "recipes": [{"name": "fast", "epochs": 2, "batch_size": 16, "horizontal_flip": True}],
        "networks": [
            {"name": "dial", "role": "dial", "depth": 8, "width": 2, "survival": {"last": 0.5}},
            {"name": "static", "role": "static", "depth": 8, "width": 2},
        ],
    }
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(experiment))
    early = run(tmp_path, "--minutes", "0.000001")
    assert early.returncode == 3, early.stderr
    assert "the same command goes on" in early.stdout
    done = run(tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("images/s") == 2
    for name in ("dial", "static"):
        place = tmp_path / f"results/tiny/d/{name}/seed0"
        _, about = load_weights(place / "weights.safetensors")
        assert about["network"] == name
        assert list(pd.read_csv(place / "history.csv")["epoch"]) == [1, 2]
        assert sorted(path.name for path in place.iterdir()) == ["history.csv", "weights.safetensors"]
    again = run(tmp_path)
    assert again.stdout.count("images/s") == 2
    assert "epoch 1 of 2" in done.stdout
    assert "epoch" not in again.stdout.replace("whole epoch", "")


def test_a_network_that_begins_with_another_comes_behind_it_and_says_what_both_cost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive(tmp_path)
    shape = {"depth": 8, "width": 2}
    experiment = {
        "experiment": "tiny",
        "datasets": [{"name": "d", "source": "folder", "path": "elsewhere.tar", "validation_fraction": 0.2}],
        "seeds": [0],
        "recipes": [
            {"name": "fast", "epochs": 3, "batch_size": 16},
            {"name": "short", "epochs": 1, "batch_size": 16, "learning_rate": 1e-9, "weight_decay": 0},
        ],
        "networks": [
            {"name": "third", "role": "dial", "survival": {"last": 0.5}, "recipe": "short", "weights": "second"}
            | shape,
            {"name": "second", "role": "control", "recipe": "short", "weights": "first"} | shape,
            {"name": "first", "role": "control"} | shape,
        ],
    }
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(experiment))
    monkeypatch.chdir(tmp_path)
    assert main(["--experiment", "tiny.yaml", "--archive", "images.tar.xz", "--device", "cpu"]) == 0
    runs = {name: tmp_path / f"results/tiny/d/{name}/seed0" for name in ("first", "second", "third")}
    first, second, third = (load_weights(place / "weights.safetensors") for place in runs.values())
    torch.testing.assert_close(dict(third[0].named_parameters()), dict(first[0].named_parameters()))
    assert "earlier" not in first[1]
    histories = {name: pd.read_csv(place / "history.csv") for name, place in runs.items()}
    assert second[1]["earlier"]["epochs"] == 3
    assert third[1]["earlier"]["epochs"] == 4
    for column in ("processor_seconds", "mmacs"):
        before = histories["first"][column].sum() + histories["second"][column].sum()
        assert third[1]["earlier"][column] == pytest.approx(before)
    assert third[1]["weights"] == "second"


@pytest.mark.parametrize("arguments", [[], ["--dataset", "c"]])
def test_a_data_set_that_is_not_named_or_not_there_is_told(tmp_path: Path, arguments: list[str]) -> None:
    values = {"datasets": [{"name": name, "source": "digits"} for name in "ab"]}
    (tmp_path / "two.yaml").write_text(yaml.safe_dump(values))
    files = ["--experiment", str(tmp_path / "two.yaml"), "--archive", str(tmp_path / "images.tar")]
    with pytest.raises(ConfigError, match=r"--dataset: .*two\.yaml has a, b; name one of them"):
        main([*files, "--results", str(tmp_path), *arguments])
