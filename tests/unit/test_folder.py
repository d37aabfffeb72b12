"""What users' folders and archives really hold: all of it is used, or named; an archive gives what its folder gives."""

import io
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from depthdial.config.data import Dataset, Reading
from depthdial.data import archives
from depthdial.data.archives import open_container
from depthdial.data.fingerprint import fingerprint, fingerprints
from depthdial.data.folder import read_pictures
from depthdial.data.images import load_info, load_split, save_images
from depthdial.data.prepare import prepare
from depthdial.errors import DataError, DepthDialError
from tests.rigs.fuzz import damaged, fuzz
from tests.unit.test_pictures import stored


def picture(seed: int, side: int = 8) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    return stored(Image.fromarray(pixels), "PNG")


def grow(root: Path, per_class: int = 4, parts: tuple[str, ...] = ("train/", "test/"), classes: str = "ab") -> Path:
    for number, place in enumerate(f"{part}{label}" for part in parts for label in classes):
        (root / place).mkdir(parents=True)
        for index in range(per_class):
            (root / place / f"{index}.png").write_bytes(picture(100 * number + index))
    return root


def dataset(path: Path, **settings: Any) -> Dataset:
    return Dataset(name="own", source="folder", path=str(path), **settings)


def contents(path: Path, **settings: Any) -> tuple[list[str], dict[str, Any]]:
    """Classes, and of each split the images with their labels, whatever their order."""
    classes, splits = prepare(dataset(path, **settings))
    return classes, {
        name: sorted((image.tobytes(), int(label)) for image, label in zip(part.images, part.labels, strict=True))
        for name, part in splits.items()
    }


def packed(root: Path, kind: str, name: str = "top") -> Path:
    """The folder as tar and zip pack it: links as links, a file with two names once."""
    path = root.parent / f"packed.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as file:
            for found in sorted(root.rglob("*")):
                inside = f"{name}/{found.relative_to(root)}"
                if found.is_symlink():
                    info = zipfile.ZipInfo(inside)
                    info.external_attr = (stat.S_IFLNK | 0o777) << 16
                    file.writestr(info, str(found.readlink()))
                else:
                    file.write(found, inside)
    else:
        with tarfile.open(path, f"w:{kind.partition('.')[2]}") as file:
            file.add(root, name)
    return path


def links(root: Path) -> None:
    """A class that is a link, files that are links or second names, and a link that leads back up."""
    (root / "pool" / "c").mkdir(parents=True)
    for index in range(4):
        (root / "pool" / "c" / f"{index}.png").write_bytes(picture(900 + index))
    for part in ("train", "test"):
        (root / part / "c").symlink_to(Path("..") / "pool" / "c")
    (root / "train" / "a" / "linked.png").symlink_to("../b/0.png")
    (root / "train" / "a" / "second.png").hardlink_to(root / "test" / "b" / "1.png")
    (root / "train" / "a" / "again.png").hardlink_to(root / "pool" / "c" / "3.png")
    (root / "train" / "b" / "up").symlink_to("..")


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "tar.xz", "tar.bz2", "zip"])
def test_links_are_followed_and_archives_give_what_their_folder_gives(tmp_path: Path, kind: str, caplog) -> None:
    links(root := grow(tmp_path / "own"))
    plain = contents(root)
    assert plain[0] == ["a", "b", "c"]
    assert {name: len(part) for name, part in plain[1].items()} == {"train": 12, "validation": 3, "test": 12}
    assert "1 links lead back to a folder that they are in, and are not followed: train/b/up" in caplog.text
    assert "4 files are in no class and are not used: pool/c/0.png" in caplog.text
    assert contents(packed(root, kind)) == plain


def test_links_that_multiply_are_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = grow(tmp_path / "own")
    for depth in range(12):
        (root / f"l{depth}").mkdir()
        for name in "xy":
            (root / f"l{depth}" / name).symlink_to(root / f"l{depth + 1}")
    monkeypatch.setattr("depthdial.data.tree.MOST_ENTRIES", 1000)
    with pytest.raises(DataError, match="more than 1,000 files and folders, or links that multiply them"):
        contents(root)


