"""Training: deterministic, resumable, and saving the work of closed blocks."""

import copy
import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from depthdial.config.finetune import Finetune
from depthdial.config.networks import Survival
from depthdial.config.training import Recipe, Sandwich
from depthdial.data.augment import random_crop, random_flip
from depthdial.data.images import ImagesInfo, Split
from depthdial.errors import ConfigError
from depthdial.networks.build import dial
from depthdial.networks.dial import Dial
from depthdial.networks.families.he_resnet import Block
from depthdial.networks.families.he_shapes import Architecture
from depthdial.networks.masks import Mask
from depthdial.networks.measure import measured
from depthdial.networks.units import find_units
from depthdial.train import loop
from depthdial.train.checkpoint import save_checkpoint
from depthdial.train.finetune import finetune
from depthdial.train.learning_rate import learning_rate_factor
from depthdial.train.sensitivity import greedy_order, sensitivities, survival_by_sensitivity
from depthdial.train.steps import accumulated, backward, sandwich_gates, sandwich_step

ARCH = Architecture(8, 4, 1, 8, 3).describe()
LINEAR = Survival(last=0.5)
INFO = ImagesInfo("toy", ("a", "b", "c"), (0.5,), (0.25,), (1, 8, 8))


def stripes(count: int) -> Split:
    """Three classes that are told apart by which third of the image is bright."""
    generator = np.random.default_rng(count)
    labels = np.arange(count) % 3
    images = generator.integers(0, 80, (count, 1, 8, 8))
    for image, label in zip(images, labels, strict=True):
        image[0, :, 3 * label : 3 * label + 2] += 150
    return Split(images.astype(np.uint8), labels.astype(np.int64))


SPLITS = (stripes(96), stripes(48))


def train(path: Path, epochs: int = 3, survival=LINEAR, seed: int = 0, key: str = "k", start=None, anew=(), **changes):
    recipe = Recipe(epochs=epochs, batch_size=16, **changes)
    return loop.train(ARCH, survival, recipe, seed, INFO, SPLITS, path / "c.safetensors", key, start, anew)


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_training_learns_and_is_deterministic(tmp_path: Path) -> None:
    net, history = train(tmp_path, epochs=6, key="a")
    again, _ = train(tmp_path, epochs=6, key="b")
    other, _ = train(tmp_path, epochs=6, key="c", seed=1)
    assert history[-1]["validation_accuracy"] > 0.9
    assert same(net, again)
    assert not same(net, other)


@pytest.mark.parametrize(
    "recipe",
    [
        {"survival": None},
        {"survival": Survival(last=0.5)},
        {"survival": Survival(last=0.5, shape="sensitivity"), "epochs": 4},
        {"sandwich": Sandwich(every=2), "resolutions": (0.5, 1.0)},
        {"sandwich": Sandwich(start=0, distil="start")},
        {"sandwich": Sandwich(start=0, draw="greedy")},
        {"optimiser": "adamw", "learning_rate": 3e-3, "schedule": "cosine", "warm_up": 0.2, "accumulate": 2},
    ],
)
def test_a_run_cut_off_after_an_epoch_ends_with_the_same_weights(tmp_path: Path, recipe, monkeypatch) -> None:
    whole, history = train(tmp_path, key="whole", **recipe)
    save, calls = loop.save_checkpoint, []

    def save_and_die(*arguments) -> None:
        save(*arguments)
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop, "save_checkpoint", save_and_die)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, **recipe)
    resumed, resumed_history = train(tmp_path, **recipe)
    assert same(whole, resumed)
    assert whole.survival == resumed.survival
    assert [row["loss"] for row in history] == [row["loss"] for row in resumed_history]
    assert len(calls) == len(history), "only epochs that were missing are trained"


def test_a_teacher_costs_a_pass_of_the_full_network(tmp_path: Path) -> None:
    (own,), (other,) = (
        train(tmp_path, epochs=1, key=str(distil), sandwich=Sandwich(start=0, distil=distil))[1]
        for distil in (True, "start")
    )
    assert other["mmacs"] - own["mmacs"] == pytest.approx(ARCH.full_macs / 1e6)
    assert other["open_share"] == own["open_share"], "branches that learn"


