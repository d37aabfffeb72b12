"""Own images, torchvision's formats and splits."""

import hashlib
import io
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from depthdial.config.data import Dataset
from depthdial.data import tensors
from depthdial.data.fingerprint import CIFAR, fingerprint, fingerprints
from depthdial.data.images import ImagesInfo, Split, load_info, load_split, save_images
from depthdial.data.prepare import prepare
from depthdial.errors import ArtefactError, DataError


def write_images(
    folder: Path, classes: int = 3, train: int = 10, test: int = 4, size: int = 8, mode: str = "RGB"
) -> None:
    generator = np.random.default_rng(0)
    for part, count in (("train", train), ("test", test)):
        for label in range(classes):
            place = folder / part / f"class{label}"
            place.mkdir(parents=True)
            for index in range(count):
                pixels = generator.integers(0, 256, (size, size, 3), np.uint8)
                Image.fromarray(pixels).convert(mode).save(place / f"{index:03}.png")


def archive(folder: Path, kind: str) -> Path:
    path = folder.parent / f"images.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as file:
            for image in sorted(folder.rglob("*.png")):
                file.write(image, f"top/{image.relative_to(folder)}")
    else:
        with tarfile.open(path, f"w:{kind.split('.')[1]}") as file:
            file.add(folder, "top")
    return path


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "tar.xz"])
def test_an_archive_gives_what_its_folder_gives(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "images"
    write_images(folder)
    plain = prepare(Dataset(name="own", source="folder", path=str(folder)))
    packed = prepare(Dataset(name="own", source="folder", path=str(archive(folder, kind))))
    assert plain[0] == packed[0] == ["class0", "class1", "class2"]
    for split in ("train", "validation", "test"):
        assert np.array_equal(plain[1][split].images, packed[1][split].images)
        assert np.array_equal(plain[1][split].labels, packed[1][split].labels)


def test_grey_images_keep_one_channel_and_sizes_can_be_changed(tmp_path: Path) -> None:
    write_images(tmp_path / "a", mode="L", size=10)
    _, splits = prepare(Dataset(name="own", source="folder", path=str(tmp_path / "a"), image_size=16))
    assert splits["train"].images.shape == (27, 1, 16, 16)


def test_all_problems_of_a_folder_are_listed(tmp_path: Path) -> None:
    write_images(tmp_path / "a")
    (tmp_path / "a" / "train" / "class0" / "000.png").write_bytes(b"no image")
    (tmp_path / "a" / "train" / "class3").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "a" / "train" / "class3" / "x.png")
    Image.new("RGB", (12, 8)).save(tmp_path / "a" / "test" / "class1" / "y.png")
    with pytest.raises(DataError) as caught:
        prepare(Dataset(name="own", source="folder", path=str(tmp_path / "a")))
    text = str(caught.value)
    assert "3 problem(s)" in text
    assert "train/class0/000.png: not a readable image" in text
    assert "test/class3/: no image" in text
    assert "images of 2 sizes" in text


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "no such folder or archive"),
        (lambda path: path.mkdir(), "expected at least two classes"),
        (lambda path: path.write_bytes(b"neither tar nor zip"), "not a complete .tar"),
        (lambda path: write_images(path, size=10), "images of 10x10: a square size"),
    ],
)
def test_folders_that_cannot_be_used_say_why(tmp_path: Path, make, message: str) -> None:
    make(tmp_path / "a")
    with pytest.raises(DataError, match=message):
        prepare(Dataset(name="own", source="folder", path=str(tmp_path / "a")))


def test_a_truncated_archive_is_refused(tmp_path: Path) -> None:
    write_images(tmp_path / "a")
    path = archive(tmp_path / "a", "tar.gz")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(DataError, match=r"not a complete \.tar"):
        prepare(Dataset(name="own", source="folder", path=str(path)))


def test_digits_are_split_per_class_and_by_seed() -> None:
    settings = Dataset(name="d", source="digits", validation_fraction=0.2, test_fraction=0.2)
    _, splits = prepare(settings)
    assert sum(len(part) for part in splits.values()) == 1797
    for part in splits.values():
        assert np.bincount(part.labels).min() > 0.07 * len(part)
    again = prepare(settings)[1]
    other = prepare(settings.model_copy(update={"split_seed": 1}))[1]
    assert np.array_equal(splits["test"].images, again["test"].images)
    assert not np.array_equal(splits["test"].images, other["test"].images)


def test_splits_do_not_share_images(tmp_path: Path) -> None:
    write_images(tmp_path / "a", train=40)
    _, splits = prepare(Dataset(name="own", source="folder", path=str(tmp_path / "a"), validation_fraction=0.3))
    seen = [image.tobytes() for part in splits.values() for image in part.images]
    assert len(seen) == len(set(seen)) == 3 * 44
    assert len(splits["validation"]) == 36


def test_a_quick_trial_takes_few_images(tmp_path: Path) -> None:
    write_images(tmp_path / "a", train=40)
    _, splits = prepare(Dataset(name="own", source="folder", path=str(tmp_path / "a"), images_per_class=4))
    assert {name: len(part) for name, part in splits.items()} == {"train": 9, "validation": 3, "test": 12}