@pytest.mark.parametrize("kind", ["folder", "tar", "zip"])
def test_what_file_managers_and_notebooks_leave_is_left_out(tmp_path: Path, kind: str, caplog) -> None:
    root = grow(tmp_path / "own")
    expected = contents(root)
    for name in (".DS_Store", "train/.ipynb_checkpoints/x.png", "__MACOSX/train/a/._0.png", "train/a/._0.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"Mac OS X")
    path = root if kind == "folder" else packed(root, kind)
    assert contents(path) == expected
    assert "4 hidden names are left out" in caplog.text


def test_images_count_at_any_depth_and_whatever_they_are_called(tmp_path: Path, caplog) -> None:
    root = grow(tmp_path / "own")
    (root / "train/a/images/more").mkdir(parents=True)
    (root / "train/a/images/more/x.JPEG").write_bytes(stored(Image.new("RGB", (8, 8)), "JPEG"))
    (root / "train/a/y.jfif").write_bytes(stored(Image.new("RGB", (8, 8), "red"), "JPEG"))
    (root / "train/b/z.gif").write_bytes(stored(Image.new("RGB", (8, 8), "blue"), "GIF"))
    (root / "train/b/no suffix").write_bytes(picture(5))
    (root / "train/b/notes.txt").write_text("not an image")
    (root / "train/readme.md").write_text("nor this")
    (root / "val/a").mkdir(parents=True)
    (root / "val/a/0.png").write_bytes(picture(7))
    _, splits = prepare(dataset(root))
    assert len(splits["train"]) + len(splits["validation"]) == 12
    assert (
        "1 files among the images are none of a kind that is read, and are not used: train/b/notes.txt" in caplog.text
    )
    assert "2 files are in no class and are not used: train/readme.md, val/a/0.png" in caplog.text
    assert "own: 1 files in val/ are not used: images for validation are drawn from train/" in caplog.text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: (r / "train").rename(r / "Train"), r"no train/<class>/; there is Train/: rename them"),
        (lambda r: (r / "test").rename(r / "val"), r"no test/<class>/; there is val/: rename them"),
        (
            lambda r: [(r / "train").rename(r / "x"), (r / "test").rename(r / "y")],
            r"there are x/, y/: set test_fraction",
        ),
        (lambda r: (r / "test/b").rename(r / "test/B"), r"train/B/: no image(.|\n)*test/b/: no image"),
        (lambda r: (r / "train/c").mkdir(), r"train/c/: no image"),
        (
            lambda r: [grow(r / "n", 1, (), ""), *(_class(r, p, n) for p, n in NORMAL)],
            r"class é: written in 2 Unicode forms",
        ),
        (lambda r: _class(r, "train", "bad\x1b[31m"), r"class 'bad\\x1b\[31m': its name cannot be printed"),
        (lambda r: os.mkfifo(r / "train/a/p.png"), r"train/a/p.png: a named pipe, which is not read"),
        (lambda r: (r / "train/a/l.png").symlink_to("gone.png"), r"train/a/l.png: a link to nothing"),
        (
            lambda r: (r / "train/a/x.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n"),
            r"train/a/x.png: not a readable image",
        ),
    ],
)
def test_what_a_folder_lacks_is_said(tmp_path: Path, change: Callable[[Path], Any], said: str) -> None:
    change(root := grow(tmp_path / "own"))
    with pytest.raises(DataError, match=said):
        contents(root)


NORMAL = [("train", "\u00e9"), ("test", "e\u0301")]


def _class(root: Path, part: str, name: str) -> None:
    (root / part / name).mkdir()
    (root / part / name / "0.png").write_bytes(picture(77))


