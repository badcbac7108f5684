"""What the header of an image file says: the size the decoder will deliver, and what is unusual.

Only the beginning and the end of a file are read, so that opening a dataset stays cheap and still learns
what a decoder would stumble over: a file that ends too early is told by its missing end marker. Sources:
ITU-T T.81 annex B (JPEG markers). Formats without their own parser here
and in ``rasters.py`` are decoded once to learn their size.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO

from yolograft.data.rasters import (
    CMYK,
    SUFFIXES,
    TURNED,
    Header,
    bmp,
    decoded_size,
    exif_orientation,
    gif,
    png,
    tiff,
    webp,
)

_START = 34
# Start-of-frame markers; C4 (Huffman tables), C8 (reserved) and CC (arithmetic conditioning) are not.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BARE = frozenset({0x01, *range(0xD0, 0xD9)})
_END = b"\xff\xd9"


def image_size(path: Path) -> tuple[int, int] | None:
    """(height, width) in pixels of the decoded image, or None when the file is no readable whole image.

    Raises:
        OSError: the file cannot be opened.
    """
    header = read_header(path)
    return header.size if header.whole else None


def read_header(path: Path) -> Header:
    """The `Header` of an image file, known by its content and not by its suffix.

    Raises:
        OSError: the file cannot be opened.
    """
    with path.open("rb") as file:
        start, length = file.read(_START), os.fstat(file.fileno()).st_size
        try:
            header = _by_signature(file, start, length)
        except (struct.error, IndexError, ValueError, OverflowError):
            header = Header(None)
    if header.size is not None and min(header.size) <= 0:
        header = header._replace(size=None)
    if header.size is None and header.whole:
        # Whatever has no parser of its own, and whatever a parser left open, is asked of the decoder.
        header = header._replace(size=decoded_size(path))
    return header


def suffix_fits(path: Path, kind: str) -> bool:
    """Whether the suffix of a file is one of its format's; unknown formats fit."""
    return kind not in SUFFIXES or path.suffix.lower() in SUFFIXES[kind]


def _by_signature(file: BinaryIO, start: bytes, length: int) -> Header:
    if start.startswith(b"\xff\xd8"):
        return _jpeg(file, length)
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return png(file)
    if start.startswith(b"BM"):
        return bmp(start, length)
    if start.startswith(b"RIFF") and start[8:12] == b"WEBP":
        return webp(file, start, length)
    if start.startswith((b"GIF87a", b"GIF89a")):
        return gif(file)
    if start.startswith((b"II*\0", b"MM\0*")):
        return tiff(file)
    return Header(None)


def _jpeg(file: BinaryIO, length: int) -> Header:
    file.seek(2)
    orientation, exif_seen = 1, False
    while True:
        byte = file.read(1)
        while byte and byte != b"\xff":
            byte = file.read(1)
        while byte == b"\xff":
            byte = file.read(1)
        if not byte:
            return Header(None, "JPEG")
        marker = byte[0]
        if marker in _BARE or marker == 0:
            continue
        (size,) = struct.unpack(">H", file.read(2))
        if marker in _FRAMES:
            _, height, width, components = struct.unpack(">BHHB", file.read(6))
            break
        if marker == 0xDA:
            return Header(None, "JPEG")
        if marker == 0xE1 and not exif_seen:
            segment = file.read(size - 2)
            if segment.startswith(b"Exif\0\0"):
                exif_seen, orientation = True, exif_orientation(segment[6:])
        else:
            file.seek(size - 2, 1)
    traits = ((TURNED,) if orientation != 1 else ()) + ((CMYK,) if components == 4 else ())
    shape = (width, height) if orientation >= 5 else (height, width)
    return Header(shape, "JPEG", _ends(file, length), traits)


def _ends(file: BinaryIO, length: int) -> bool:
    """Whether the end marker follows the frame. Coded data never holds it: there FF is followed by 00."""
    here = file.tell()
    file.seek(max(length - 2, here))
    if file.read(2) == _END:
        return True
    # Cameras append previews and films behind the end marker, copiers append zeros.
    file.seek(here)
    return _END in file.read()
