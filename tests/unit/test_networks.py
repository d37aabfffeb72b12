"""Networks of every family as dials: their units, what skipping leaves, what is refused and how."""

import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file
from torch import Tensor, nn

from depthdial.config.networks import Network
from depthdial.errors import ArtefactError, NetworkError
from depthdial.evaluate.ablation import found_best
from depthdial.evaluate.engine import Engine
from depthdial.networks.adopt import fit, read_weights, weights_of
from depthdial.networks.build import build, dial
from depthdial.networks.chain import cut
from depthdial.networks.describe import describe
from depthdial.networks.description import Description, read_description, write_description
from depthdial.networks.dial import Dial
from depthdial.networks.families.he_shapes import Architecture
from depthdial.networks.masks import Mask
from depthdial.networks.measure import measured
from depthdial.networks.units import find_units
from depthdial.networks.weights import load_weights, save_weights

SHAPE = (3, 32, 32)


class Residual(nn.Module):
    """A residual block whose sum is rectified, or not; with a projection where the channels change."""

    def __init__(self, channels: int, out: int = 0, rectified: bool = False) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(channels, out or channels, 3, padding=1), nn.BatchNorm2d(out or channels)
        self.projection = nn.Conv2d(channels, out, 1) if out else None
        self.rectified = rectified

    def forward(self, x: Tensor) -> Tensor:
        past = x if self.projection is None else self.projection(x)
        y = past + self.norm(self.conv(x))
        return torch.relu(y) if self.rectified else y


class Planted(nn.Module):
    """Units ``body.0``, ``body.2`` and ``body.3``; the size of the batch lives beside the last two."""

    def __init__(self, classes: int = 5) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.body = nn.Sequential(Residual(4), Residual(4, 6), Residual(6), Residual(6))
        self.offset = nn.Parameter(torch.ones(1, 6, 1, 1))
        self.head = nn.Linear(6, classes)

    def forward(self, x: Tensor) -> Tensor:
        images = x.shape[0]
        x = self.body(self.stem(x)) + self.offset
        return self.head(x.mean((2, 3)).view(images, -1))


class Dense(nn.Module):
    """What the stem gives is needed again after the last block."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.a, self.b = nn.Conv2d(3, 4, 1), Residual(4), Residual(4)
        self.head = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        first = self.stem(x)
        return self.head((self.b(self.a(first)) + first).mean((2, 3)))


class Plain(nn.Module):
    """No residual block."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.Flatten(), nn.Linear(900, 5))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def as_dial(network: nn.Module, shape: tuple[int, int, int] = SHAPE, classes: int = 5) -> Dial:
    """The network with statistics and weights that are not those of a new one."""
    generator = torch.Generator().manual_seed(2)
    units = find_units(network, [], shape)
    for name, value in network.state_dict().items():
        if "running_" in name:
            value.uniform_(0.5, 1.5, generator=generator)
    return Dial(network.eval(), measured(network, units, shape, classes, "module", "planted", {})).eval()


@pytest.fixture
def planted() -> Dial:
    torch.manual_seed(0)
    return as_dial(Planted())


@pytest.mark.parametrize(
    ("family", "model", "units", "stages"),
    [
        ("torchvision", "resnet18", 5, (2, 1, 1, 1)),
        ("torchvision", "mobilenet_v3_small", 6, (1, 2, 1, 2)),
        ("torchvision", "regnet_y_400mf", 12, (2, 5, 5)),
        ("torchvision", "convnext_tiny", 18, (3, 3, 9, 3)),
        ("timm", "convnext_atto", 12, (2, 2, 6, 2)),
        ("timm", "efficientnet_lite0", 9, (1, 1, 2, 2, 3)),
        ("timm", "vit_tiny_patch16_224", 12, (12,)),
    ],
)
def test_units_of_the_libraries(family: str, model: str, units: int, stages: tuple[int, ...]) -> None:
    if family == "timm":
        pytest.importorskip("timm")
    settings = Network(name="n", role="dial", family=family, model=model, survival={})
    found = describe(settings, SHAPE, 10)
    assert (found.n_units, found.stages, found.classes) == (units, stages, 10)
    assert found.full_macs == found.fixed_macs + sum(unit.macs for unit in found.units)
    assert all(unit.bypass.identity for unit in found.units)