def test_many_problems_are_some_thirty_lines(tmp_path: Path) -> None:
    root = grow(tmp_path / "own", per_class=40)
    for file in root.rglob("*.png"):
        file.write_bytes(b"no image \x1b[31m")
    with pytest.raises(DataError) as caught:
        contents(root)
    text = str(caught.value)
    assert "and 1" in text
    assert len(text.splitlines()) <= 30
    assert text.isascii()
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: os.mkfifo(path), "a named pipe, which is not read; expected a folder or archive"),
        (lambda path: path.symlink_to("/dev/zero"), "a device, which is not read; expected a folder or archive"),
    ],
)
def test_specials_are_refused(tmp_path: Path, make: Callable[[Path], None], said: str) -> None:
    make(tmp_path / "own")
    with pytest.raises(DataError, match=said):
        contents(tmp_path / "own")
    with pytest.raises(DataError, match=said):
        fingerprint(dataset(tmp_path / "own"))


def test_what_cannot_be_looked_at_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = grow(tmp_path / "own")
    with pytest.raises(DataError, match=r"0\.png/inside: cannot be read \(.*Not a directory"):
        contents(root / "train/a/0.png" / "inside")
    (root / "train/a/circle.png").symlink_to("circle.png")
    with pytest.raises(DataError, match=r"train/a/circle\.png: cannot be read \(Too many levels of symbolic links\)"):
        contents(root)
    (root / "train/a/circle.png").unlink()
    (gone,) = open_container(root).contents([str(root / "gone.png")])
    with pytest.raises(DataError, match=r"^cannot be read \(No such file or directory\)"):
        gone[1]()
    whole = os.scandir

    def closed(path: str) -> Any:
        if path == str(root / "train/b"):
            raise PermissionError(13, "Permission denied")
        return whole(path)

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(DataError, match=r"train/b/\*: cannot be listed \(Permission denied\)"):
        contents(root)


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "zip"])
def test_an_archive_to_run_that_is_damaged_is_refused_as_a_whole(tmp_path: Path, kind: str) -> None:
    path = packed(grow(tmp_path / "own"), kind)
    path.write_bytes(path.read_bytes()[:-9500])
    with pytest.raises(DataError, match=rf"^{path}: not a complete \.tar"):
        list(read_pictures(path, Reading(), (3, 8, 8)))


def test_a_damaged_header_and_a_cut_do_not_lose_images(tmp_path: Path) -> None:
    path = packed(grow(tmp_path / "own"), "tar")
    whole = path.read_bytes()
    with tarfile.open(path) as file:
        members = file.getmembers()
    for member in members[1:]:
        broken = bytearray(whole)
        broken[member.offset + 3] ^= 1
        path.write_bytes(broken)
        with pytest.raises(DataError, match=r"not a complete \.tar"):
            contents(path)
        path.write_bytes(whole[: member.offset])
        with pytest.raises(DataError, match=r"not a complete \.tar"):
            contents(path)
        path.write_bytes(whole[: member.offset] + bytes(512) + whole[member.offset + 512 :])
        with pytest.raises(DataError, match="more follows after the archive's end"):
            contents(path)
    path.write_bytes(whole + whole)
    with pytest.raises(DataError, match="several were put one after another"):
        contents(path)


@pytest.mark.parametrize("kind", ["tar.gz", "tar.xz", "tar.bz2", "zip"])
def test_every_cut_of_an_archive_is_refused(tmp_path: Path, kind: str) -> None:
    path = packed(grow(tmp_path / "own", per_class=2), kind)
    whole = path.read_bytes()
    for share in (0.1, 0.5, 0.9, 0.99):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(DataError, match=r"not a complete \.tar"):
            contents(path)


