"""Headers of PNG, BMP, WebP, GIF and TIFF files: size, wholeness, and what is unusual about the pixels.

Sources: the PNG specification (W3C; IHDR, tRNS, acTL, eXIf), CIPA DC-008 (EXIF, tag 0x0112),
BITMAPINFOHEADER, the WebP container (RFC 9649), GIF89a (CompuServe, 1990), TIFF 6.0 (Adobe, 1992). A size
of None asks the reader to decode the file: whether a PNG or WebP is turned by its EXIF block depends on the
decoder's release, and in GIF and TIFF only the decoder knows whether the data is all there.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO, NamedTuple

import cv2
import numpy as np

# What findings call the unusual.
DEEP, CMYK, ALPHA = "16 bits a channel", "CMYK", "alpha"
FRAMES, TURNED = "several frames", "EXIF orientation"

SUFFIXES: dict[str, frozenset[str]] = {
    "JPEG": frozenset({".jpg", ".jpeg", ".jpe", ".jfif"}),
    "PNG": frozenset({".png", ".apng"}),
    "BMP": frozenset({".bmp", ".dib"}),
    "WebP": frozenset({".webp"}),
    "GIF": frozenset({".gif"}),
    "TIFF": frozenset({".tif", ".tiff"}),
}
_PNG_ALPHA = frozenset({4, 6})
_TIFF_ORIENTATION, _TIFF_BITS, _TIFF_COLOURS, _TIFF_EXTRA = 274, 258, 262, 338
_SEPARATED = 5


class Header(NamedTuple):
    """What a file's header tells.

    size: (height, width) of the decoded image, or None when unknown or unreadable.
    kind: the format by content, such as ``"PNG"``; empty when unknown.
    whole: False when the file ends before its own end.
    traits: what is unusual, in the words above.
    """

    size: tuple[int, int] | None
    kind: str = ""
    whole: bool = True
    traits: tuple[str, ...] = ()


def decoded_size(path: Path) -> tuple[int, int] | None:
    """(height, width) as the decoder delivers it, or None when it delivers nothing."""
    data = np.fromfile(path, np.uint8)
    try:
        image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except cv2.error:
        return None
    return None if image is None else (int(image.shape[0]), int(image.shape[1]))


def exif_orientation(block: bytes) -> int:
    """EXIF orientation 1..8 of a TIFF block; 1 when it says nothing readable."""
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None:
        return 1
    try:
        (offset,) = struct.unpack_from(order + "I", block, 4)
        (entries,) = struct.unpack_from(order + "H", block, offset)
        for entry in range(entries):
            tag, _, _, value = struct.unpack_from(order + "HHIH", block, offset + 2 + 12 * entry)
            if tag == _TIFF_ORIENTATION:
                return value if 1 <= value <= 8 else 1
    except struct.error:
        return 1
    return 1


def png(file: BinaryIO) -> Header:
    """Walk the chunks up to IEND."""
    file.seek(8)
    size: tuple[int, int] | None = None
    traits: dict[str, None] = {}
    exif = False
    while True:
        head = file.read(8)
        if len(head) < 8:
            return Header(None, "PNG", whole=False)
        length, kind = struct.unpack(">I4s", head)
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", file.read(10))
            size = (height, width)
            unusual = {DEEP: depth == 16, ALPHA: colour in _PNG_ALPHA}
            traits |= dict.fromkeys(word for word, true in unusual.items() if true)
            file.seek(length - 10 + 4, 1)
            continue
        if kind == b"IEND":
            # The four bytes behind the type are the checksum; without them the file was cut.
            whole = len(file.read(4)) == 4
            return Header(None if exif or not whole else size, "PNG", whole, tuple(traits))
        if kind == b"eXIf":
            exif = True
            if exif_orientation(file.read(length)) != 1:
                traits[TURNED] = None
            length = 0
        elif kind == b"tRNS":
            traits[ALPHA] = None
        elif kind == b"acTL":
            traits[FRAMES] = None
        file.seek(length + 4, 1)


def bmp(start: bytes, length: int) -> Header:
    """A negative height says that the first row is the top one; headers below 40 bytes are OS/2's."""
    if len(start) < 34 or struct.unpack_from("<I", start, 14)[0] < 40:
        return Header(None, "BMP")
    (offset,) = struct.unpack_from("<I", start, 10)
    width, height, _, bits, packing = struct.unpack_from("<iiHHI", start, 18)
    row = (bits * width + 31) // 32 * 4
    plain = packing in (0, 3)
    whole = not plain or length >= offset + row * abs(height)
    return Header((abs(height), width), "BMP", whole)


