"""The examples are what their guide says."""

from pathlib import Path

import torch

from depthdial.config.load import load_experiment
from depthdial.config.yaml_file import read_yaml
from depthdial.networks.build import dial
from depthdial.networks.describe import describe
from depthdial.networks.masks import Mask

ROOT = Path(__file__).parents[2]


def test_a_network_of_ones_own_is_a_dial_of_six_units(monkeypatch) -> None:
    monkeypatch.chdir(ROOT)
    experiment = load_experiment(read_yaml(ROOT / "examples/own-network/config.yaml"), "the example")
    network = experiment.network("mine")
    described = describe(network, (1, 8, 8), 10)
    assert [(unit.name, unit.stage) for unit in described.units] == [
        *(("1", 0), ("2", 0), ("3", 0)),
        *(("5", 1), ("6", 1), ("7", 1)),
    ]
    net = dial(described, network.survival.probabilities(6)).eval()
    x = torch.randn(2, 1, 8, 8)
    with torch.no_grad():
        assert torch.equal(net.extract(Mask("101011"))(x), net(x, Mask("101011").gates))
    lines = (ROOT / "examples/own-network/network.py").read_text().splitlines()
    assert len([line for line in lines if line.strip()]) <= 30
    assert not any("depthdial" in line for line in lines[2:])


def test_the_adopted_example_is_valid() -> None:
    experiment = load_experiment(read_yaml(ROOT / "config/efficientnet-lite0.yaml"), "the example")
    (lite,) = experiment.networks
    assert lite.adopted
    assert experiment.recalibration("lite0") is None, "found on validation images"
    assert experiment.evaluation("lite0").scaling == "none"