def test_training_goes_on_from_adopted_weights_but_for_those_drawn_anew(tmp_path: Path) -> None:
    started, _ = train(tmp_path, epochs=6, key="start", seed=3)
    state = {name: value.clone() for name, value in started.state_dict().items()}
    gently = {"optimiser": "adamw", "learning_rate": 1e-4, "schedule": "cosine", "warm_up": 0.2, "epochs": 1}
    whole, history = train(tmp_path, key="whole", start=state, **gently)
    other, again = train(tmp_path, key="anew", start=state, anew=("classifier.*",), **gently)
    _, scratch = train(tmp_path, key="scratch", **gently)
    assert history[-1]["validation_accuracy"] > 0.9
    assert history[0]["loss"] < 0.5 * scratch[0]["loss"]
    assert history[0]["loss"] < again[0]["loss"]
    assert not same(whole, started), "it is trained, not adopted as it is"
    for name, value in whole.named_parameters():
        assert torch.allclose(value, state[name], atol=0.01), name
    for name, value in other.named_parameters():
        assert torch.allclose(value, state[name], atol=0.01) != name.startswith("classifier."), name
    assert all(torch.equal(value, state[name]) for name, value in started.state_dict().items())


def test_a_checkpoint_of_other_settings_or_a_broken_one_is_not_taken_up(tmp_path: Path) -> None:
    fresh, _ = train(tmp_path, key="new")
    train(tmp_path, key="old", seed=5)
    anew, _ = train(tmp_path, key="new")
    assert same(fresh, anew)
    (tmp_path / "c.safetensors").write_bytes(b"half")
    after_damage, _ = train(tmp_path, key="new")
    assert same(fresh, after_damage)


def test_closed_blocks_are_not_executed(tmp_path: Path, monkeypatch) -> None:
    executed = []
    branch = Block.branch
    monkeypatch.setattr(
        "depthdial.networks.families.he_resnet.Block.branch",
        lambda self, x: (executed.append(self.training), branch(self, x))[1],
    )
    _, history = train(tmp_path, epochs=4, survival=Survival(shape="uniform"))
    steps = 4 * 6 * 3
    shares = [row["open_share"] for row in history]
    assert sum(executed) == round(sum(shares) / 4 * steps)
    assert 0.3 < sum(shares) / 4 < 0.7


def test_a_loss_that_is_no_number_stops_training(tmp_path: Path) -> None:
    with pytest.raises(FloatingPointError, match="lower the learning rate"):
        train(tmp_path, learning_rate=1e9)


def test_bfloat16_learns_too(tmp_path: Path) -> None:
    _, history = train(tmp_path, epochs=6, precision="bfloat16", schedule="cosine", label_smoothing=0.1)
    assert history[-1]["validation_accuracy"] > 0.9


def test_a_gpu_that_is_not_there_is_an_error_and_no_silent_cpu_run(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ConfigError, match=r"cuda:7 is not on this machine, which has 1 CUDA devices"):
        train(tmp_path, device="cuda:7")


def test_a_gpu_is_used_when_there_is_one_unless_the_recipe_says_where(monkeypatch) -> None:
    for there, device in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert loop.training_device(Recipe()).type == device
        assert loop.training_device(Recipe(device="cpu")).type == "cpu"


def test_schedules_begin_and_end_where_they_should() -> None:
    assert learning_rate_factor("one_cycle", 0.0) == 0
    assert learning_rate_factor("one_cycle", 0.2) == 1
    assert learning_rate_factor("one_cycle", 1.0) == 0
    assert learning_rate_factor("cosine", 0.0) == 1
    assert learning_rate_factor("cosine", 1.0) == 0
    assert [learning_rate_factor("step", p) for p in (0.49, 0.5, 0.74, 0.75)] == [1, 0.1, 0.1, 0.01]


