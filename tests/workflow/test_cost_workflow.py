"""The front is chosen by the latency of a device: its cost model goes through the workflow."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml

from depthdial.data.images import Split, save_images
from depthdial.devices.records import read_records
from depthdial.networks.build import dial
from depthdial.networks.configurations import read_configurations
from depthdial.networks.families.he_shapes import Architecture
from depthdial.networks.weights import save_weights
from depthdial.select.latency_model import predicted_latency, read_latency_model

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
SNAKEFILE = "".join(f'include: "{ROOT}/rules/{name}.smk"\n' for name in ("common", "masks", "select", "bench"))
DIAL = "results/e/d/dial"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run in which the dial is trained already."""
    local = {"name": "local", "target": "host", "directory": str(tmp_path / "device")}
    (tmp_path / "devices.yaml").write_text(yaml.safe_dump({"devices": [local]}))
    config = {
        "experiment": "e",
        "datasets": [{"name": "d", "source": "digits"}],
        "networks": [{"name": "dial", "role": "dial", "depth": 14, "width": 4, "survival": {"last": 0.5}}],
        "seeds": [0],
        "evaluate": {"shards": 1, "calibration_images": 16},
        "select": {"cost": "local", "configurations": 3, "largest_drop": 1.0},
        "deploy": {"gate_images": 1},
        "benchmark": {
            "devices_file": str(tmp_path / "devices.yaml"),
            "rounds": 3,
            "extra_rounds": 0,
            "window_ms": 20,
            "warm_up_ms": 0,
            "least_inferences": 10,
            "resamples": 100,
            "drift_limit": 1e-6,  # no device is as quiet as that, so the figures must be marked
            "cost_model": {"masks": 10, "held_out": 2},
        },
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    for name in ("config", ".cache"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / DIAL / "seed0").mkdir(parents=True)
    torch.manual_seed(0)
    images, labels = torch.randint(0, 256, (40, 1, 8, 8), dtype=torch.uint8), torch.randint(0, 10, (40,))
    splits = dict.fromkeys(("train", "validation", "test"), Split(images.numpy(), labels.numpy()))
    save_images(tmp_path / "results/e/d/images.safetensors", "d", list("0123456789"), splits)
    save_weights(
        tmp_path / DIAL / "seed0/weights.safetensors", dial(Architecture(14, 4, 1, 8, 10).describe()), {"seed": 0}
    )
    return tmp_path


def snakemake(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "snakemake", *arguments, "--cores", "2", "--configfile", "config.yaml"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_front_is_chosen_by_the_latency_of_a_device(folder: Path) -> None:
    target = f"{DIAL}/seed0/configurations.json"
    done = snakemake(folder, target)
    assert done.returncode == 0, done.stderr[-3000:]
    for rule in ("export_cost", "compile_cost", "measure_cost", "select_front"):
        assert f"rule {rule}:" in done.stderr + done.stdout
    model = read_latency_model(folder / DIAL / "cost/local/model.json")
    assert (model.device, model.network, model.fitted, model.held_out) == ("local", "dial", 11, 2)
    assert len(model.blocks_ms) == 6
    assert min(model.blocks_ms) >= 0
    assert len(read_records(folder / DIAL / "cost/local/records.jsonl")) == 3 * (13 + 1)
    table = pd.read_parquet(folder / DIAL / "cost/local/latency.parquet")
    assert len(table) == 13
    chosen = read_configurations(folder / target).configurations
    latencies = predicted_latency(model, [configuration.mask for configuration in chosen])
    assert chosen[0].mask == "111111"
    assert list(latencies) == sorted(latencies, reverse=True)
    assert not model.valid
    log = (folder / "logs/e/select_front/d-dial-seed0.log").read_text()
    assert "the choice is not valid. Measure again." in log
    again = snakemake(folder, target)
    assert "Nothing to be done" in again.stderr + again.stdout, again.stderr
