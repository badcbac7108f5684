"""All detections of one evaluation as flat arrays, kept on disk so that every number recomputes.

Frame of the boxes: xyxy, original pixels. The archive format is numpy's compressed npz without
pickled objects; settings and the ground-truth fingerprint travel as one JSON string.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolograft.errors import DataError
from yolograft.metrics.archive import read_bounded
from yolograft.types import Detections

_TYPES: Mapping[str, type] = {
    "image": np.int32, "label": np.int32, "score": np.float32, "boxes": np.float32,
}  # fmt: skip
# The largest file that is read, and what its arrays may take: real tables pack to a tenth at the least.
_MOST_FILE, _MOST_ARRAYS, _MOST_PACKED = 1 << 30, 1 << 28, 50


@dataclass(frozen=True, slots=True, eq=False)
class DetectionTable:
    """Detections of every image of one split, in evaluation order.

    image: int32 [D], index into the split's records, ascending when made by ``from_lists``.
    label: int32 [D], class index. score: float32 [D], finite and not negative.
    boxes: float32 [D, 4], xyxy, original pixels.
    images: number of images evaluated, those without detections included.
    settings: what produced the detections (confidence, IoU, input size ...), JSON values only.
    fingerprint: ``Dataset.fingerprint`` of the split, empty if unknown.

    Raises:
        DataError: YG361 when shapes disagree, an index is out of range or a number is not finite.
    """

    image: NDArray[np.int32]
    label: NDArray[np.int32]
    score: NDArray[np.float32]
    boxes: NDArray[np.float32]
    images: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    fingerprint: str = ""

    def __post_init__(self) -> None:
        count = len(self.image)
        shapes = (self.image.shape, self.label.shape, self.score.shape, self.boxes.shape)
        if shapes != ((count,), (count,), (count,), (count, 4)):
            raise DataError("YG361", f"detection arrays disagree: image, label, score, boxes are {shapes}")
        if count and (self.image.min() < 0 or self.image.max() >= self.images):
            raise DataError("YG361", f"a detection points outside the {self.images} images of the split")
        if not (np.isfinite(self.score).all() and np.isfinite(self.boxes).all()):
            raise DataError("YG361", "a detection has a score or a box that is not finite")
        if count and (self.score.min() < 0 or self.label.min() < 0):
            raise DataError("YG361", "a detection has a negative score or class index")

    def __len__(self) -> int:
        return len(self.image)

    @classmethod
    def from_lists(
        cls,
        detections: Sequence[Detections],
        *,
        settings: Mapping[str, Any] | None = None,
        fingerprint: str = "",
    ) -> DetectionTable:
        """One table from one ``Detections`` per image, in the order of the split's records."""
        sizes = [len(found.scores) for found in detections]
        boxes = [_flat(found.boxes, np.float32).reshape(-1, 4) for found in detections]
        score = [_flat(found.scores, np.float32) for found in detections]
        label = [_flat(found.labels, np.int32) for found in detections]
        return cls(
            image=np.repeat(np.arange(len(sizes), dtype=np.int32), np.asarray(sizes, dtype=np.int64)),
            label=np.concatenate([*label, np.zeros(0, np.int32)]),
            score=np.concatenate([*score, np.zeros(0, np.float32)]),
            boxes=np.concatenate([*boxes, np.zeros((0, 4), np.float32)]),
            images=len(sizes),
            settings=dict(settings or {}),
            fingerprint=fingerprint,
        )

    def save(self, path: Path) -> None:
        """Write the table to ``path`` (npz); the file appears whole or not at all."""
        about = {"images": self.images, "settings": dict(self.settings), "fingerprint": self.fingerprint}
        arrays = {"image": self.image, "label": self.label, "score": self.score, "boxes": self.boxes}
        write_archive(path, kind="detections", about=about, arrays=arrays)

    @classmethod
    def load(cls, path: Path) -> DetectionTable:
        """Read a table written by ``save``; DataError YG362 when the file is missing or damaged."""
        about, arrays = read_archive(path, kind="detections", names=tuple(_TYPES))
        images, settings = about.get("images"), about.get("settings")
        if type(images) is not int or not 0 <= images < 1 << 31 or not isinstance(settings, dict):
            raise DataError("YG362", "this detections table says nothing of its split", where=str(path))
        try:
            typed = {name: _as(values, _TYPES[name]) for name, values in arrays.items()}
        except ValueError as error:
            raise DataError("YG362", f"this detections table is damaged: {error}", where=str(path)) from error
        return cls(**typed, images=images, settings=settings, fingerprint=str(about.get("fingerprint", "")))


def _as(values: NDArray[Any], dtype: type) -> NDArray[Any]:
    """The values in the type a table keeps; ValueError where that would change what they say."""
    whole = np.issubdtype(dtype, np.integer)
    if values.dtype.kind not in ("iu" if whole else "f"):
        raise ValueError(f"an array of {values.dtype}, not of {dtype.__name__}")
    if whole and values.size and max(int(values.max()), -1 - int(values.min())) >= 1 << 31:
        raise ValueError(f"a number beyond {dtype.__name__}")
    return values.astype(dtype)


def _flat(tensor: Any, dtype: type) -> NDArray[Any]:
    return tensor.detach().cpu().numpy().astype(dtype)


def write_archive(
    path: Path, *, kind: str, about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
) -> None:
    """Write arrays and a JSON header to one npz, atomically (temporary file, then rename)."""
    header = json.dumps({"kind": kind, "version": 1, **about}, sort_keys=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez_compressed(file, allow_pickle=False, about=np.array([header]), **arrays)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read_archive(
    path: Path, *, kind: str, names: Sequence[str]
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The header and the named arrays of an archive; DataError YG362 when it is not what it should be."""
    try:
        most = _MOST_ARRAYS + _MOST_PACKED * path.stat().st_size
        found = read_bounded(path, file_bytes=_MOST_FILE, array_bytes=most)
        about = json.loads(str(found["about"][0]))
        arrays = {name: found.pop(name).copy() for name in names}
        if not isinstance(about, dict):
            raise ValueError("its header is no table")
    except (OSError, ValueError, LookupError, RecursionError) as error:
        raise DataError("YG362", f"cannot read this {kind} table: {error}", where=str(path)) from error
    if about.get("kind") != kind or about.get("version") != 1:
        found = f"{about.get('kind')} version {about.get('version')}"
        raise DataError("YG362", f"expected a {kind} table version 1, found {found}", where=str(path))
    return about, arrays