def webp(file: BinaryIO, start: bytes, length: int) -> Header:
    """The first chunk tells all that is wanted; the RIFF head tells how long the file is."""
    (riff,) = struct.unpack_from("<I", start, 4)
    if length < riff + 8:
        return Header(None, "WebP", whole=False)
    match start[12:16]:
        case b"VP8 " if start[23:26] == b"\x9d\x01\x2a":
            width, height = struct.unpack_from("<HH", start, 26)
            return Header((height & 0x3FFF, width & 0x3FFF), "WebP")
        case b"VP8L" if start[20] == 0x2F:
            (bits,) = struct.unpack_from("<I", start, 21)
            size = ((bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1)
            return Header(size, "WebP", traits=(ALPHA,) if bits >> 28 & 1 else ())
        case b"VP8X":
            flags = start[20]
            size = tuple(int.from_bytes(start[at : at + 3], "little") + 1 for at in (27, 24))
            said = {ALPHA: flags & 0x10, FRAMES: flags & 0x02, TURNED: flags & 0x08 and _webp_turned(file)}
            traits = tuple(word for word, true in said.items() if true)
            return Header(None if flags & 0x08 else (size[0], size[1]), "WebP", traits=traits)
        case _:
            return Header(None, "WebP")


def _webp_turned(file: BinaryIO) -> bool:
    file.seek(12)
    while len(head := file.read(8)) == 8:
        kind, size = struct.unpack("<4sI", head)
        if kind == b"EXIF":
            return exif_orientation(file.read(size).removeprefix(b"Exif\0\0")) != 1
        file.seek(size + size % 2, 1)
    return False


def gif(file: BinaryIO) -> Header:
    """Count the images up to the second one; the decoder says the rest."""
    file.seek(10)
    packed = file.read(3)[0]
    file.seek(3 * 2 ** ((packed & 7) + 1) if packed & 0x80 else 0, 1)
    images = 0
    while images < 2:
        match file.read(1):
            case b"\x21":
                file.seek(1, 1)
            case b"\x2c":
                images += 1
                local = file.read(9)[8]
                file.seek((3 * 2 ** ((local & 7) + 1) if local & 0x80 else 0) + 1, 1)
            case _:
                break
        while block := file.read(1)[0]:
            file.seek(block, 1)
    return Header(None, "GIF", traits=(FRAMES,) if images > 1 else ())


def tiff(file: BinaryIO) -> Header:
    """The tags of the first page; one that cannot be followed is left to the decoder."""
    file.seek(0)
    tags, more = tiff_tags(file)
    deep = tags.get(_TIFF_BITS, 8) == 16
    words = {
        DEEP: deep,
        CMYK: tags.get(_TIFF_COLOURS) == _SEPARATED,
        ALPHA: _TIFF_EXTRA in tags,
        FRAMES: more,
        TURNED: tags.get(_TIFF_ORIENTATION, 1) != 1,
    }
    return Header(None, "TIFF", traits=tuple(word for word, said in words.items() if said))


def tiff_tags(file: BinaryIO) -> tuple[dict[int, int], bool]:
    """(first value of every short or long tag of the first page, whether more pages follow)."""
    order = "<" if file.read(4).startswith(b"II") else ">"
    (offset,) = struct.unpack(order + "I", file.read(4))
    file.seek(offset)
    (count,) = struct.unpack(order + "H", file.read(2))
    table = file.read(12 * count)
    (following,) = struct.unpack(order + "I", file.read(4))
    tags: dict[int, int] = {}
    for entry in range(count):
        tag, form, values = struct.unpack_from(order + "HHI", table, 12 * entry)
        inline = values * (2 if form == 3 else 4) <= 4
        if form in (3, 4) and inline:
            (tags[tag],) = struct.unpack_from(order + ("H" if form == 3 else "I"), table, 12 * entry + 8)
        elif form in (3, 4):
            (place,) = struct.unpack_from(order + "I", table, 12 * entry + 8)
            file.seek(place)
            (tags[tag],) = struct.unpack(
                order + ("H" if form == 3 else "I"), file.read(2 if form == 3 else 4)
            )
    return tags, following != 0


def carries_alpha(file: BinaryIO) -> bool:
    """Whether a TIFF has true alpha (ExtraSamples 1 or 2) and not just a fourth band."""
    try:
        return tiff_tags(file)[0].get(_TIFF_EXTRA, 0) in (1, 2)
    except struct.error:
        return False