def test_planted_units_are_found_and_counted(planted: Dial, tmp_path: Path) -> None:
    network = planted.description
    assert [unit.name for unit in network.units] == ["body.0", "body.2", "body.3"]
    pixels = 32 * 32
    assert [unit.macs for unit in network.units] == [9 * 4 * 4 * pixels, 9 * 6 * 6 * pixels, 9 * 6 * 6 * pixels]
    assert network.segments == (9 * 3 * 4 * pixels, (9 * 4 * 6 + 4 * 6) * pixels, 0, 6 * 5)
    assert network.stages == (1, 2)
    assert [unit.kind for unit in network.units] == ["Residual 4x32x32", "Residual 6x32x32", "Residual 6x32x32"]
    assert network.units[1].output_bytes == 4 * 6 * pixels
    write_description(tmp_path / "network.json", network)
    assert read_description(tmp_path / "network.json") == network
    assert Description.from_dict(network.to_dict()) == network


@pytest.mark.parametrize("bits", ["111", "011", "101", "000"])
def test_a_skipped_unit_is_as_if_it_had_been_taken_out(planted: Dial, bits: str) -> None:
    x = torch.randn(4, *SHAPE, generator=torch.Generator().manual_seed(1))
    plain = Planted().eval()
    plain.load_state_dict(planted.state_dict())
    for unit, bit in zip(planted.description.units, bits, strict=True):
        if bit == "0":
            plain.set_submodule(unit.name, nn.Identity())
    mask = Mask(bits)
    static = planted.extract(mask)
    with torch.no_grad():
        expected = plain(x)
        assert torch.equal(planted(x, mask.gates), expected)
        assert torch.equal(static(x), expected)
    assert set(static.state_dict()) == {n for n in planted.state_dict() if n in plain.state_dict()}


@pytest.mark.parametrize("recalibrated", [False, True], ids=["own", "recalibrated"])
@pytest.mark.parametrize("model", ["planted", "mobilenet_v3_small", "vit_tiny_patch16_224"])
def test_masks_together_are_bit_for_bit_each_mask_alone(planted: Dial, model: str, recalibrated: bool) -> None:
    """A BatchNorm in a segment behind a skipped unit has statistics of that prefix, too."""
    torch.manual_seed(4)
    net = planted
    if model != "planted":
        family = "timm" if model.startswith("vit") else "torchvision"
        pytest.importorskip(family)
        shape = (3, 32, 32)
        net = dial(describe(Network(name="n", role="dial", family=family, model=model, survival={}), shape, 5)).eval()
    images = torch.randn(6, *SHAPE)
    calibration = torch.randn(8, *SHAPE) if recalibrated else None
    n = net.description.n_units
    masks = [Mask(format(value, f"0{n}b")) for value in (0, 1, 2, 5, 2**n - 2, 2**n - 1)]
    found = Engine(net, "none", calibration, batch_size=6).logits(masks, images)
    statistics = Engine(net, "none", calibration, batch_size=6).statistics(masks)
    for mask in masks:
        static = net.extract(mask).to(memory_format=torch.channels_last)
        with torch.inference_mode():
            if calibration is not None:
                for module in static.modules():
                    if isinstance(module, nn.modules.batchnorm._BatchNorm):
                        module.train()
                        module.momentum = 1.0
                static(calibration.contiguous(memory_format=torch.channels_last))
            expected = static.eval()(images.contiguous(memory_format=torch.channels_last))
        assert torch.equal(found[mask], expected)
        own = {name: value for name, value in static.state_dict().items() if "running_" in name}
        assert set(statistics[mask]) == set(own)
        assert all(torch.equal(statistics[mask][name], value) for name, value in own.items())


def test_a_blend_is_the_mean_of_both_statistics(planted: Dial) -> None:
    calibration, mask = torch.randn(8, *SHAPE), Mask("111")
    anew, own = (Engine(planted, "none", c).statistics([mask])[mask] for c in (calibration, None))
    blend = Engine(planted, "none", calibration, blend=0.5).statistics([mask])[mask]
    first = "body.0.norm.running_mean"
    assert torch.allclose(blend[first], (anew[first] + own[first]) / 2)


