"""The archive of torch >= 1.6: ``NAME/data.pkl``, the pickle, and one ``NAME/data/KEY`` for each storage.

torch stores its members as they are, without compression, so a storage is a stretch of the file. Whatever is
compressed, encrypted or there twice was not written by torch.
"""

from __future__ import annotations

import struct
import sys
import zipfile
import zlib
from dataclasses import dataclass
from io import BufferedReader

from yolograft.errors import CheckpointError
from yolograft.models.foreign.limits import MIB, Limits

# Size and signature of a local file header, and the offset of its two length fields (APPNOTE 4.3.7).
_HEADER, _SIGNATURE, _LENGTHS = 30, b"PK\x03\x04", 26
_ENCRYPTED = 0x1
PICKLE = "data.pkl"


@dataclass(frozen=True, slots=True)
class Stretch:
    """Bytes ``at`` .. ``at + size`` of the file. crc: their CRC-32; 0 where the writer left it out."""

    at: int
    size: int
    crc: int

    def read(self, handle: BufferedReader, what: str) -> bytearray:
        """The bytes.

        Raises:
            CheckpointError: they are not there, or not those that were written (YG433).
        """
        handle.seek(self.at)
        data = bytearray(self.size)
        if handle.readinto(data) != self.size:
            raise CheckpointError("YG433", f"the file ends within {what}", fix="download or copy it again")
        if self.crc and zlib.crc32(data) != self.crc:
            raise CheckpointError("YG433", f"{what} is damaged", fix="download or copy it again")
        return data


def members(handle: BufferedReader, size: int, limits: Limits) -> dict[str, Stretch]:
    """The members of a torch archive by name, without the folder they all lie in.

    Args:
        handle: the file. size: its bytes.

    Raises:
        CheckpointError: no such archive (YG432), a damaged one (YG433), one that torch did not write (YG434),
            too large a pickle (YG431), another byte order (YG438).
    """
    try:
        infos = zipfile.ZipFile(handle).infolist()
    except (
        zipfile.BadZipFile,
        struct.error,
        ValueError,
        OverflowError,
        OSError,
        NotImplementedError,
    ) as error:
        raise CheckpointError(
            "YG433", "the archive is cut off or damaged", fix="download or copy it again"
        ) from error
    names = [info.filename for info in infos]
    if len(set(names)) != len(names):
        raise CheckpointError("YG434", "two members of the archive have one name; torch writes no such file")
    folder = _folder(names)
    found: dict[str, Stretch] = {}
    for info in infos:
        if info.filename.startswith(folder):
            found[info.filename.removeprefix(folder)] = _stretch(handle, info, size)
    _check_byte_order(handle, found)
    if found[PICKLE].size > limits.pickle_bytes:
        raise CheckpointError("YG431", f"its {PICKLE} has {found[PICKLE].size / MIB:.0f} MiB")
    return found


def _folder(names: list[str]) -> str:
    """``NAME/`` of an archive of torch."""
    if any(name.endswith("/constants.pkl") or "/code/" in name for name in names):
        raise CheckpointError(
            "YG432", "a TorchScript program, not weights", fix="give the .pt it was exported from"
        )
    if any(name.endswith(".npy") for name in names):
        raise CheckpointError(
            "YG432", "an archive of numpy, not of torch", fix="save a state dict with torch.save"
        )
    pickles = [name for name in names if name.endswith(f"/{PICKLE}") and name.count("/") == 1]
    if not pickles:
        raise CheckpointError("YG432", "a zip archive, but not one of torch: it has no data.pkl")
    if len(pickles) > 1:
        raise CheckpointError("YG434", "two members of the archive are called data.pkl")
    return pickles[0].removesuffix(PICKLE)


def _stretch(handle: BufferedReader, info: zipfile.ZipInfo, size: int) -> Stretch:
    shown = info.filename
    if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
        raise CheckpointError("YG434", f"{shown} in the archive is compressed, which torch never does")
    if info.flag_bits & _ENCRYPTED:
        raise CheckpointError("YG434", f"{shown} in the archive is encrypted")
    handle.seek(max(info.header_offset, 0))
    header = handle.read(_HEADER)
    if info.header_offset < 0 or len(header) < _HEADER or not header.startswith(_SIGNATURE):
        raise CheckpointError("YG433", f"{shown} in the archive is damaged", fix="download or copy it again")
    at = info.header_offset + _HEADER + sum(struct.unpack_from("<HH", header, _LENGTHS))
    if at + info.file_size > size:
        raise CheckpointError("YG433", f"the file ends within {shown}", fix="download or copy it again")
    return Stretch(at, info.file_size, info.CRC)


def _check_byte_order(handle: BufferedReader, found: dict[str, Stretch]) -> None:
    """Files without a mark are of little-endian machines, as all of today's are."""
    mark = found.get("byteorder")
    order = "little"
    if mark is not None:
        order = mark.read(handle, "byteorder").decode("latin-1") if mark.size <= len("little") else "unknown"
    if order != sys.byteorder:
        raise CheckpointError(
            "YG438",
            f"its numbers are {order}-endian, this machine is {sys.byteorder}-endian",
            fix="save it again on a machine of this kind",
        )
