"""Training: deterministic, resumable, and saving the work of closed blocks."""

from pathlib import Path

import numpy as np
import pytest
import torch

from depthdial.arch import Architecture
from depthdial.config.training import Recipe
from depthdial.errors import ConfigError
from depthdial.images import ImagesInfo, Split
from depthdial.train import loop
from depthdial.train.augment import random_crop, random_flip
from depthdial.train.schedule import learning_rate_factor

ARCH = Architecture(8, 4, 1, 8, 3)
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


def train(path: Path, epochs: int = 3, survival=(1.0, 0.7, 0.5), seed: int = 0, key: str = "k", **changes):
    recipe = Recipe(epochs=epochs, batch_size=16, **changes)
    return loop.train(ARCH, survival, recipe, seed, INFO, SPLITS, path / "c.safetensors", key)


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_training_learns_and_is_deterministic(tmp_path: Path) -> None:
    net, history = train(tmp_path, epochs=6, key="a")
    again, _ = train(tmp_path, epochs=6, key="b")
    other, _ = train(tmp_path, epochs=6, key="c", seed=1)
    assert history[-1]["validation_accuracy"] > 0.9
    assert same(net, again)
    assert not same(net, other)


@pytest.mark.parametrize("survival", [(1.0, 1.0, 1.0), (0.9, 0.7, 0.5)])
def test_a_run_cut_off_after_an_epoch_ends_with_the_same_weights(tmp_path: Path, survival, monkeypatch) -> None:
    whole, history = train(tmp_path, survival=survival, key="whole", channels_last=True)
    save, calls = loop.save_checkpoint, []

    def save_and_die(*arguments) -> None:
        save(*arguments)
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(loop, "save_checkpoint", save_and_die)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, survival=survival, channels_last=True)
    resumed, resumed_history = train(tmp_path, survival=survival, channels_last=True)
    assert same(whole, resumed)
    assert [row["loss"] for row in history] == [row["loss"] for row in resumed_history]
    assert len(calls) == 3, "only the epoch that was missing is trained"


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
    branch = loop.ResNet.__init__.__globals__["Block"].branch
    monkeypatch.setattr(
        "depthdial.network.Block.branch", lambda self, x: (executed.append(self.training), branch(self, x))[1]
    )
    _, history = train(tmp_path, epochs=4, survival=(0.5, 0.5, 0.5))
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
