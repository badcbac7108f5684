"""Size of an image file from its header, as the decoder will deliver it (EXIF orientation applied).

Sources: ITU-T T.81 annex B (JPEG markers), CIPA DC-008 (EXIF, tag 0x0112), the PNG specification
(W3C, IHDR and eXIf chunks), the BITMAPINFOHEADER layout. Anything else is decoded once to learn its size.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np

_ORIENTATION = 0x0112
# Start-of-frame markers; C4 (Huffman tables), C8 (reserved) and CC (arithmetic conditioning) are not.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BARE = frozenset({0x01, *range(0xD0, 0xD9)})


def image_size(path: Path) -> tuple[int, int] | None:
    """(height, width) in pixels of the decoded image, or None when the file is no readable image.

    Raises:
        OSError: the file cannot be opened.
    """
    with path.open("rb") as file:
        start = file.read(26)
        try:
            if start.startswith(b"\xff\xd8"):
                size = _jpeg(file)
            elif start.startswith(b"\x89PNG\r\n\x1a\n"):
                size = _png(file)
            elif (
                start.startswith(b"BM") and len(start) == 26 and struct.unpack_from("<I", start, 14)[0] >= 40
            ):
                # A negative height says that the first row is the top one; headers below 40 bytes are OS/2's.
                width, height = struct.unpack_from("<ii", start, 18)
                size = (abs(height), width)
            else:
                size = None
        except (struct.error, IndexError):
            size = None
    if size is not None and min(size) > 0:
        return size
    return _decoded(path)


def _decoded(path: Path) -> tuple[int, int] | None:
    data = np.fromfile(path, np.uint8)
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except cv2.error:
        return None
    return None if image is None else (int(image.shape[0]), int(image.shape[1]))


def _jpeg(file: BinaryIO) -> tuple[int, int] | None:
    file.seek(2)
    turned = False
    exif_seen = False
    while True:
        byte = file.read(1)
        while byte and byte != b"\xff":
            byte = file.read(1)
        while byte == b"\xff":
            byte = file.read(1)
        if not byte:
            return None
        marker = byte[0]
        if marker in _BARE or marker == 0:
            continue
        (length,) = struct.unpack(">H", file.read(2))
        if marker in _FRAMES:
            _, height, width = struct.unpack(">BHH", file.read(5))
            return (width, height) if turned else (height, width)
        if marker == 0xDA:
            return None
        if marker == 0xE1 and not exif_seen:
            segment = file.read(length - 2)
            if segment.startswith(b"Exif\0\0"):
                exif_seen = True
                turned = _orientation(segment[6:]) >= 5
        else:
            file.seek(length - 2, 1)


def _orientation(tiff: bytes) -> int:
    """EXIF orientation 1..8 of a TIFF block; 1 when it says nothing readable."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    try:
        (offset,) = struct.unpack_from(order + "I", tiff, 4)
        (entries,) = struct.unpack_from(order + "H", tiff, offset)
        for entry in range(entries):
            tag, _, _, value = struct.unpack_from(order + "HHIH", tiff, offset + 2 + 12 * entry)
            if tag == _ORIENTATION:
                return value if 1 <= value <= 8 else 1
    except struct.error:
        return 1
    return 1


def _png(file: BinaryIO) -> tuple[int, int] | None:
    file.seek(8)
    size: tuple[int, int] | None = None
    while True:
        head = file.read(8)
        if len(head) < 8:
            return size
        length, kind = struct.unpack(">I4s", head)
        if kind == b"IHDR":
            width, height = struct.unpack(">II", file.read(8))
            size = (height, width)
            file.seek(length - 8 + 4, 1)
        elif kind == b"eXIf":
            # Whether a decoder turns a PNG depends on its release: ask the one in use.
            return None
        elif kind == b"IEND":
            return size
        else:
            file.seek(length + 4, 1)
