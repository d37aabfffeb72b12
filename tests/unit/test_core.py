"""Masks, architectures and networks."""

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch.utils.flop_counter import FlopCounterMode

from depthdial.data.images import SPLITS, Split, save_images
from depthdial.errors import ArtefactError
from depthdial.networks.build import dial
from depthdial.networks.dial import Dial
from depthdial.networks.families.he_shapes import Architecture
from depthdial.networks.masks import Mask, all_masks
from depthdial.networks.weights import load_weights, save_weights

ARCH = Architecture(8, 4, 1, 8, 10)
DEEPER = Architecture(14, 4, 3, 8, 5)


@pytest.mark.parametrize("bits", ["", "012", "1 0"])
def test_masks_are_zeros_and_ones(bits: str) -> None:
    with pytest.raises(ValueError, match="a mask is a string of 0 and 1"):
        Mask(bits)


def test_masks_count_and_order() -> None:
    masks = list(all_masks(4))
    assert len(set(masks)) == 16
    assert masks == sorted(masks)
    assert Mask.full(4) in masks
    mask = Mask.from_kept(4, [0, 2])
    assert (str(mask), mask.kept, mask.skipped) == ("1010", (0, 2), (1, 3))
    assert mask.flip(1) == Mask("1110")


@pytest.mark.parametrize(("depth", "millions"), [(20, 40.6), (32, 68.9), (56, 125.5), (110, 252.9)])
def test_macs_are_those_of_the_published_family(depth: int, millions: float) -> None:
    arch = Architecture(depth, 16, 3, 32, 10).describe()
    assert arch.full_macs / 1e6 == pytest.approx(millions, abs=0.1)


def test_macs_are_those_that_torch_counts() -> None:
    network = ARCH.describe()
    net = dial(network)
    for mask in all_masks(network.n_units):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            net.extract(mask)(torch.zeros(1, 1, 8, 8))
        assert counter.get_total_flops() == 2 * network.macs(mask)


@pytest.mark.parametrize("depth", [2, 9, 21])
def test_other_depths_are_refused(depth: int) -> None:
    with pytest.raises(ValueError, match="depth must be 6m"):
        Architecture(depth, 16, 3, 32, 10)


def randomised(arch: Architecture, survival: tuple[float, ...] | None = None) -> Dial:
    torch.manual_seed(1)
    net = dial(arch.describe(), survival)
    for name, buffer in net.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            buffer.uniform_(0.5, 1.5)
    return net.eval()


@settings(max_examples=30)
@given(bits=st.text("01", min_size=6, max_size=6), scaling=st.sampled_from(["none", "survival", "inverse"]))
def test_an_extracted_network_computes_what_the_gated_one_does(bits: str, scaling: str) -> None:
    net = randomised(DEEPER, (0.9, 0.8, 0.7, 0.6, 0.5, 0.4))
    mask, x = Mask(bits), torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = net(x, mask.gates, net.scales(scaling))
        assert torch.equal(net.extract(mask, scaling)(x), expected)


def test_a_skipped_block_leaves_nothing_behind() -> None:
    net = randomised(DEEPER).extract(Mask("101101"))
    names = {name.split(".")[1] for name, _ in net.named_parameters() if name.startswith("blocks.")}
    assert names == {"0", "2", "3", "5"}


def test_a_skipped_block_within_a_stage_is_the_identity() -> None:
    net = randomised(DEEPER)
    x = torch.rand(2, 4, 8, 8)
    assert net.run_bypass(1, x) is x
    wider = net.run_bypass(2, x)
    assert torch.equal(wider[:, :4], x[:, :, ::2, ::2])
    assert not wider[:, 4:].any()


def test_gates_open_with_their_survival_probability() -> None:
    net = dial(DEEPER.describe(), (1.0, 0.9, 0.8, 0.7, 0.6, 0.5))
    generator = torch.Generator().manual_seed(0)
    draws = torch.tensor([net.draw_gates(generator) for _ in range(4000)], dtype=torch.float)
    assert torch.allclose(draws.mean(0), torch.tensor(net.survival), atol=0.03)


def test_weights_survive_the_file(tmp_path) -> None:
    net = randomised(DEEPER, (0.9,) * 6)
    save_weights(tmp_path / "w.safetensors", net, {"seed": 3})
    split = Split(np.zeros((1, 1, 8, 8), np.uint8), np.zeros(1, np.int64))
    loaded, about = load_weights(tmp_path / "w.safetensors")
    assert about == {"seed": 3}
    save_weights(tmp_path / "again.safetensors", net, {"seed": 3})
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "w.safetensors").read_bytes()
    assert loaded.survival == net.survival
    assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), loaded.state_dict().values(), strict=True))
    save_images(tmp_path / "i.safetensors", "d", ["a"], dict.fromkeys(SPLITS, split))
    with pytest.raises(ArtefactError, match="expected format weights-2, found images-2"):
        load_weights(tmp_path / "i.safetensors")
    (tmp_path / "x.safetensors").write_bytes(b"no weights")
    with pytest.raises(ArtefactError, match="cannot be read as safetensors"):
        load_weights(tmp_path / "x.safetensors")