def test_several_prefixes_share_a_call(planted: Dial) -> None:
    images, calibration = torch.randn(6, *SHAPE), torch.randn(8, *SHAPE)
    masks = [Mask(format(value, "03b")) for value in range(8)]
    alone = Engine(planted, "none", calibration, batch_size=14).logits(masks, images)
    together = Engine(planted, "none", calibration, batch_size=14 * 8).logits(masks, images)
    for mask in masks:
        torch.testing.assert_close(together[mask], alone[mask], rtol=1e-4, atol=1e-5)


def test_weights_survive_the_file(tmp_path: Path) -> None:
    settings = Network(name="n", role="dial", family="torchvision", model="mobilenet_v3_small", survival={})
    net = dial(describe(settings, SHAPE, 4), [0.9] * 6).eval()
    save_weights(tmp_path / "w.safetensors", net, {"seed": 1})
    again, about = load_weights(tmp_path / "w.safetensors")
    assert about == {"seed": 1}
    assert again.description == net.description
    x = torch.randn(2, *SHAPE)
    with torch.no_grad():
        assert torch.equal(again(x), net(x))


# --- refusals ---


def test_a_network_without_units_is_refused() -> None:
    with pytest.raises(NetworkError, match=r"Plain: no unit found.*Name the units by `units:`"):
        find_units(Plain(), [], SHAPE)


def test_a_network_that_is_no_chain_is_refused_with_the_place() -> None:
    with pytest.raises(NetworkError, match=r"unit a: the network is no chain there: stem \(made by call_module"):
        find_units(Dense(), [], SHAPE)


