"""Shared-prefix evaluation against one mask at a time, with PyTorch's own BatchNorm as the judge."""

import gc
import itertools
import random

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from depthdial.config.evaluate import Evaluate
from depthdial.config.networks import Network
from depthdial.data.images import Split, save_images
from depthdial.errors import ArtefactError, ConfigError
from depthdial.evaluate.engine import Engine
from depthdial.evaluate.shards import block_evaluations, shard
from depthdial.evaluate.tables import mask_table, merge_masks, read_masks, write_masks
from depthdial.evaluate.tasks import load_engine, training_sample
from depthdial.networks.build import dial
from depthdial.networks.describe import describe
from depthdial.networks.dial import Dial
from depthdial.networks.families.he_shapes import Architecture
from depthdial.networks.masks import Mask, all_masks
from depthdial.networks.weights import save_weights

ARCH = Architecture(depth=20, width=4, in_channels=1, image_size=8, classes=10).describe()
MASKS = st.lists(st.integers(0, 511), min_size=1, max_size=12).map(
    lambda values: [Mask(format(value, "09b")) for value in values]
)
ABOUT = {"scaling": "none", "seconds": 1.0, "block_evaluations": 3}


@pytest.fixture(scope="module")
def net() -> Dial:
    torch.manual_seed(3)
    torch.set_num_threads(1)
    net = dial(ARCH, [1 - place / 18 for place in range(1, 10)])
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.2)
            nn.init.normal_(module.running_mean, 0, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return net.eval()


@pytest.fixture(scope="module")
def data() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    labels = torch.randint(0, 10, (37,), generator=generator)
    return (
        torch.randn(24, 1, 8, 8, generator=generator),
        torch.randn(37, 1, 8, 8, generator=generator),
        labels,
    )


def alone(net: Dial, mask: Mask, scaling: str, calibration: Tensor | None, batches: list[Tensor]) -> Tensor:
    """The mask as a plain module; statistics by PyTorch's training mode with momentum 1."""
    static = net.extract(mask, scaling).to(memory_format=torch.channels_last)
    with torch.no_grad():
        if calibration is not None:
            for module in static.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.momentum = 1.0
            static.train()(calibration.contiguous(memory_format=torch.channels_last))
        return torch.cat([static.eval()(x.contiguous(memory_format=torch.channels_last)) for x in batches])


@settings(max_examples=25)
@given(masks=MASKS, scaling=st.sampled_from(["none", "survival", "inverse"]), recalibrate=st.booleans())
def test_masks_together_are_bit_for_bit_each_mask_alone(net, data, masks, scaling, recalibrate):
    calibration, images, labels = data
    calibration = calibration if recalibrate else None
    engine = Engine(net, scaling, calibration, batch_size=16)
    logits, evaluation = engine.logits(masks, images), engine.evaluate(masks, images, labels)
    for row, mask in enumerate(sorted(set(masks))):
        expected = alone(net, mask, scaling, calibration, list(images.split(16)))
        assert torch.equal(logits[mask], expected)
        assert np.array_equal(evaluation.correct()[row], (expected.argmax(1) == labels).numpy())


@settings(max_examples=15)
@given(masks=MASKS, group=st.integers(1, 9))
def test_batching_prefixes_changes_rounding_at_most(net, data, masks, group):
    calibration, images, _ = data
    single = Engine(net, "none", calibration, batch_size=61).logits(masks, images)
    grouped = Engine(net, "none", calibration, batch_size=61 * group).logits(masks, images)
    for mask in masks:
        torch.testing.assert_close(grouped[mask], single[mask], rtol=1e-4, atol=1e-4)


def test_statistics_are_those_of_pytorch(net, data):
    calibration, _, _ = data
    mask = Mask("101100010")
    found = Engine(net, "survival", calibration).statistics([mask])[mask]
    static = net.extract(mask, "survival")
    for module in static.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        static.train()(calibration)
    own = {name: value for name, value in static.state_dict().items() if "running_" in name}
    assert set(found) == set(own)
    for name, value in own.items():
        torch.testing.assert_close(found[name], value)


def test_without_recalibration_the_statistics_are_the_networks_own(net):
    mask = Mask("000000001")
    found = Engine(net, "none").statistics([mask])[mask]
    assert torch.equal(found["blocks.8.bn2.running_var"], net.blocks[8].bn2.running_var)
    assert set(found) == {
        f"{n}.running_{s}" for n in ("stem_bn", "blocks.8.bn1", "blocks.8.bn2") for s in ("mean", "var")
    }


def test_passes_under_a_small_memory_bound_give_the_same_correctness(net, data):
    calibration, images, labels = data
    masks = [Mask(format(value, "09b")) for value in range(0, 512, 7)]
    whole = Engine(net, "none", calibration).evaluate(masks, images, labels)
    engine = Engine(net, "none", calibration)
    engine.memory_bytes = engine.live_bytes * (len(calibration) + 17)
    assert engine._passes(37) == [16, 16, 5]
    assert np.array_equal(engine.evaluate(masks, images, labels).packed, whole.packed)


def test_too_little_memory_is_refused_with_the_amount_needed(net, data):
    engine = Engine(net, "none", data[0], memory_bytes=64 << 10)
    with pytest.raises(ConfigError, match=r"memory_mb.*24 calibration images.*give at least \d+"):
        engine.evaluate([Mask.full(9)], data[1], data[2])


def test_a_mask_of_another_network_is_refused(net, data):
    with pytest.raises(ValueError, match="mask 101 has 3 units, the network has 9"):
        Engine(net).evaluate([Mask("101")], data[1], data[2])


def most_alive(engine: Engine, masks: list[Mask], images: Tensor, labels: Tensor, counts: set[int], monkeypatch) -> int:
    """The most bytes of distinct storages of ``counts`` images that are alive whenever a unit has been evaluated."""
    most = 0
    keep = Engine._keep

    def counted(self, level, nodes):
        nonlocal most
        children = keep(self, level, nodes)
        alive = {}
        for item in gc.get_objects():
            if type(item) is Tensor and item.dim() > 2 and len(item) in counts:
                alive[item.untyped_storage().data_ptr()] = item.untyped_storage().nbytes()
        most = max(most, sum(alive.values()))
        return children

    monkeypatch.setattr(Engine, "_keep", counted)
    engine.evaluate(masks, images, labels)
    return most


@pytest.mark.slow
@pytest.mark.parametrize("group", [pytest.param(1, marks=pytest.mark.slow), 4])
def test_activations_alive_stay_below_the_bound(net, data, group, monkeypatch):
    calibration, images, labels = data
    engine = Engine(net, "none", calibration, batch_size=61 * group)
    assert engine._group(37) == group
    parts = itertools.product(["01", "10", "11"] if group > 1 else ["01"], ["00", "01"], ["101", "011"], ["01"])
    masks = [Mask("".join(bits).rjust(9, "1")) for bits in parts]
    most = most_alive(engine, masks, images, labels, {24, 37, 24 * group, 37 * group}, monkeypatch)
    assert 0 < most <= engine.live_bytes * 61 * group


@pytest.mark.parametrize("model", ["mobilenet_v3_small", "convnext_tiny", "vit_b_16"])
@pytest.mark.slow
def test_activations_of_other_families_stay_below_the_bound(model, monkeypatch):
    settings = Network(name="net", role="dial", family="torchvision", model=model, weights="random", recipe="none")
    network = describe(settings, (3, 32, 32), 10)
    engine = Engine(dial(network), "none", torch.randn(11, 3, 32, 32), batch_size=13)
    masks = [Mask(format(value, f"0{network.n_units}b")) for value in (0, 1, 5, 6, (1 << network.n_units) - 1)]
    most = most_alive(
        engine, masks, torch.randn(13, 3, 32, 32), torch.zeros(13, dtype=torch.long), {11, 13}, monkeypatch
    )
    assert 0 < most <= engine.live_bytes * 24


def test_bfloat16_agrees_with_float32_to_its_precision(net, data):
    calibration, images, _ = data
    masks = [Mask("110111011"), Mask("000000000")]
    exact = Engine(net, "survival", calibration).logits(masks, images)
    rounded = Engine(net, "survival", calibration, precision="bfloat16").logits(masks, images)
    for mask in masks:
        assert rounded[mask].dtype == torch.float32
        assert (rounded[mask] - exact[mask]).abs().max() < 0.1 * exact[mask].abs().max()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_agrees_with_the_cpu(net, data):
    calibration, images, labels = data
    masks = [Mask(format(value, "09b")) for value in range(0, 512, 3)]
    cpu = Engine(net, "none", calibration).logits(masks, images)
    gpu = Engine(net, "none", calibration, device="cuda", batch_size=4096)
    for mask, logits in gpu.logits(masks, images).items():
        torch.testing.assert_close(logits, cpu[mask], rtol=1e-3, atol=1e-3)
    again = gpu.evaluate(masks, images, labels)
    assert np.array_equal(gpu.evaluate(masks, images, labels).packed, again.packed)


@pytest.mark.parametrize("n", [1, 3, 9])
def test_all_masks_cost_two_to_the_n_minus_one(n):
    assert block_evaluations(all_masks(n)) == 2**n - 1


@given(masks=MASKS)
def test_cost_counts_the_distinct_prefixes_that_end_in_a_kept_block(masks):
    prefixes = {m.bits[: i + 1] for m in masks for i in m.kept}
    assert block_evaluations(masks) == len(prefixes)


@given(masks=MASKS, count=st.integers(1, 9))
def test_shards_are_neighbours_and_cover_every_mask_once(masks, count):
    parts = [shard(masks, index, count) for index in range(count)]
    assert list(itertools.chain(*parts)) == sorted(set(masks))


def test_shards_of_all_masks_keep_the_sharing_and_the_balance():
    costs = [block_evaluations(shard(all_masks(9), index, 4)) for index in range(4)]
    assert sum(costs) <= 511 + 3 * 9
    assert max(costs) <= 1.2 * min(costs)


def test_a_shard_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="shard 4 of 4 does not exist"):
        shard(all_masks(3), 4, 4)


