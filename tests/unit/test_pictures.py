"""One picture: what formats are read, and what becomes of depths, palettes, transparency, orientation and shapes."""

import io
import struct
import subprocess
import sys
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from depthdial.config.data import Reading
from depthdial.data import pictures
from depthdial.data.pictures import NoPictureError, decode
from depthdial.errors import DataError
from tests.rigs.fuzz import damaged, fuzz

RAMP = (np.arange(64, dtype=np.uint16) * 1024 + 512).reshape(8, 8)
STRETCH = Reading(fit="stretch")


def stored(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def pixels(content: bytes, **options: Any) -> np.ndarray:
    return decode(content, Reading(), **options)[0]


def photo(width: int, height: int, seed: int = 0) -> Image.Image:
    """Smooth, as photographs are: noise could not be resized in two ways with one result."""
    small = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits_of_grey_are_scaled(kind: str) -> None:
    found = pixels(stored(Image.fromarray(RAMP), kind))
    assert np.array_equal(found, (RAMP >> 8).astype(np.uint8)[None])


def test_twelve_bits_of_grey_are_scaled_where_the_file_says_so() -> None:
    values = np.array([0, 256, 2048, 4095], ">u2")
    assert pixels(b"P5 4 1 4095\n" + values.tobytes()).ravel().tolist() == [0, 16, 128, 255]


def test_sixteen_bits_where_white_is_zero() -> None:
    file = stored(Image.fromarray(np.array([[0, 65535]], np.uint16)), "TIFF", tiffinfo={262: 0})
    assert Image.open(io.BytesIO(file)).tag_v2[262] == 0
    assert pixels(file).ravel().tolist() == [255, 0]


@pytest.mark.parametrize(("mode", "said"), [("I", "32-bit integers"), ("F", "floats")])
def test_pixels_without_a_white_are_refused_by_name(mode: str, said: str) -> None:
    image = Image.fromarray(RAMP.astype(np.int32 if mode == "I" else np.float32))
    with pytest.raises(DataError, match=rf"its pixels are {said} \(mode {mode}\).*store them with 8 or 16 bits"):
        pixels(stored(image, "TIFF"))


def grey_palette() -> Image.Image:
    image = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8), "L").convert("P")
    image.putpalette([value for level in range(256) for value in (255 - level,) * 3])
    return image


@pytest.mark.parametrize(
    "content",
    [
        stored(Image.new("1", (4, 4), 1), "PNG"),
        stored(Image.new("L", (4, 4), 9), "JPEG"),
        stored(Image.new("LA", (4, 4), (9, 40)), "PNG"),
        stored(Image.fromarray(RAMP), "PNG"),
        stored(grey_palette(), "PNG"),
        stored(grey_palette(), "GIF"),
        stored(grey_palette(), "PNG", transparency=3),
        b"P2 2 1 15\n0 15\n",
        b"P1 2 1\n0 1\n",
    ],
)
def test_grey_stays_grey_in_every_mode(content: bytes) -> None:
    assert len(pixels(content)) == 1
    assert len(pixels(content, channels=3)) == 3


def test_transparency_shows_white_not_what_lies_below() -> None:
    glyph = np.zeros((8, 8, 4), np.uint8)
    glyph[2:6, 2:6, 3] = 255
    for content in (
        stored(Image.fromarray(glyph), "PNG"),
        stored(Image.fromarray(glyph), "WEBP", lossless=True),
        stored(Image.fromarray(glyph).convert("LA"), "PNG"),
        stored(Image.fromarray(glyph).quantize(2), "PNG"),
    ):
        found = pixels(content)
        assert (found[:, 2:6, 2:6] == 0).all()
        assert (found[:, 0] == 255).all()
    half = pixels(stored(Image.new("RGBA", (1, 1), (10, 100, 200, 51)), "PNG")).ravel()
    assert half.tolist() == [round(0.2 * value + 0.8 * 255) for value in (10, 100, 200)]


@pytest.mark.parametrize("image", [Image.new("L", (2, 2), 7), Image.fromarray(np.full((2, 2), 1792, np.uint16))])
def test_a_colour_can_stand_for_transparency(image: Image.Image) -> None:
    assert (pixels(stored(image, "PNG", transparency=image.getpixel((0, 0)))) == 255).all()
    assert (pixels(stored(image, "PNG")) == 7).all()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_pictures_are_turned_as_their_camera_says(kind: str, turn: int) -> None:
    upright = photo(24, 16)
    held = upright if turn == 1 else upright.transpose(BACK[turn])
    exif = Image.Exif()
    exif[0x0112] = turn
    options = {"lossless": True} if kind == "WEBP" else {"quality": 98, "subsampling": 0} if kind == "JPEG" else {}
    content = stored(held, kind, exif=exif, **options)
    found, sides = decode(content, Reading())
    assert sides == (24, 16)
    assert np.abs(found.astype(int) - np.asarray(upright).transpose(2, 0, 1)).mean() < 3
    square = decode(content, Reading(), 16)[0]
    assert np.abs(square.astype(int) - np.asarray(upright)[:, 4:20].transpose(2, 0, 1)).mean() < 3