def test_augmentation_moves_and_mirrors_whole_images() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.arange(1.0, 65).reshape(1, 1, 8, 8).repeat(200, 1, 1, 1)
    crops = random_crop(images, 2, generator)
    shifts = {
        (dy, dx)
        for crop in crops
        for dy in range(-2, 3)
        for dx in range(-2, 3)
        if torch.equal(crop[0, 2:6, 2:6], images[0, 0, 2 + dy : 6 + dy, 2 + dx : 6 + dx])
    }
    assert len(shifts) == 25
    flips = random_flip(images, generator)
    mirrored = sum(torch.equal(flip, images[0].flip(2)) for flip in flips)
    assert 60 < mirrored < 140


def small_net(seed: int = 0) -> Dial:
    torch.manual_seed(seed)
    return dial(Architecture(14, 4, 1, 8, 3).describe(), Survival().probabilities(6))


def batch(count: int = 24) -> tuple[torch.Tensor, torch.Tensor]:
    split = stripes(count)
    return torch.from_numpy(INFO.normalise(split.images)), torch.from_numpy(split.labels)


def test_a_sandwich_holds_the_full_the_smallest_and_random_networks() -> None:
    gates = sandwich_gates(small_net(), Sandwich(smallest=3, random=2), torch.Generator().manual_seed(0))
    assert gates[0] == (True,) * 6
    assert gates[1] == (True, False, True, False, True, False), "the first block of each stage"
    assert len(gates) == 4
    assert sandwich_gates(small_net(), Sandwich(smallest=0, random=0), torch.Generator())[1] == (False,) * 6


def test_nested_networks_keep_the_first_blocks_of_every_stage() -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = {sandwich_gates(small_net(), Sandwich(draw="nested"), generator)[2] for _ in range(100)}
    assert drawn == {(True, a, True, b, True, c) for a in (True, False) for b in (True, False) for c in (True, False)}


def test_nested_networks_are_between_the_smallest_and_the_full_one() -> None:
    """The smallest is one of the nested, so that what it teaches a block agrees with what the others ask of it."""
    net = dial(Architecture(26, 4, 1, 8, 3).describe(), Survival().probabilities(12))
    gates = [sandwich_gates(net, Sandwich(smallest=6), torch.Generator().manual_seed(seed)) for seed in range(100)]
    assert {each[1] for each in gates} == {(True, True, False, False) * 3}
    depths = {tuple(sum(each[2][stage : stage + 4]) for stage in (0, 4, 8)) for each in gates}
    assert depths == set(itertools.product((2, 3, 4), repeat=3))


def test_greedy_networks_give_up_first_what_the_network_misses_least() -> None:
    net = small_net()
    with torch.no_grad():
        for block in (4, 2):  # their branches add nothing
            net.blocks[block].bn2.weight.zero_()
    order = greedy_order(net, *batch())
    assert set(order[:2]) == {2, 4}
    assert sorted(order) == list(range(6))
    probe = copy.deepcopy(net).train()
    for count in range(6):
        losses = {}
        for block in set(range(6)) - set(order[:count]):
            gates = [index not in (*order[:count], block) for index in range(6)]
            losses[block] = torch.nn.functional.cross_entropy(probe(batch()[0], gates), batch()[1]).item()
        assert losses[order[count]] == min(losses.values())
    drawn = sandwich_gates(net, Sandwich(draw="greedy", smallest=3, random=40), torch.Generator().manual_seed(0), order)
    assert drawn[:2] == [(True,) * 6, tuple(index in order[3:] for index in range(6))]
    assert set(drawn[2:]) == {tuple(index in order[out:] for index in range(6)) for out in range(4)}
    shallow = sandwich_gates(net, Sandwich(draw="greedy", smallest=9), torch.Generator(), order)
    assert shallow == [(True,) * 6] * 3, "a network of fewer blocks than the smallest is to keep"


