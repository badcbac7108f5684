"""What the decoder gives for every kind of image, against Pillow and against numbers set by hand."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from yolograft.data.headers import image_size, read_header
from yolograft.data.images import decode
from yolograft.data.rows import measured_size
from yolograft.errors import DataError

RGB = np.zeros((40, 50, 3), np.uint8)
RGB[:20], RGB[20:] = (200, 30, 60), (10, 160, 240)
PICTURE = Pillow.fromarray(RGB)
CLEAR = Pillow.fromarray(np.dstack([RGB, np.full((40, 50), 60, np.uint8)]))
SIX = Pillow.Exif()
SIX[0x0112] = 6
Made = Callable[[], bytes]


def saved(picture: Pillow.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def paged(form: str) -> bytes:
    return saved(PICTURE, form, save_all=True, append_images=[PICTURE.rotate(180)])


# name -> (bytes, what is unusual, largest difference to the picture it was made of)
KINDS: dict[str, tuple[Made, tuple[str, ...], int]] = {
    "jpeg": (lambda: saved(PICTURE, "JPEG", quality=98), (), 2),
    "jpeg progressive": (lambda: saved(PICTURE, "JPEG", quality=98, progressive=True), (), 2),
    "jpeg cmyk": (lambda: saved(PICTURE.convert("CMYK"), "JPEG", quality=98), ("CMYK",), 3),
    "jpeg turned": (lambda: saved(PICTURE, "JPEG", quality=98, exif=SIX), ("EXIF orientation",), 2),
    "png": (lambda: saved(PICTURE, "PNG"), (), 0),
    "png alpha": (lambda: saved(CLEAR, "PNG"), ("alpha",), 0),
    "png turned": (lambda: saved(PICTURE, "PNG", exif=SIX), ("EXIF orientation",), 0),
    "png palette": (lambda: saved(PICTURE.quantize(4), "PNG"), (), 3),
    "png palette with a clear colour": (
        lambda: saved(PICTURE.quantize(4), "PNG", transparency=0),
        ("alpha",),
        3,
    ),
    "png of frames": (lambda: paged("PNG"), ("several frames",), 0),
    "webp": (lambda: saved(PICTURE, "WEBP", quality=100), (), 4),
    "webp lossless alpha": (lambda: saved(CLEAR, "WEBP", lossless=True), ("alpha",), 0),
    "webp turned": (lambda: saved(PICTURE, "WEBP", lossless=True, exif=SIX), ("EXIF orientation",), 0),
    "webp of frames": (lambda: paged("WEBP"), ("several frames",), 6),
    "tiff": (lambda: saved(PICTURE, "TIFF"), (), 0),
    "tiff alpha": (lambda: saved(CLEAR, "TIFF"), ("alpha",), 3),
    "tiff cmyk": (lambda: saved(PICTURE.convert("CMYK"), "TIFF"), ("CMYK",), 1),
    "tiff turned": (lambda: saved(PICTURE, "TIFF", exif=SIX), ("EXIF orientation",), 0),
    "tiff of pages": (lambda: paged("TIFF"), ("several frames",), 0),
    "gif": (lambda: saved(PICTURE.quantize(4), "GIF"), (), 3),
    "gif of frames": (lambda: paged("GIF"), ("several frames",), 60),
    "bmp": (lambda: saved(PICTURE, "BMP"), (), 0),
    "bmp of 32 bits": (lambda: saved(CLEAR, "BMP"), (), 0),
}


@pytest.mark.parametrize("kind", KINDS)
def test_pixels_size_and_traits(tmp_path: Path, kind: str) -> None:
    make, traits, tolerance = KINDS[kind]
    data, path = make(), tmp_path / "image"
    path.write_bytes(data)
    pixels, header = decode(data), read_header(path)
    assert header.size == image_size(path) == pixels.shape[:2]
    assert header.traits == traits and header.whole
    upright = np.rot90(pixels) if "turned" in kind else pixels
    # Colours of half the resolution run into each other where they meet.
    away = np.r_[0:16, 24:40]
    assert np.abs(upright.astype(int) - RGB)[away].max() <= tolerance


@pytest.mark.parametrize("kind", [k for k in KINDS if not k.startswith(("gif", "tiff of"))])
def test_a_cut_file_is_told_without_decoding(tmp_path: Path, kind: str) -> None:
    data, path = KINDS[kind][0](), tmp_path / "image"
    for length in (len(data) - 1, len(data) * 4 // 5):
        path.write_bytes(data[:length])
        assert image_size(path) is None
        size, found = measured_size(path, image_id="image")
        assert size is None and [item.code for item in found] in (["YG329"], ["YG318"])


def test_a_thumbnail_is_not_the_end_of_its_image(tmp_path: Path) -> None:
    small = saved(PICTURE.resize((8, 8)), "JPEG")
    segment = b"Exif\0\0" + small
    data = saved(PICTURE, "JPEG")
    data = data[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment + data[2:]
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    assert read_header(path).whole
    path.write_bytes(data[:-9])
    assert not read_header(path).whole


VALUES = [0, 127, 128, 129, 385, 386, 1000, 32768, 65278, 65407, 65535]


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_are_scaled_and_rounded(suffix: str, channels: int) -> None:
    deep = np.zeros((1, len(VALUES), channels), np.uint16)
    deep[0, :, 0] = VALUES
    if channels > 1:
        deep[0, :, 1], deep[0, :, 2] = VALUES[::-1], 4242
    rgb = np.repeat(deep, 3, axis=2) if channels == 1 else deep[..., 2::-1]
    expected = np.rint(rgb / 257).astype(np.uint8)
    data = cv2.imencode(suffix, deep)[1].tobytes()
    np.testing.assert_array_equal(decode(data), expected)


def test_eight_bits_lifted_to_sixteen_come_back_the_same() -> None:
    lifted = RGB[..., ::-1].astype(np.uint16) * 257
    np.testing.assert_array_equal(decode(cv2.imencode(".png", lifted)[1].tobytes()), RGB)


def test_floating_point_pixels_have_no_scale_and_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(saved(Pillow.fromarray(np.full((4, 5), 0.5, np.float32)), "TIFF"))
    assert image_size(path) is None
    with pytest.raises(DataError, match="data check --decode"):
        decode(path.read_bytes())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_as_pillow_turns_it(orientation: int) -> None:
    from PIL import ImageOps

    exif = Pillow.Exif()
    exif[0x0112] = orientation
    data = saved(PICTURE, "PNG", exif=exif)
    turned = ImageOps.exif_transpose(Pillow.open(io.BytesIO(data)))
    assert turned is not None
    np.testing.assert_array_equal(decode(data), np.asarray(turned))
