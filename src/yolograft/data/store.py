"""The images of a split at network scale with their boxes, kept in memory or on disk once decoded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from yolograft.data.diskcache import DiskCache
from yolograft.data.images import Image, decode_file, fitted_size, resize
from yolograft.data.memory import available_bytes
from yolograft.data.records import ImageRecord
from yolograft.errors import DataError

# Share of the memory free at the start that cached images may fill.
CACHE_SHARE = 0.25


class Scaled(NamedTuple):
    """An image at network scale and how it got there: original pixels * scale = its pixels."""

    image: Image
    scale: tuple[float, float]


class ImageStore:
    """Images of records at network scale (long side fits `imgsz`, ratio kept), RGB uint8.

    Args:
        records: the images, asked for by position.
        imgsz: (H, W) the images fit into, pixels.
        cache: ``"ram"`` keeps resized images up to the limit, ``"disk"`` in a file shared by all
            processes and runs, ``"none"`` decodes each time. Results are the same, bit for bit.
        cache_dir: folder of the files of ``"disk"``, outside the dataset; in the user's cache folder
            when None.
        limit_bytes: most bytes to keep in memory; a quarter of the memory available now when None.

    Raises:
        DataError: YG332 for an unknown cache, YG356 when `cache_dir` lies inside the dataset.
    """

    def __init__(
        self,
        records: Sequence[ImageRecord],
        *,
        imgsz: tuple[int, int],
        cache: str = "ram",
        cache_dir: Path | None = None,
        limit_bytes: int | None = None,
    ) -> None:
        if cache not in ("ram", "disk", "none"):
            raise DataError("YG332", f"unknown cache '{cache}'", fix="use ram, disk or none")
        self.records = tuple(records)
        self.imgsz = imgsz
        limit = int(available_bytes() * CACHE_SHARE) if limit_bytes is None else limit_bytes
        self._room = limit if cache == "ram" else 0
        self._kept: dict[int, Image] = {}
        self._disk = DiskCache(self.records, imgsz=imgsz, folder=cache_dir) if cache == "disk" else None
        self._targets: dict[int, tuple[NDArray[np.float64], NDArray[np.int64]]] = {}

    @property
    def note(self) -> str:
        """Why images are decoded each time although a cache was asked for; empty when all is well."""
        return self._disk.note if self._disk is not None else ""

    def __len__(self) -> int:
        return len(self.records)

    def __getstate__(self) -> dict[str, Any]:
        # A worker started by spawn fills its own cache; sending pixels would cost more than decoding.
        kept = sum(image.nbytes for image in self._kept.values())
        return {**self.__dict__, "_kept": {}, "_room": self._room + kept}

    def __getitem__(self, index: int) -> Scaled:
        """The image of record `index`; treat it as read-only.

        Raises:
            DataError: YG330 when the file is damaged, YG333 when it is no longer the image that was read.
        """
        record = self.records[index]
        image = self._kept.get(index)
        if image is None and self._disk is not None:
            image = self._disk.read(index)
        if image is None:
            image = _decoded(record, self.imgsz)
            if self._disk is not None:
                self._disk.write(index, image)
            elif image.nbytes <= self._room:
                image.flags.writeable = False
                self._kept[index] = image
                self._room -= image.nbytes
        return Scaled(image, (image.shape[0] / record.height, image.shape[1] / record.width))

    def targets(self, index: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """(boxes [N, 4] xyxy in pixels of ``self[index].image``, labels [N]) to train on: no crowd."""
        found = self._targets.get(index)
        if found is None:
            record = self.records[index]
            size = (record.height, record.width)
            resized, real = fitted_size(size, self.imgsz), ~record.crowd
            sy, sx = resized[0] / size[0], resized[1] / size[1]
            found = self._targets[index] = (record.boxes[real] * (sx, sy, sx, sy), record.labels[real])
        return found


def _decoded(record: ImageRecord, imgsz: tuple[int, int]) -> Image:
    whole = decode_file(record.path)
    if whole.shape[:2] != (record.height, record.width):
        cause = f"image is {whole.shape[1]}x{whole.shape[0]}, was read as {record.width}x{record.height}"
        raise DataError("YG333", cause, where=str(record.path), fix="open the dataset again")
    return resize(whole, fitted_size(whole.shape[:2], imgsz))