def cifar_archive(root: Path, hundred: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small archive in the format of CIFAR-10 or CIFAR-100, and torchvision told its digests."""
    from torchvision.datasets import CIFAR10, CIFAR100

    family = CIFAR100 if hundred else CIFAR10
    key, names = ("fine_labels", "fine_label_names") if hundred else ("labels", "label_names")
    generator = np.random.default_rng(0)

    def batch(count: int) -> bytes:
        labels = (np.arange(count) % 4).tolist()
        return pickle.dumps({"data": generator.integers(0, 256, (count, 3072), np.uint8), key: labels})

    contents = {name: batch(40) for name, _ in family.train_list + family.test_list}
    contents[family.meta["filename"]] = pickle.dumps({names: ["a", "b", "c", "d"]})
    with tarfile.open(root / family.filename, "w:gz") as file:
        for name, content in contents.items():
            member = tarfile.TarInfo(f"{family.base_folder}/{name}")
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))

    def md5(content: bytes) -> str:
        return hashlib.md5(content).hexdigest()

    monkeypatch.setattr(family, "train_list", [[name, md5(contents[name])] for name, _ in family.train_list])
    monkeypatch.setattr(family, "test_list", [[name, md5(contents[name])] for name, _ in family.test_list])
    monkeypatch.setattr(family, "meta", family.meta | {"md5": md5(contents[family.meta["filename"]])})
    monkeypatch.setattr(family, "tgz_md5", md5((root / family.filename).read_bytes()))


@pytest.mark.parametrize("source", ["cifar10", "cifar100"])
def test_cifar_archives_are_found_in_a_folder(tmp_path: Path, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cifar_archive(tmp_path, source == "cifar100", monkeypatch)
    classes, splits = prepare(Dataset(name="c", source=source, path=str(tmp_path)))
    assert classes == ["a", "b", "c", "d"]
    batches = 1 if source == "cifar100" else 5
    assert splits["train"].images.shape == (36 * batches, 3, 32, 32)
    assert len(splits["test"]) == 40


@pytest.mark.parametrize("source", ["cifar10", "cifar100"])
def test_absent_cifar_says_what_to_do(tmp_path: Path, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cifar_archive(tmp_path, source == "cifar100", monkeypatch)
    settings = Dataset(name="c", source=source, path=str(tmp_path), download=False)
    archive, folder, name, *_ = CIFAR[source]
    with pytest.raises(DataError, match=rf"unpack {archive} there, or set download: true"):
        prepare(settings)
    with pytest.raises(DataError, match=rf"c: {tmp_path}/{folder}: no {name}, .*; unpack {archive} in {tmp_path}, or"):
        fingerprints([settings], plan=False)
    assert fingerprint(settings.model_copy(update={"download": True})) == source
    with tarfile.open(tmp_path / archive) as file:
        file.extractall(tmp_path, filter="data")
    assert fingerprint(settings) == source
    assert len(prepare(settings)[0]) == 4
    (tmp_path / folder / name).unlink()
    with pytest.raises(DataError, match=f"no {name}; unpack"):
        fingerprint(settings)


def test_cifar_in_a_file_or_out_of_reach_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="file: no folder; name the one that holds cifar-10-batches-py"):
        fingerprint(Dataset(name="c", source="cifar10", path=str(tmp_path / "file")))
    monkeypatch.setattr("torchvision.datasets.CIFAR10.url", "file:///nowhere/at/all")
    with pytest.raises(DataError, match=r"put cifar-10-python\.tar\.gz into this folder, or check the network"):
        prepare(Dataset(name="c", source="cifar10", path=str(tmp_path)))


def test_prepared_images_survive_the_file(tmp_path: Path) -> None:
    classes, splits = prepare(Dataset(name="d", source="digits"))
    path = tmp_path / "images.safetensors"
    save_images(path, "d", classes, splits)
    info = load_info(path)
    train = info.normalise(load_split(path, "train").images)
    assert (info.shape, len(info.classes)) == ((1, 8, 8), 10)
    assert abs(train.mean()) < 1e-3
    assert abs(train.std() - 1) < 1e-3
    assert np.array_equal(load_split(path, "test").labels, splits["test"].labels)
    whole = Path(path).read_bytes()
    load_split(path, "test").images[:] = 0
    assert Path(path).read_bytes() == whole, "the map of the file is private"
    path.write_bytes(b"broken")
    with pytest.raises(ArtefactError, match="cannot be read as safetensors"):
        load_info(path)


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_batches_are_normalised_bit_for_bit_as_the_whole_is(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    every = np.arange(256, dtype=np.uint8)
    pixels = np.stack([np.stack([generator.permutation(every).reshape(16, 16) for _ in range(3)]) for _ in range(20)])
    info = ImagesInfo("d", ("a",), (0.4914, 0.4822, 1 / 3), (0.2023, 0.1994, 0.1), (3, 16, 16))
    whole = info.normalise(pixels)
    for resident in (tensors.RESIDENT, 0):
        monkeypatch.setattr(tensors, "RESIDENT", resident)
        images = tensors.Images(Split(pixels, np.zeros(20, np.int64)), info, device)
        assert (len(images), images.shape) == (20, (20, 3, 16, 16))
        drawn = torch.randperm(20)
        assert np.array_equal(images[3:9].cpu().numpy(), whole[3:9])
        assert np.array_equal(images[drawn].cpu().numpy(), whole[drawn.numpy()])