BACK = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How the sensor was held, for each way in which a viewer turns the picture back."""


@pytest.mark.parametrize("sides", [(300, 200), (200, 300), (123, 457), (256, 256), (40, 300)])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_resizing_and_cropping_are_torchvisions(sides: tuple[int, int], interpolation: Any) -> None:
    from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize

    image = photo(*sides)
    theirs = Compose([Resize(72, InterpolationMode(interpolation)), CenterCrop(64)])(image)
    ours = decode(stored(image, "PNG"), Reading(resize=72, interpolation=interpolation), 64)[0]
    difference = np.abs(ours.astype(int) - np.asarray(theirs).transpose(2, 0, 1))
    assert difference.max() <= 1
    assert difference.mean() < 0.05


def test_stretching_and_square_images_are_resized_as_before() -> None:
    image = photo(48, 30)
    expected = np.asarray(image.resize((16, 16), Image.Resampling.BICUBIC)).transpose(2, 0, 1)
    assert np.array_equal(decode(stored(image, "PNG"), STRETCH, 16)[0], expected)
    image = photo(48, 48)
    expected = np.asarray(image.resize((16, 16), Image.Resampling.BICUBIC)).transpose(2, 0, 1)
    for reading in (STRETCH, Reading()):
        assert np.array_equal(decode(stored(image, "PNG"), reading, 16)[0], expected)


def test_a_photo_is_decoded_small_and_looks_the_same() -> None:
    image = photo(1200, 900)
    content = stored(image, "JPEG", quality=95)
    with Image.open(io.BytesIO(content)) as opened:
        opened.load()
        whole = pictures.fitted(opened, Reading(), 64)
    found, sides = decode(content, Reading(), 64)
    assert sides == (1200, 900)
    assert np.abs(found.astype(int) - np.asarray(whole).transpose(2, 0, 1)).mean() < 1


def test_no_picture_is_ever_run(tmp_path) -> None:
    """Ghostscript would write the file."""
    trace = tmp_path / "ran"
    program = f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n({trace}) (w) file closefile showpage\n"
    with pytest.raises(NoPictureError, match="not a PNG, JPEG, BMP, GIF, WebP, TIFF or PNM image"):
        pixels(program.encode())
    assert not trace.exists()
    code = (
        "import sys; from PIL import Image; from depthdial.config.data import Reading\n"
        "from depthdial.data.pictures import decode, FORMATS, NoPictureError\n"
        "try: decode(sys.argv[1].encode(), Reading())\n"
        "except NoPictureError: pass\n"
        "assert set(Image.OPEN) >= set(FORMATS) and 'EPS' not in Image.OPEN, Image.OPEN.keys()\n"
    )
    subprocess.run([sys.executable, "-c", code, program], check=True, timeout=60)


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*one) for one in chunks)


HEADER = (b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0))
IMAGE = (b"IDAT", zlib.compress(bytes(9 * 8)))
END = (b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not a PNG"),
        (b"no image", "not a PNG"),
        (b"P6 16 x 255\n", "damaged"),
        (png(HEADER, (b"zTXt", b"k\0\0" + zlib.compress(bytes(2 << 20))), IMAGE, END), "damaged"),
        (png(HEADER, END), "damaged"),
        (stored(photo(64, 64), "JPEG")[:-300], "damaged"),
        (stored(photo(64, 64), "PNG")[:-300], "damaged"),
        (stored(photo(64, 64), "WEBP")[:-50], "(damaged|not a PNG)"),
        (
            png((b"IHDR", struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)), IMAGE, END),
            "more than 100,000,000 pixels",
        ),
        (png((b"IHDR", struct.pack(">IIBBBBB", 9000, 9000, 8, 2, 0, 0, 0)), IMAGE, END), "more than 40,000,000 pixels"),
    ],
)
def test_what_is_wrong_with_a_picture_is_said(content: bytes, said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        pixels(content)
    assert " object at 0x" not in str(caught.value)


SEEDS = [
    *(stored(photo(20, 14), kind) for kind in ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")),
    stored(photo(20, 14).convert("LA"), "PNG"),
    stored(photo(20, 14).quantize(8), "PNG", transparency=1),
    stored(Image.fromarray(RAMP), "TIFF"),
    stored(Image.fromarray(RAMP), "PNG"),
    stored(photo(20, 14), "TIFF", compression="tiff_lzw"),
    stored(
        photo(20, 14),
        "JPEG",
        progressive=True,
        exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0",
    ),
    png(HEADER, (b"iCCP", b"k\0\0" + zlib.compress(bytes(3000))), IMAGE, END),
]


@given(damaged(SEEDS) | st.binary(max_size=200), st.sampled_from([None, 8]), st.sampled_from([None, 1, 3]))
@fuzz
def test_any_bytes_are_a_picture_or_a_clear_error(content: bytes, size: int | None, channels: int | None) -> None:
    try:
        found, sides = decode(content, Reading(), size, channels)
    except DataError as error:
        said = str(error)
    else:
        assert found.dtype == np.uint8
        assert found.shape == (channels or len(found), size or sides[1], size or sides[0])
        assert len(found) in (1, 3)
        return
    assert said
    assert " object at 0x" not in said
