"""The size read from a header is the size the decoder delivers, for every orientation and format."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yolograft.data.headers import image_size
from yolograft.data.images import decode, decode_file
from yolograft.errors import DataError


def encoded(suffix: str, size: tuple[int, int], channels: int = 3) -> bytes:
    image = np.zeros((*size, channels), np.uint8)
    image[: size[0] // 2] = 200
    return cv2.imencode(suffix, image)[1].tobytes()


def with_orientation(jpeg: bytes, value: int, order: str) -> bytes:
    mark = {"<": b"II", ">": b"MM"}[order]
    tiff = mark + struct.pack(order + "HIH", 42, 8, 1)
    tiff += struct.pack(order + "HHIHH", 0x0112, 3, 1, value, 0) + struct.pack(order + "I", 0)
    segment = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + jpeg[2:]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("value", range(10))
def test_exif_orientation(tmp_path: Path, value: int, order: str) -> None:
    path = tmp_path / "ß 图.jpg"
    path.write_bytes(with_orientation(encoded(".jpg", (40, 70)), value, order))
    assert image_size(path) == decode_file(path).shape[:2]
    assert image_size(path) == ((70, 40) if 5 <= value <= 8 else (40, 70))


@settings(max_examples=30, deadline=None)
@given(
    suffix=st.sampled_from([".jpg", ".png", ".bmp", ".webp", ".tiff"]),
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    channels=st.sampled_from([1, 3]),
)
def test_every_format(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, height: int, width: int, channels: int
) -> None:
    path = tmp_path_factory.mktemp("sizes") / f"image{suffix}"
    path.write_bytes(encoded(suffix, (height, width), channels))
    assert image_size(path) == decode_file(path).shape[:2] == (height, width)


def test_png_with_exif_agrees_with_the_decoder(tmp_path: Path) -> None:
    png = encoded(".png", (40, 70))
    tiff = b"II" + struct.pack("<HIH", 42, 8, 1) + struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0) + bytes(4)
    chunk = struct.pack(">I", len(tiff)) + b"eXIf" + tiff + struct.pack(">I", zlib.crc32(b"eXIf" + tiff))
    path = tmp_path / "a.png"
    path.write_bytes(png[:33] + chunk + png[33:])
    assert image_size(path) == decode_file(path).shape[:2]


def test_no_image_has_no_size(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    for data in (b"", b"\xff", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"hello" * 20):
        path.write_bytes(data)
        assert image_size(path) is None
        with pytest.raises(DataError, match="YG330"):
            decode_file(path)
    with pytest.raises(OSError):
        image_size(tmp_path / "none.jpg")


def test_decode_gives_rgb_and_three_channels() -> None:
    blue = np.zeros((4, 5, 3), np.uint8)
    blue[..., 0] = 250  # OpenCV writes BGR
    image = decode(cv2.imencode(".png", blue)[1].tobytes())
    assert image.dtype == np.uint8 and image[0, 0].tolist() == [0, 0, 250]
    assert decode(encoded(".png", (4, 5), 1)).shape == (4, 5, 3)
    assert decode(encoded(".png", (4, 5), 4)).shape == (4, 5, 3)