def test_shards_merged_in_any_order_give_the_table_of_one_job(net, data, tmp_path):
    calibration, images, labels = data
    engine = Engine(net, "none", calibration)
    paths = [tmp_path / f"shard{index}.parquet" for index in range(5)]
    for index, path in enumerate(paths):
        part = engine.evaluate(shard(all_masks(9), index, 5), images, labels)
        write_masks(path, mask_table(ARCH, part), ABOUT)
    whole = mask_table(ARCH, engine.evaluate(list(all_masks(9)), images, labels))
    for seed in range(3):
        random.Random(seed).shuffle(paths)
        table, about = merge_masks(paths)
        pd.testing.assert_frame_equal(table, whole)
        assert about == ABOUT | {"seconds": 5.0, "block_evaluations": 15}
    packed = np.stack([np.frombuffer(row, np.uint8) for row in whole["correct"]])
    assert np.array_equal(np.bitwise_count(packed).sum(1), whole["val_correct"])


@pytest.fixture
def table(net, data) -> pd.DataFrame:
    return mask_table(ARCH, Engine(net).evaluate([Mask("000000000"), Mask.full(9)], data[1], data[2]))


def test_tables_that_say_nonsense_are_refused(table, tmp_path):
    for column, value, check in (
        ("kept", 3, "kept counts"),
        ("val_accuracy", 2.0, "in_range"),
        ("mask", "12", "str_matches"),
    ):
        wrong = table.assign(**{column: value})
        with pytest.raises(ArtefactError, match=rf"not a mask table, fails: .*{check}"):
            write_masks(tmp_path / "m.parquet", wrong, ABOUT)
    assert not list(tmp_path.iterdir())