class Crooked(nn.Module):
    """Blocks that are called as ``how`` says."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.a, self.b = how, Residual(3), Residual(3)
        self.head, self.scale = nn.Linear(3, 5), nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor | dict[str, Tensor]:
        if self.how == "branching" and x.sum() > 0:
            return x
        if self.how == "twice":
            x = self.a(x)
        if self.how == "keyword":
            return self.head(self.b(self.a(x=x)).mean((2, 3)))
        if self.how == "scaled":
            return self.head(self.b(self.a(x, self.scale)).mean((2, 3)))
        logits = self.head(self.b(self.a(x)).mean((2, 3)))
        return {"logits": logits} if self.how == "named" else logits


@pytest.mark.parametrize(
    ("how", "units", "said"),
    [
        ("branching", ["a", "b"], "Crooked: the code that calls its units cannot be traced .*; it may not branch on"),
        ("twice", ["a", "b"], "unit a: called 2 times; a unit is called once for an image"),
        ("straight", ["b", "a"], "units are called in the order a, b"),
        ("keyword", ["a", "b"], "unit a: is not called with one tensor first"),
        ("scaled", ["a", "b"], "unit a: is given scale besides its input; it must be a constant"),
        ("named", ["a", "b"], "Crooked: must return one tensor, the logits"),
    ],
)
def test_a_network_that_cannot_be_cut_is_refused(how: str, units: list[str], said: str) -> None:
    with pytest.raises(NetworkError, match=said):
        cut(Crooked(how), units, (3, 8, 8))


def test_modules_that_can_be_no_units_are_refused() -> None:
    with pytest.raises(NetworkError, match=r"body\.1 takes .* None of the modules named can be a unit"):
        find_units(Planted(), ["body.1"], SHAPE)
    with pytest.raises(NetworkError, match=r"units: body\.0\.conv: not called exactly once, or only inside another"):
        find_units(Planted(), ["body.0", "body.0.conv"], SHAPE)
    with pytest.raises(NetworkError, match=r"unit body\.1: changes the shape from \(4, 32, 32\) to \(6, 32, 32\); it"):
        measured(Planted(), ["body.1"], SHAPE, 5, "module", "planted", {})


@pytest.mark.parametrize("survival", [(0.5,), (0.5, 0.5, 0.0), (0.5, 0.5, 1.5)])
def test_survival_that_is_no_probability_of_each_unit_is_refused(survival: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"survival needs 3 probabilities in \(0, 1\], got"):
        dial(Architecture(8, 4, 1, 8, 3).describe(), survival)


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ((9, 4, 1, 8, 3), r"depth must be 6m\+2 with m >= 1 .*, got 9"),
        ((8, 4, 1, 30, 3), "image size must be a multiple of 4, got 30"),
        ((8, 0, 1, 8, 3), "width, in_channels and classes must be positive"),
        ((8, 4, 1, 8, 0), "width, in_channels and classes must be positive"),
    ],
)
def test_an_architecture_that_cannot_be_is_refused(sizes: tuple[int, int, int, int, int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Architecture(*sizes)


def test_an_architecture_is_that_of_its_own_family_alone(planted: Dial) -> None:
    assert Architecture.of(Architecture(8, 4, 1, 8, 3).describe()) == Architecture(8, 4, 1, 8, 3)
    with pytest.raises(ValueError, match="planted is of family module, not one of he_resnet"):
        Architecture.of(planted.description)


@pytest.mark.parametrize(
    ("family", "model", "shape", "said"),
    [
        ("torchvision", "resnet19", SHAPE, r"model: torchvision \S+ has no classifier 'resnet19'"),
        ("torchvision", "resnet18", (1, 8, 8), "networks of torchvision take images of 3 channels, these have 1"),
        ("timm", "resnet_19", SHAPE, r"model: timm \S+ has no network 'resnet_19'; there are "),
    ],
)
def test_a_model_that_a_library_does_not_have_is_refused(family: str, model: str, shape: tuple, said: str) -> None:
    with pytest.raises(NetworkError, match=said):
        describe(Network(name="n", role="dial", family=family, model=model, survival={}), shape, 5)


def test_a_description_of_another_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "network.json").write_text('{"format": "other-1"}')
    with pytest.raises(ArtefactError, match=r"network\.json: expected format network-1, found other-1; "):
        read_description(tmp_path / "network.json")


def test_a_library_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(NetworkError, match=r"family: timm is not installed; pip install 'depthdial\[timm\]'"):
        describe(Network(name="n", role="dial", family="timm", model="resnet18", survival={}), SHAPE, 5)


def test_named_units_that_change_the_shape_are_refused_with_those_that_do_not() -> None:
    with pytest.raises(NetworkError, match=r"body.1 takes \(4, 32, 32\) to \(6, 32, 32\).*\[body.0, body.2, body.3\]"):
        find_units(Planted(), ["body.*"], SHAPE)
    assert find_units(Planted(), ["body.0", "body.3"], SHAPE) == ["body.0", "body.3"]
    with pytest.raises(NetworkError, match=r"no module matches 'blocks.\*'; modules are stem, body"):
        find_units(Planted(), ["blocks.*"], SHAPE)


def test_other_classes_than_outputs_are_refused() -> None:
    with pytest.raises(NetworkError, match=r"gives \(1, 5\) for one image; with 7 classes it must give \(1, 7\)"):
        as_dial(Planted(), classes=7)


def test_weights_that_do_not_fit_say_what_is_wrong() -> None:
    state = Planted(classes=7).state_dict()
    state["extra.weight"] = state.pop("stem.bias")
    with pytest.raises(NetworkError, match=r"do not fit Planted: missing 1: stem.bias; superfluous 1: extra.weight; of "
                       r"another shape 2: head.weight is \(7, 6\), expected \(5, 6\), head.bias"):  # fmt: skip
        fit(Planted(), state)


def test_a_classifier_can_be_drawn_anew() -> None:
    network, state = Planted(), Planted(classes=7).state_dict()
    head = network.head.weight.detach().clone()
    fit(network, state, ["head.*"])
    assert torch.equal(network.head.weight, head)
    assert torch.equal(network.stem.weight, state["stem.weight"])
    with pytest.raises(NetworkError, match=r"anew: no tensor matches fc.\*"):
        fit(network, state, ["fc.*"])


def test_weights_are_read_from_either_format_and_nothing_else(tmp_path: Path) -> None:
    state = Planted().state_dict()
    save_file(state, tmp_path / "w.safetensors")
    torch.save(
        {"epoch": 3, "state_dict": {f"module.{name}": value for name, value in state.items()}}, tmp_path / "w.pth"
    )
    for name in ("w.safetensors", "w.pth"):
        found = read_weights(tmp_path / name)
        assert set(found) == set(state)
        assert all(torch.equal(found[key], state[key]) for key in state)
    torch.save(Planted(), tmp_path / "pickled.pt")
    for name in ("pickled.pt", "missing.pt"):
        with pytest.raises(Exception, match=f"{name}: .*name a safetensors file, or a PyTorch file of a state_dict"):
            read_weights(tmp_path / name)
    torch.save({"epoch": 3}, tmp_path / "empty.pt")
    with pytest.raises(NetworkError, match=r"weights: .*empty\.pt holds no tensors by name; name a safetensors file"):
        read_weights(tmp_path / "empty.pt")
    with pytest.raises(
        NetworkError, match=r"'BEST' is neither a file with a suffix nor weights of resnet18, which are "
    ):
        weights_of("torchvision", "resnet18", "BEST")


USERS = """
import torch
def build(classes, input_shape):
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, classes))
def broken(classes, input_shape):
    return 1 / 0
