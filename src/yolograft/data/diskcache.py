"""Decoded images kept on disk: one memory-mapped file for a list of images at one network size.

The file holds one uint64 an image (0, or a marked CRC-32 of its pixels) and then the pixels of all
images, uint8 RGB, one after the other; where each begins follows from the sizes, so nothing is parsed. Its
name is a SHA-256 over what the pixels depend on, so under one name only one content is possible: an image
that changed has another name, several processes may fill a file at once and write equal bytes, and an
entry half written or damaged fails its checksum and is made again. Deleting the folder is always safe.
"""

from __future__ import annotations

import hashlib
import mmap
import shutil
import zlib
from collections.abc import Sequence
from io import FileIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from yolograft.data.images import DECODER_VERSION, Image, fitted_size
from yolograft.data.outside import holding
from yolograft.data.records import ImageRecord
from yolograft.data.shapes import cache_folder
from yolograft.errors import DataError

# Share of the free disk that the images still to be written may take.
DISK_SHARE = 0.5
# Above the 32 bits of the checksum: tells an entry whose checksum is 0 from one not yet written.
_WRITTEN = 1 << 32
# One entry of the index at the front of the file: its numpy type and its bytes.
_ENTRY, _ENTRY_BYTES = "<u8", 8


class DiskCache:
    """Images of records at network scale, read from and written to a file in `folder`.

    Whatever stands in the way (no room, no permission) costs time, not the run: `note` then says what,
    and images are decoded as without a cache.

    Args:
        records: the images, asked for by position.
        imgsz: (H, W) the images fit into, pixels.
        folder: outside the dataset; ``images`` in the user's cache folder when None.

    Raises:
        DataError: YG356 when the folder lies inside the dataset.
    """

    def __init__(
        self, records: Sequence[ImageRecord], *, imgsz: tuple[int, int], folder: Path | None = None
    ) -> None:
        where = cache_folder() / "images" if folder is None else folder.expanduser()
        _refuse_inside_dataset(where.resolve(), records)
        self._shapes = [(*fitted_size((r.height, r.width), imgsz), 3) for r in records]
        sizes = [height * width * depth for height, width, depth in self._shapes]
        self._records = tuple(records)
        self._starts = _ENTRY_BYTES * len(sizes) + np.cumsum([0, *sizes], dtype=np.int64)
        self._keys = [_key(record) for record in records]
        self.file = where / f"{_content_name(self._keys, imgsz)}.pixels"
        self.note = ""
        self._writes = True
        self._views: dict[int, Image] = {}
        self._map: mmap.mmap | None = None
        try:
            self._open()
        except OSError as error:
            self._give_up(str(error.strerror or error))

    def __getstate__(self) -> dict[str, Any]:
        # A map belongs to its process; a worker started by spawn opens the file again.
        return {**self.__dict__, "_map": None, "_views": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        try:
            self._open()
        except OSError as error:
            self._give_up(str(error.strerror or error))

    def read(self, index: int) -> Image | None:
        """The image of record `index`, read-only, or None when the file does not hold it unharmed."""
        view = self._views.get(index)
        if view is not None or self._map is None:
            return view
        entry = int(np.frombuffer(self._map, _ENTRY, count=1, offset=index * _ENTRY_BYTES)[0])
        if not entry:
            return None
        start, stop = int(self._starts[index]), int(self._starts[index + 1])
        pixels = np.frombuffer(self._map, np.uint8, count=stop - start, offset=start)
        # Checked once a process: what was whole stays so, nobody writes other bytes under this name.
        if entry != _checksum(pixels):
            return None
        view = self._views[index] = pixels.reshape(self._shapes[index])
        return view

    def write(self, index: int, image: Image) -> None:
        """Keep the image of record `index`; a failure ends writing and is noted."""
        # An image replaced since the file was named does not belong under that name.
        if not self._writes or _key(self._records[index]) != self._keys[index]:
            return
        pixels = np.ascontiguousarray(image)
        entry = np.array([_checksum(pixels)], _ENTRY)
        try:
            # Not through the map: a full disk is an error here and would end the process there.
            with self.file.open("r+b", buffering=0) as file:
                _write_at(file, int(self._starts[index]), pixels)
                _write_at(file, index * _ENTRY_BYTES, entry)
        except OSError as error:
            self._give_up(str(error.strerror or error))

    def _open(self) -> None:
        total = int(self._starts[-1])
        if not total:
            self._writes = False
            return
        self.file.parent.mkdir(parents=True, exist_ok=True)
        missing = total - (_stored_bytes(self.file) if self.file.exists() else 0)
        room = int(free_disk_bytes(self.file.parent) * DISK_SHARE)
        if missing > room:
            self._give_up(f"{missing / 2**20:.0f} MiB are more than half of the free space")
        if self._writes and (not self.file.exists() or self.file.stat().st_size != total):
            # Growing a file to the size it already has harms no process that fills it.
            with self.file.open("ab") as file:
                file.truncate(total)
        if self.file.exists() and self.file.stat().st_size == total:
            with self.file.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), total, access=mmap.ACCESS_READ)

    def _give_up(self, why: str) -> None:
        self._writes = False
        self.note = f"images are not kept in {self.file.parent}: {why}"


def free_disk_bytes(folder: Path) -> int:
    """Bytes free on the disk of an existing folder."""
    return shutil.disk_usage(folder).free


def _stored_bytes(file: Path) -> int:
    # The file is grown at once and filled later: where the system tells, count what really lies on disk.
    status = file.stat()
    return min(getattr(status, "st_blocks", 0) * 512, status.st_size)


def _checksum(pixels: NDArray[np.uint8]) -> int:
    return zlib.crc32(pixels.data) | _WRITTEN


def _write_at(file: FileIO, position: int, values: NDArray[Any]) -> None:
    file.seek(position)
    left = values.data.cast("B")
    while left:
        left = left[file.write(left) :]


def _key(record: ImageRecord) -> bytes:
    """SHA-256 over what the pixels of one image depend on."""
    try:
        status = record.path.stat()
        state = f"{status.st_size}|{status.st_mtime_ns}"
    except OSError:
        # Decoding it will say what is wrong, if anybody asks for it.
        state = "missing"
    text = f"{record.path}|{state}|{record.height}x{record.width}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _content_name(keys: Sequence[bytes], imgsz: tuple[int, int]) -> str:
    how = f"{DECODER_VERSION}|{cv2.__version__}|{imgsz[0]}x{imgsz[1]}|"
    return hashlib.sha256(how.encode() + b"".join(keys)).hexdigest()


def _refuse_inside_dataset(folder: Path, records: Sequence[ImageRecord]) -> None:
    parents: dict[Path, set[Path]] = {}
    for record in records:
        parents.setdefault(_root(record), set()).add(record.path.parent)
    for root, folders in parents.items():
        if holding(folder, root, folders) is not None:
            cause = "the image cache would lie inside the dataset folder, which is never written to"
            raise DataError(
                "YG356", cause, where=str(folder), fix="name a folder outside it or use --cache ram"
            )


def _root(record: ImageRecord) -> Path:
    """The dataset folder: an image's path without its id where it ends in it, else the image's folder."""
    parts = Path(record.image_id).parts
    inside = record.path.parts[-len(parts) :] == parts
    return record.path.parents[len(parts) - 1] if inside else record.path.parent