@pytest.mark.parametrize("kind", ["tar", "zip"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_the_last_of_two_members_counts(tmp_path: Path, kind: str, caplog) -> None:
    root = grow(tmp_path / "own")
    path = packed(root, kind)
    (root / "train/a/0.png").write_bytes(picture(4711))
    if kind == "zip":
        with zipfile.ZipFile(path, "a") as file:
            file.write(root / "train/a/0.png", "top/train/a/0.png")
    else:
        with tarfile.open(path, "a") as file:
            file.add(root / "train/a/0.png", "top/train/a/0.png")
    assert contents(path) == contents(root)
    assert "1 names are there more than once (top/train/a/0.png): the last of each counts" in caplog.text


def test_backslashes_in_a_zip_are_taken_as_slashes(tmp_path: Path, caplog) -> None:
    root = grow(tmp_path / "own")
    with zipfile.ZipFile(path := tmp_path / "own.zip", "w") as file:
        for found in sorted(root.rglob("*.png")):
            file.writestr(str(found.relative_to(root)).replace("/", "\\"), found.read_bytes())
    assert contents(path) == contents(root)
    assert "its names have backslashes, which are taken as /" in caplog.text


def change_zip(path: Path, flag: int = 0, method: int | None = None) -> None:
    """Set a flag or a method in every header of a zip."""
    content = bytearray(path.read_bytes())
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = content.find(mark)
        while start >= 0:
            content[start + flags] |= flag
            if method is not None:
                content[start + flags + 2] = method
            start = content.find(mark, start + 4)
    path.write_bytes(content)


def test_zips_that_cannot_be_unpacked_say_why(tmp_path: Path) -> None:
    path = packed(grow(tmp_path / "own"), "zip")
    whole = path.read_bytes()
    change_zip(path, flag=1)
    with pytest.raises(
        DataError, match=r"top/train/a/0.png: not a readable image \(encrypted: pack it without a password"
    ):
        contents(path)
    for method in (9, 99):
        path.write_bytes(whole)
        change_zip(path, method=method)
        with pytest.raises(DataError, match=rf"compressed by method {method}, which is not read: pack it with Deflate"):
            contents(path)
    path.write_bytes(whole.replace(b"IDAT", b"IDAX"))
    with pytest.raises(DataError, match=r"0.png: not a readable image \(damaged \(Bad CRC-32"):
        contents(path)


def add(file: tarfile.TarFile, name: str, content: bytes = b"", **fields: Any) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for key, value in fields.items():
        setattr(member, key, value)
    file.addfile(member, io.BytesIO(content))


@pytest.mark.parametrize(
    ("member", "said"),
    [
        ({"name": "train/a/p.png", "type": tarfile.FIFOTYPE}, "train/a/p.png: a named pipe or a device"),
        ({"name": "../../etc/x.png", "content": picture(1)}, r"a name that leads out of the archive"),
        (
            {"name": "train/a/l.png", "type": tarfile.SYMTYPE, "linkname": "/etc/passwd"},
            "a link to /etc/passwd, which is not",
        ),
        (
            {"name": "train/a/l.png", "type": tarfile.SYMTYPE, "linkname": "../../../x"},
            r"a link to ../../../x, which is not",
        ),
        (
            {"name": "train/a/l.png", "type": tarfile.SYMTYPE, "linkname": "l.png"},
            r"a link to l.png, which is not in the",
        ),
        (
            {"name": "train/a/l.png", "type": tarfile.LNKTYPE, "linkname": "x"},
            r"a link to x, which is not in the archive",
        ),
    ],
)
def test_members_that_would_lead_out_are_refused_by_name(tmp_path: Path, member: dict[str, Any], said: str) -> None:
    root = grow(tmp_path / "own")
    with tarfile.open(path := tmp_path / "own.tar", "w") as file:
        file.add(root, "")
        add(file, **member)
    with pytest.raises(DataError, match=said):
        contents(path)


def test_an_archive_that_expands_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "ALLOWANCE", 1 << 20)
    monkeypatch.setattr(archives, "EXPANSION", 10)
    root = grow(tmp_path / "own")
    for kind in ("w:xz", "w:gz"):
        with tarfile.open(path := tmp_path / "own.tar", kind) as file:
            file.add(root, "")
            add(file, "train/a/big.png", bytes(8 << 20))
        with pytest.raises(DataError, match="expands to a thousand times its size"):
            contents(path)
    with zipfile.ZipFile(path := tmp_path / "own.zip", "w", zipfile.ZIP_DEFLATED) as zipped:
        for index in range(8):
            zipped.writestr(f"train/{'ab'[index % 2]}/{index}.png", bytes(1 << 20))
    with pytest.raises(DataError, match="expands to a thousand times its size"):
        contents(path)


def test_a_member_that_is_too_large_is_named_and_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("depthdial.data.pictures.MOST_BYTES", 1 << 20)
    root = grow(tmp_path / "own")
    (root / "train/a/big.png").write_bytes(bytes(2 << 20))
    for path in (root, packed(root, "tar.xz"), packed(root, "zip")):
        with pytest.raises(DataError, match=r"train/a/big.png: not a readable image \(larger than 1 MB\)"):
            contents(path)


def test_a_giant_header_is_refused(tmp_path: Path) -> None:
    with tarfile.open(path := tmp_path / "own.tar", "w", format=tarfile.PAX_FORMAT) as file:
        member = tarfile.TarInfo("train/a/0.png")
        member.pax_headers = {"comment": "x" * (2 << 20)}
        file.addfile(member)
    with pytest.raises(DataError, match=r"not a complete \.tar.*header of 2,\d+,\d+ bytes"):
        contents(path)


def test_identical_images_in_two_splits_are_counted(tmp_path: Path, caplog) -> None:
    root = grow(tmp_path / "own")
    for index in range(2):
        (root / f"test/b/{index}.png").write_bytes((root / f"train/a/{index}.png").read_bytes())
    classes, splits = prepare(dataset(root, validation_fraction=0.1))
    save_images(tmp_path / "x.safetensors", "own", classes, splits)
    shared = [line for line in caplog.messages if "images are the same in" in line]
    assert sum(int(line.split(": ")[1].split()[0]) for line in shared) == 2


@pytest.mark.parametrize("grey", [True, False])
def test_the_file_is_what_safetensors_writes(tmp_path: Path, grey: bool) -> None:
    from safetensors.numpy import load, save

    root = grow(tmp_path / "own", per_class=9)
    for index, file in enumerate(sorted(root.rglob("*.png"))):
        if grey or index % 3:  # one colour is enough
            file.write_bytes(stored(Image.open(file).convert("L"), "PNG"))
    classes, splits = prepare(dataset(root))
    save_images(path := tmp_path / "x.safetensors", "own", classes, splits)
    written = path.read_bytes()
    tensors = load(written)
    assert {name: tensor.shape for name, tensor in tensors.items()} == {
        f"{split}_{what}": (len(part), *shape)
        for split, part in splits.items()
        for what, shape in (("images", (1 if grey else 3, 8, 8)), ("labels", ()))
    }
    for split, part in splits.items():
        assert np.array_equal(tensors[f"{split}_images"], part.images)
        assert np.array_equal(tensors[f"{split}_labels"], part.labels)
        assert np.array_equal(load_split(path, split).images, part.images)
    from safetensors import safe_open

    with safe_open(path, "numpy") as archive:
        assert save(tensors, archive.metadata()) == written
    info = load_info(path)
    values = splits["train"].images / 255
    assert info.mean == pytest.approx(values.mean((0, 2, 3)), abs=1e-12)
    assert info.deviation == pytest.approx(values.std((0, 2, 3)), abs=1e-12)


def test_weights_from_elsewhere_bring_their_normalisation(tmp_path: Path) -> None:
    root = grow(tmp_path / "own")
    for file in root.rglob("*.png"):
        file.write_bytes(stored(Image.open(file).convert("L"), "PNG"))
    settings = dataset(root, image_size=4, resize=6, normalisation={"mean": [0.5] * 3, "deviation": [0.25] * 3})
    classes, splits = prepare(settings)
    save_images(path := tmp_path / "x", "own", classes, splits, settings.reading, settings.normalisation)
    info = load_info(path)
    assert (info.shape, info.mean, info.deviation) == ((3, 4, 4), (0.5,) * 3, (0.25,) * 3)
    assert info.reading == Reading(resize=6)


@pytest.mark.parametrize("kind", ["folder", "tar", "zip"])
def test_class_folders_alone_are_split(tmp_path: Path, kind: str) -> None:
    root = grow(tmp_path / "own", per_class=20, parts=("",))
    path = root if kind == "folder" else packed(root, kind)
    classes, splits = prepare(dataset(path, validation_fraction=0.2, test_fraction=0.3))
    assert classes == ["a", "b"]
    assert {name: np.bincount(part.labels).tolist() for name, part in splits.items()} == {
        "train": [10, 10],
        "validation": [4, 4],
        "test": [6, 6],
    }


def test_few_images_of_a_class_still_reach_every_split(tmp_path: Path) -> None:
    root = grow(tmp_path / "own", per_class=3, parts=("",))
    _, splits = prepare(dataset(root, validation_fraction=0.25, test_fraction=0.6))
    assert all(np.bincount(part.labels).tolist() == [1, 1] for part in splits.values())


def test_one_image_of_each_class_is_split_whatever_the_class_and_said(tmp_path: Path, caplog) -> None:
    root = grow(tmp_path / "own", per_class=1, parts=("",), classes="abcdefghij")
    (root / "classes.txt").write_text("".join(f"{letter} letter {letter}\n" for letter in "jihgfedcbaxy"))
    settings = dataset(root, validation_fraction=0.4, test_fraction=0.4, classes=str(root / "classes.txt"))
    classes, splits = prepare(settings)
    assert classes == [f"letter {letter}" for letter in "jihgfedcbaxy"]
    assert {name: len(part) for name, part in splits.items()} == {"train": 2, "validation": 4, "test": 4}
    assert sorted(int(label) for part in splits.values() for label in part.labels) == list(range(10))
    assert "10 of 10 classes have too few images to split each: 0.4 of all images are drawn" in caplog.text
    assert "1 files are in no class and are not used: classes.txt" in caplog.text


def test_images_too_few_to_split_are_refused(tmp_path: Path) -> None:
    root = grow(tmp_path / "own", per_class=1, parts=("",))
    with pytest.raises(DataError, match="own: no image is left for validation, test; 2 are too few"):
        prepare(dataset(root, validation_fraction=0.2, test_fraction=0.2))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a\n", "fewer than two classes"),
        ("a\n\nb\n", "line 2: empty"),
        ("a\nb\na x\n", "line 3: a for the second time"),
        ("a\nc\n", "class b: no line in "),
        (None, "cannot be read as a file of classes"),
    ],
)
def test_a_file_of_classes_that_does_not_fit_is_refused(tmp_path: Path, text: str | None, said: str) -> None:
    file = tmp_path / "classes.txt"
    if text is not None:
        file.write_text(text)
    with pytest.raises(DataError, match=said):
        contents(grow(tmp_path / "own"), classes=str(file))