def test_shards_of_other_settings_are_refused(table, tmp_path):
    write_masks(tmp_path / "a.parquet", table.head(1), ABOUT)
    write_masks(tmp_path / "b.parquet", table.tail(1), ABOUT | {"scaling": "survival"})
    with pytest.raises(ArtefactError, match=r"b\.parquet: made by other settings than .*a\.parquet"):
        merge_masks([tmp_path / "a.parquet", tmp_path / "b.parquet"])


def test_foreign_files_are_refused(table, tmp_path):
    (tmp_path / "text.parquet").write_text("no")
    with pytest.raises(ArtefactError, match=r"text\.parquet: cannot be read as a mask table"):
        read_masks(tmp_path / "text.parquet")
    table.to_parquet(tmp_path / "other.parquet")
    with pytest.raises(ArtefactError, match="expected format depthdial-masks-1, found nothing"):
        read_masks(tmp_path / "other.parquet")


# --- what the statistics are taken from ---


@pytest.mark.parametrize(("padding", "flip"), [(0, False), (0, True), (1, False), (2, True)])
def test_statistics_are_of_images_as_the_recipe_showed_them(tmp_path, padding, flip):
    generator = np.random.default_rng(0)
    pixels, labels = generator.integers(1, 256, (40, 3, 8, 8), np.uint8), np.arange(40) % 2
    splits = {name: Split(pixels, labels) for name in ("train", "validation", "test")}
    save_images(tmp_path / "images.safetensors", "d", ["a", "b"], splits)
    recipe = {"crop_padding": padding, "horizontal_flip": flip}
    save_weights(tmp_path / "net.safetensors", dial(Architecture(8, 2, 3, 8, 2).describe()), {"recipe": recipe})
    files = (tmp_path / "net.safetensors", tmp_path / "images.safetensors")
    first, again = (load_engine(*files, Evaluate(calibration_images=30), "none", True).calibration for _ in range(2))
    assert torch.equal(first, again)
    plain, _ = training_sample(files[1], 30)
    framed = nn.functional.pad(plain, (padding,) * 4)
    shifts = list(itertools.product(range(2 * padding + 1), repeat=2))
    seen = set()
    for image, whole in zip(first, framed, strict=True):
        places = {
            (top, left, mirrored)
            for top, left in shifts
            for mirrored in ({False, True} if flip else {False})
            if torch.equal(image.flip(2) if mirrored else image, whole[:, top : top + 8, left : left + 8])
        }
        assert len(places) == 1
        seen |= places
    assert len(seen) > (1 if padding or flip else 0)


def test_an_adopted_network_is_shown_images_as_they_are(tmp_path):
    pixels = np.random.default_rng(0).integers(1, 256, (20, 3, 8, 8), np.uint8)
    splits = {name: Split(pixels, np.arange(20) % 2) for name in ("train", "validation", "test")}
    save_images(tmp_path / "images.safetensors", "d", ["a", "b"], splits)
    save_weights(
        tmp_path / "net.safetensors", dial(Architecture(8, 2, 3, 8, 2).describe()), {"recipe": {"name": "none"}}
    )
    files = (tmp_path / "net.safetensors", tmp_path / "images.safetensors")
    engine = load_engine(*files, Evaluate(calibration_images=10), "none", True)
    assert torch.equal(engine.calibration, training_sample(files[1], 10)[0])
