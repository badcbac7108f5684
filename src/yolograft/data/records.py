"""The one in-memory form of a dataset; every reader produces exactly this.

Frames: boxes are xyxy in original pixels (the decoded image, EXIF orientation applied).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from yolograft.errors import DataError


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing `data check` has to say about one place in a dataset.

    action: ``kept``, ``corrected``, ``dropped`` (this box or image is not used) or ``refused``.
    """

    file: str
    line: int
    code: str
    message: str
    action: str


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One image and its boxes.

    image_id: path of the image relative to the dataset root, posix separators; unique, stable.
    path: absolute path of the image file.
    height, width: original pixels.
    boxes: float64 [N, 4] xyxy, original pixels; only usable boxes.
    labels: int64 [N]. crowd: bool [N] (ignore regions: never trained on, matched as COCO crowd).
    area: float64 [N], the annotation's own area where the format has one, else box area.
    rows: annotation rows in the file, unusable ones included; rows_per_class counts them by class.
    """

    image_id: str
    path: Path
    height: int
    width: int
    boxes: NDArray[np.float64]
    labels: NDArray[np.int64]
    crowd: NDArray[np.bool_]
    area: NDArray[np.float64]
    rows: int
    rows_per_class: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset as read: class names, splits and everything that was found odd on the way."""

    root: Path
    format: str
    names: tuple[str, ...]
    splits: dict[str, tuple[ImageRecord, ...]]
    findings: tuple[Finding, ...] = field(default=())

    def split(self, name: str) -> tuple[ImageRecord, ...]:
        """The records of one split; `val` also answers to `valid` and the reverse."""
        aliases = {"val": ("val", "valid", "validation"), "valid": ("valid", "val", "validation")}
        for candidate in aliases.get(name, (name,)):
            if candidate in self.splits:
                return self.splits[candidate]
        raise self._no_split(f"no split '{name}'")

    @property
    def eval_split(self) -> str:
        """The split results are measured on: val (or valid), else test.

        Raises:
            DataError: there is neither (YG304).
        """
        for name in ("val", "valid", "validation", "test"):
            if name in self.splits:
                return name
        raise self._no_split("no val, valid or test split to measure on")

    def _no_split(self, cause: str) -> DataError:
        return DataError("YG304", cause, where=str(self.root), fix=f"splits here: {', '.join(self.splits)}")

    def fingerprint(self, split: str) -> str:
        """SHA-256 over ids, sizes and boxes of a split: the ground truth a result belongs to."""
        # A file name need not be UTF-8: what is not passes through unchanged.
        digest = hashlib.sha256("\0".join(self.names).encode("utf-8", "surrogatepass"))
        for record in self.split(split):
            about = f"{record.image_id}\0{record.height}x{record.width}"
            digest.update(about.encode("utf-8", "surrogatepass"))
            for array in (record.boxes, record.labels, record.crowd, record.area):
                digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()
