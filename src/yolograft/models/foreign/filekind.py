"""Which kind of file this is, by its first bytes: those that are read, and those people mistake for them."""

from __future__ import annotations

from io import BufferedReader

from yolograft.errors import CheckpointError

ARCHIVE, SAFETENSORS = "archive", "safetensors"
_FIRST = 64
# A pickle of protocol 2 whose first value is the number that torch < 1.6 opens its files with.
_LEGACY = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
_CONVERT = "where you trust it: torch.save(torch.load(FILE), NEW) with torch 1.6 or later"
_ONLY = "give a .pt, .pth or .safetensors file"
# First bytes -> (what it is, what to do).
_OTHERS: tuple[tuple[bytes, str, str], ...] = (
    (_LEGACY, "written by torch before 1.6, in a form that is not read", _CONVERT),
    (b"ustar", "written by torch before 0.2, in a form that is not read", _CONVERT),
    (b"\x80", "a bare pickle, not a file of torch", "save its state dict with torch.save"),
    (b"\x93NUMPY", "a numpy array, not a checkpoint", "save a state dict with torch.save"),
    (b"\x89HDF", "an HDF5 file, as Keras writes them; it is not read", _ONLY),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself", "fetch it: git lfs pull"),
    (b"<", "a web page, not weights; the download failed", "download it again"),
    (b"\x1f\x8b", "compressed with gzip", "unpack it first"),
)


def kind_of(handle: BufferedReader, size: int) -> str:
    """``archive`` (torch >= 1.6) or ``safetensors``.

    Args:
        handle: the file, at its start. size: its bytes.

    Raises:
        CheckpointError: another kind of file (YG432), or an empty one (YG433).
    """
    first = handle.read(_FIRST)
    if not first:
        raise CheckpointError("YG433", "the file is empty", fix="download or copy it again")
    if first.startswith(b"PK\x03\x04"):
        return ARCHIVE
    header = int.from_bytes(first[:8], "little")
    if first[8:9] == b"{" and 0 < header <= size - 8:
        return SAFETENSORS
    for start, what, fix in _OTHERS:
        if first.lstrip().startswith(start):
            raise CheckpointError("YG432", what, fix=fix)
    raise CheckpointError("YG432", "no file of torch or safetensors", fix=_ONLY)