def test_a_dial_may_learn_from_the_network_that_it_begins_with() -> None:
    inputs, labels = batch()
    recipe = Recipe(sandwich=Sandwich(distil="start"))
    teacher, net, apart = small_net(seed=1), small_net(), small_net()
    with torch.no_grad():
        before = teacher.eval()(inputs)
    gates = [(True,) * 6, (True, False) * 3]
    sandwich_step(net, inputs, labels, gates, recipe, teacher=teacher)
    backward(apart, inputs, labels, gates[0], recipe)
    with torch.no_grad():
        taught = small_net(seed=1).train()(inputs).softmax(1)
    backward(apart, inputs, taught, gates[1], recipe)
    for p, q in zip(net.parameters(), apart.parameters(), strict=True):
        assert p.grad is None or torch.allclose(p.grad, q.grad, atol=1e-6)
    with torch.no_grad():
        assert torch.equal(teacher.eval()(inputs), before)


@pytest.mark.parametrize("distil", [True, False])
def test_a_sandwich_step_sums_the_gradients_of_its_networks(distil: bool) -> None:
    images, labels = batch()
    recipe = Recipe(sandwich=Sandwich(distil=distil), label_smoothing=0.1)
    gates = [(True,) * 6, (True, False) * 3]
    net, apart = small_net(), small_net()
    loss = sandwich_step(net, images, labels, gates, recipe)
    full_loss, logits = backward(apart, images, labels, gates[0], recipe)
    backward(apart, images, logits.softmax(1) if distil else labels, gates[1], recipe)
    assert loss == full_loss
    for (name, p), q in zip(net.named_parameters(), apart.parameters(), strict=True):
        assert (p.grad is None) == (q.grad is None), name
        assert p.grad is None or torch.equal(p.grad, q.grad), name


class Unnormalised(torch.nn.Module):
    """Two units without BatchNorm: an image does not depend on the others of its batch."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = torch.nn.Conv2d(1, 4, 3), torch.nn.Linear(4, 3)
        self.units = torch.nn.ModuleList(Added() for _ in range(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for unit in self.units:
            x = unit(x)
        return self.head(x.mean((2, 3)))


class Added(torch.nn.Module):
    """A residual block."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.relu(self.conv(x))


@pytest.mark.parametrize("gates", [[(True, True)], [(True, True), (True, False)]], ids=["alone", "sandwich"])
@pytest.mark.parametrize("parts", [2, 5, 16, 100])
def test_gradients_of_parts_add_up_to_those_of_the_whole_batch(parts: int, gates: list[tuple[bool, ...]]) -> None:
    torch.manual_seed(0)
    net = Unnormalised()
    named = find_units(net, [], (1, 8, 8))
    whole = Dial(net, measured(net, named, (1, 8, 8), 3, "module", "unnormalised", {}))
    apart = copy.deepcopy(whole)
    images, labels = batch(22)
    recipe = Recipe(sandwich=Sandwich(), label_smoothing=0.1)
    loss = accumulated(whole, images, labels, gates, recipe)
    in_parts = accumulated(apart, images, labels, gates, recipe.model_copy(update={"accumulate": parts}))
    torch.testing.assert_close(in_parts, loss)
    for (name, p), q in zip(whole.named_parameters(), apart.parameters(), strict=True):
        torch.testing.assert_close(q.grad, p.grad, rtol=1e-4, atol=1e-6, msg=name)


def test_running_statistics_are_those_of_the_full_network() -> None:
    images, labels = batch()
    net, alone = small_net().train(), small_net().train()
    recipe = Recipe(sandwich=Sandwich())
    sandwich_step(net, images, labels, [(True,) * 6, (False,) * 6, (True, False) * 3], recipe)
    backward(alone, images, labels, (True,) * 6, recipe)
    buffers = zip(net.named_buffers(), alone.buffers(), strict=True)
    assert all(torch.equal(a, b) for (name, a), b in buffers if "running" in name)
    assert {m.momentum for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)} == {0.1}


def test_a_network_trained_by_sandwiches_is_better_when_small(tmp_path: Path) -> None:
    """What the setting is for: the smallest network itself, not only the full one, has learnt."""
    smallest = [gate == 0 for gate in range(3)]
    accuracy = {}
    for name, sandwich in {"sandwich": Sandwich(smallest=1), "plain": None}.items():
        survival = Survival(last=0.5) if sandwich else None
        net, _ = train(tmp_path, epochs=6, survival=survival, sandwich=sandwich, key=name)
        net.train()  # the batch's own statistics
        images, labels = batch(48)
        accuracy[name] = float((net(images, smallest).argmax(1) == labels).float().mean())
    assert accuracy["sandwich"] > accuracy["plain"]


