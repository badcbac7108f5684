"""Reads npz archives of strangers within bounds: what a file claims is checked before memory is taken.

An npz is a zip of arrays. A few bytes of it can claim terabytes, in the zip's own table (a zip bomb) or in
the head of an array; nothing is allocated here before both were seen to stay within the bound.
"""

from __future__ import annotations

import io
import math
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

MOST_MEMBERS = 64
# Booleans, whole and floating numbers, text: the kinds that hold no Python objects.
KINDS = "biufU"

# What zip, zlib and the reader of an array's head raise on what they cannot read.
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, TypeError, SyntaxError,
    tokenize.TokenError, MemoryError, RecursionError, OverflowError, LookupError,
)  # fmt: skip


def read_bounded(path: Path, *, file_bytes: int, array_bytes: int) -> dict[str, NDArray[Any]]:
    """All arrays of an npz file by name.

    Args:
        file_bytes: the largest file that is opened.
        array_bytes: the most its arrays may take together, unpacked.

    Raises:
        ValueError: it is larger, it is no npz, or an array is not what it claims; the text says which.
        OSError: it cannot be read.
    """
    size = path.stat().st_size
    if size > file_bytes:
        raise ValueError(f"{size:,} bytes, at most {file_bytes:,} are read")
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) > MOST_MEMBERS:
                raise ValueError(f"{len(members)} members, at most {MOST_MEMBERS} are read")
            if sum(member.file_size for member in members) > array_bytes:
                raise ValueError(f"unpacks to more than {array_bytes:,} bytes")
            return {m.filename.removesuffix(".npy"): _array(archive.read(m)) for m in members}
    except _DAMAGE as error:
        raise ValueError(str(error) or type(error).__name__) from error


def _array(data: bytes) -> NDArray[Any]:
    """One array from the bytes of an npy file; its shape must account for every byte."""
    file = io.BytesIO(data)
    version = npy.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"array format {version}")
    read_head = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = read_head(file)
    if dtype.kind not in KINDS or not dtype.itemsize:
        raise ValueError(f"an array of kind '{dtype.kind}'")
    body = data[file.tell() :]
    if math.prod(shape) * dtype.itemsize != len(body):
        raise ValueError(f"shape {shape} does not fit {len(body)} bytes")
    order = "F" if fortran else "C"
    return np.frombuffer(body, dtype=dtype).reshape(shape, order=order) if body else np.zeros(shape, dtype)