def test_folders_with_train_and_test_need_no_test_fraction(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds test/, train/: remove test_fraction"):
        contents(grow(tmp_path / "own"), test_fraction=0.2)


def test_images_that_are_not_square_are_told(tmp_path: Path, caplog) -> None:
    root = grow(tmp_path / "own")
    (root / "train/a/0.png").write_bytes(stored(Image.new("RGB", (12, 8)), "PNG"))
    contents(root, image_size=8)
    assert "1 of 16 images are not square (train/a/0.png): the middle is taken, as fit: crop says" in caplog.text
    contents(root, image_size=8, fit="stretch")
    assert "they are squashed, as fit: stretch says" in caplog.text


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"fit": "stretch"}, "fit: only images that are made image_size pixels wide are fitted; set image_size"),
        (
            {"image_size": 224, "resize": 128},
            "resize: the shorter side before the middle of image_size pixels is taken",
        ),
        ({"image_size": 224, "resize": 256, "fit": "stretch"}, "resize: .*needs fit: crop"),
        (
            {"normalisation": {"mean": [0.5, 0.5], "deviation": [0.5, 0.5]}},
            "one value each for grey images, three for RGB",
        ),
        ({"normalisation": {"mean": [0.5], "deviation": [0]}}, "greater than or equal to 0.001"),
    ],
)
def test_settings_of_pictures_that_do_not_fit_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        dataset(Path("x"), **settings)
    with pytest.raises(ValueError, match="image_size, classes: only images of a folder"):
        Dataset(name="d", source="digits", image_size=8, classes="x")