def test_sandwiches_begin_when_the_full_network_has_something_to_teach(tmp_path: Path) -> None:
    late = {"epochs": 4, "survival": Survival(last=0.5), "sandwich": Sandwich(start=0.5, smallest=1)}
    net, history = train(tmp_path, **late)
    assert [row["open_share"] > 1 for row in history] == [False, False, True, True]
    plain, _ = train(tmp_path, **{**late, "sandwich": None}, key="plain")
    assert not same(net, plain)


def test_low_resolutions_come_first_and_for_equally_many_epochs(tmp_path: Path, monkeypatch) -> None:
    sides = []
    forward = Dial.forward

    def watched(self, x, *rest, **named):
        if self.training:
            sides.append(x.shape[-1])
        return forward(self, x, *rest, **named)

    monkeypatch.setattr(Dial, "forward", watched)
    train(tmp_path, epochs=4, resolutions=(0.5, 1.0))
    assert sides == [4] * 12 + [8] * 12
    with pytest.raises(ValueError, match=r"must rise from above 0 to 1, as in \[0.5, 0.75, 1\], got \[1.0, 0.5\]"):
        Recipe(resolutions=(1.0, 0.5))


def test_sensitivity_finds_the_block_that_matters() -> None:
    net = small_net()
    images, labels = batch()
    state = {name: value.clone() for name, value in net.state_dict().items()}
    for index, block in enumerate(net.blocks):
        if index != 3:
            torch.nn.init.zeros_(block.bn2.weight)
            torch.nn.init.zeros_(block.bn2.bias)
    found = sensitivities(net, images, labels)
    assert [value == 0 for value in found] == [True, True, True, False, True, True]
    assert torch.equal(net.stem_bn.running_mean, state["stem_bn.running_mean"]), "the network is left as it is"


def test_the_largest_probability_goes_to_the_most_sensitive_block() -> None:
    assert survival_by_sensitivity((0.9, 0.8, 0.7), (0.1, 0.5, 0.3)) == (0.7, 0.9, 0.8)
    assert survival_by_sensitivity((0.9, 0.8, 0.7), (0.0, 0.0, 0.0)) == (0.9, 0.8, 0.7)


def test_survival_by_sensitivity_keeps_the_values_of_the_linear_rule(tmp_path: Path) -> None:
    net, _ = train(tmp_path, epochs=4, survival=Survival(last=0.4, shape="sensitivity"))
    assert sorted(net.survival, reverse=True) == list(Survival(last=0.4).probabilities(3))


def finetuned(path: Path, key: str = "k", epochs: int = 3, **changes) -> Dial:
    net, _ = train(path, epochs=4, key="start")
    masks = [Mask("111"), Mask("101"), Mask("100")]
    settings = Finetune(epochs=epochs, learning_rate=0.05)
    recipe = Recipe(batch_size=16)
    return finetune(net, masks, "none", settings, recipe, 0, INFO, SPLITS[0], path / "f.safetensors", key, **changes)


def test_finetuning_serves_the_configurations_and_resumes(tmp_path: Path, monkeypatch) -> None:
    started, _ = train(tmp_path, epochs=4, key="start")
    whole = finetuned(tmp_path, key="whole")

    def loss(net: Dial, bits: str) -> float:
        images, labels = batch(48)
        logits = net.train()(images, [bit == "1" for bit in bits])
        return torch.nn.functional.cross_entropy(logits, labels).item()

    for bits in ("111", "101", "100"):
        assert loss(copy.deepcopy(whole), bits) < loss(copy.deepcopy(started), bits)

    def save_and_die(*arguments) -> None:
        save_checkpoint(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr("depthdial.train.finetune.save_checkpoint", save_and_die)
    with pytest.raises(KeyboardInterrupt):
        finetuned(tmp_path)
    monkeypatch.undo()
    assert same(whole, finetuned(tmp_path))