def other(classes, input_shape):
    return classes
"""


def test_a_module_of_the_users_own_comes_from_the_folder_of_the_run_alone(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(USERS)

    def described(place: str) -> Description:
        return describe(Network(name="n", role="dial", family="module", module=place, survival={}), (1, 2, 2), 3)

    for place in ("../mine.py:build", "/etc/mine.py:build"):
        with pytest.raises(NetworkError, match="a path within the folder that the workflow runs in, got"):
            described(place)
    with pytest.raises(NetworkError, match=r"there is no file other.py in"):
        described("other.py:build")
    with pytest.raises(NetworkError, match=r"mine.py:broken failed: ZeroDivisionError"):
        described("mine.py:broken")
    with pytest.raises(NetworkError, match=r"mine.py:other gave a int, expected a torch.nn.Module"):
        described("mine.py:other")
    with pytest.raises(NetworkError, match="Sequential: no unit found"):
        described("mine.py:build")
    known = Description("module", "mine.py:build", (), (0,), (1, 2, 2), 3, 0, {"sha256": "0"})
    with pytest.raises(NetworkError, match=r"mine.py has changed since the network was described"):
        build(known)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"family": "timm"}, "model: family timm needs it"),
        ({"family": "torchvision", "model": "m", "depth": 20}, "depth: not for family torchvision; remove it"),
        ({"family": "timm", "model": "m", "scaling": "survival"}, "units of family timm cannot be scaled"),
        ({"depth": 20, "units": ["blocks.*"]}, "all blocks of he_resnet are units"),
        ({"family": "timm", "model": "m", "recipe": "none"}, "recipe none adopts a network that is trained already"),
        ({"family": "timm", "model": "m", "recipe": "none", "weights": "w.pt", "survival": {}}, "trains nothing"),
        ({"family": "timm", "model": "m", "anew": ["head.*"], "survival": {}}, "without weights all is drawn anew"),
    ],
)
def test_settings_that_do_not_fit_a_family_are_refused(settings: dict, problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        Network(name="n", role="dial", **settings)


def test_statistics_are_chosen_over_masks_that_keep_half_the_units_and_own_ones_if_equal(tmp_path: Path) -> None:
    rows = [("none", share, kept, value) for share, values in ((0.0, (0.9, 0.8, 0.1)), (0.5, (0.8, 0.9, 0.2)),
            (1.0, (0.7, 0.6, 0.9))) for kept, value in zip((8, 4, 0), values, strict=True)]  # fmt: skip
    pd.DataFrame(rows, columns=["scaling", "recalibrated", "kept", "val_accuracy"]).to_parquet(tmp_path / "a.parquet")
    assert found_best(tmp_path / "a.parquet", "none") is False
    better = [(*row[:3], row[3] + 0.01 * (row[1] == 0.5)) for row in rows]
    pd.DataFrame(better, columns=["scaling", "recalibrated", "kept", "val_accuracy"]).to_parquet(tmp_path / "b.parquet")
    assert found_best(tmp_path / "b.parquet", "none") == 0.5