def test_a_fingerprint_follows_the_images_and_nothing_else(tmp_path: Path) -> None:
    root = grow(tmp_path / "own")
    seen = [fingerprint(dataset(root))]
    for leave_alone in (root / "readme.md", root / "train" / ".DS_Store", root / "train" / "notes.txt"):
        leave_alone.write_text("x")
        assert fingerprint(dataset(root, title="another")) == seen[0]
    (root / "train/a/0.png").rename(root / "train/b/new.png")
    seen.append(fingerprint(dataset(root)))
    (root / "train/b/new.png").write_bytes(picture(1))
    seen.append(fingerprint(dataset(root)))
    (root / "train/b/1.png").unlink()
    seen.append(fingerprint(dataset(root)))
    assert len(set(seen)) == 4
    with pytest.raises(DataError, match="no such folder or archive"):
        fingerprint(dataset(tmp_path / "gone"))
    with pytest.raises(DataError, match="no such file of classes"):
        fingerprint(dataset(root, classes=str(tmp_path / "gone.txt")))
    with pytest.raises(DataError, match=r"own: cannot be read as a file of classes \(Is a directory\)"):
        fingerprint(dataset(root, classes=str(root)))
    absent = [dataset(tmp_path / "gone"), dataset(tmp_path / "lost").model_copy(update={"name": "other"})]
    with pytest.raises(DataError, match=r"datasets, own: .*gone: no such(.|\n)*datasets, other: .*lost: no such"):
        fingerprints(absent, plan=False)
    assert "no such folder" in fingerprints(absent, plan=True)["other"]
    path = packed(root, "tar")
    first = fingerprint(dataset(path))
    packed(grow(tmp_path / "bigger", 6), "tar")
    assert fingerprint(dataset(path)) != first


def test_pictures_to_run_are_read_as_the_data_was(tmp_path: Path) -> None:
    root = grow(tmp_path / "own")
    wide = stored(Image.effect_noise((30, 20), 90).convert("RGB"), "PNG")
    for index in range(4):
        (root / f"test/a/{index}.png").write_bytes(wide)
    settings = dataset(root, image_size=12, resize=16)
    _, splits = prepare(settings)
    for path in (root / "test", packed(root / "test", "tar"), packed(root / "test", "zip")):
        read = sorted(pixels.tobytes() for _, pixels in read_pictures(path, settings.reading, (3, 12, 12)))
        assert read == sorted(image.tobytes() for image in splits["test"].images)
    assert [name for name, _ in read_pictures(root / "test/a", settings.reading, (3, 12, 12))] == [
        f"{index}.png" for index in range(4)
    ]
    (root / "test/a/bad.png").write_bytes(b"x")
    (root / "test/a/worse.png").write_bytes(b"x")
    with pytest.raises(DataError, match=r"2 problem(.|\n)*bad.png: not a readable image(.|\n)*worse.png"):
        list(read_pictures(root / "test", settings.reading, (3, 12, 12)))
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="no image files"):
        list(read_pictures(tmp_path / "none", Reading(), (3, 12, 12)))


def small_archives() -> list[bytes]:
    found = []
    for kind in ("", "gz", "xz"):
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode=f"w:{kind}") as archive:
            for name in ("train/a/0", "train/b/0", "test/a/0", "test/b/0"):
                add(archive, f"{name}.png", picture(len(name) + ord(name[-3]) + ord(name[1]), 4))
            add(archive, "train/a/s.png", type=tarfile.SYMTYPE, linkname="../b/0.png")
            add(archive, "train/b/h.png", type=tarfile.LNKTYPE, linkname="test/a/0.png")
            add(archive, f"train/a/{'long' * 40}.png", picture(3, 4))
        found.append(file.getvalue())
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name in ("train/a/0", "train/b/0", "test/a/0", "test/b/0"):
            zipped.writestr(f"{name}.png", picture(len(name) + ord(name[-3]) + ord(name[1]), 4))
    return [*found, file.getvalue()]


@given(damaged(small_archives()) | st.binary(max_size=2000))
@fuzz
def test_any_bytes_are_an_archive_or_a_clear_error(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed"
    path.write_bytes(content)
    try:
        _, splits = prepare(dataset(path, validation_fraction=0.4))
        assert all(len(part) for part in splits.values())
    except DepthDialError as error:
        said = str(error)
    else:
        return
    assert len(said.splitlines()) <= 30
    assert " object at 0x" not in said
