"""One file of predictions: COCO result JSON of any tool, or our own `detections.npz`."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolograft.errors import StudyError
from yolograft.metrics.detections import DetectionTable
from yolograft.study.judge.bounded import MOST_JSON, check_file, read_document

_F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """Predictions of one run, in file order, before ids are understood.

    images: image id of each row as text. categories: int64 [D]. xywh: float64 [D, 4], original pixels.
    score: float64 [D]. sha256: of the file. table: our own table, where the file is one.
    """

    path: Path
    images: tuple[str, ...]
    categories: NDArray[np.int64]
    xywh: _F64
    score: _F64
    sha256: str
    table: DetectionTable | None = None

    def __len__(self) -> int:
        return len(self.score)


def read_predictions(path: Path) -> Predictions:
    """Read one file; a run that found nothing is an empty list.

    Raises:
        StudyError: it is missing, too large or unreadable (YG660), or a row is no prediction (YG662).
        DataError: our own table is damaged.
    """
    check_file(path, most=MOST_JSON)
    if path.suffix.lower() == ".npz":
        table = DetectionTable.load(path)
        label = table.label.astype(np.int64)
        images = tuple(str(i) for i in table.image.tolist())
        score = table.score.astype(np.float64)
        boxes = table.boxes.astype(np.float64)
        xywh = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
        for wrong, cause in (((xywh[:, 2:] < 0).any(axis=1), "a box with a negative side"),
                             (score > 1, "score is no number from 0 to 1")):  # fmt: skip
            if wrong.any():
                raise _wrong(int(wrong.argmax()), cause, path)
        return Predictions(path, images, label, xywh, score, sha256_of(path), table)
    rows = read_document(path)
    if isinstance(rows, dict) and {"images", "categories"} <= rows.keys():
        raise StudyError(
            "YG662", "ground truth, not predictions", where=str(path), fix="--gt takes this file"
        )
    if not isinstance(rows, list):
        cause = "no list of predictions"
        fix = "a list of image_id, category_id, bbox, score"
        raise StudyError("YG662", cause, where=str(path), fix=fix)
    read = [_row(row, place, path) for place, row in enumerate(rows)]
    return Predictions(
        path=path,
        images=tuple(image for image, *_ in read),
        categories=np.array([category for _, category, *_ in read], dtype=np.int64),
        xywh=np.array([box for *_, box, _ in read], dtype=np.float64).reshape(-1, 4),
        score=np.array([score for *_, score in read], dtype=np.float64),
        sha256=sha256_of(path),
    )


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, as hexadecimal text."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _row(row: Any, place: int, path: Path) -> tuple[str, int, tuple[float, ...], float]:
    if not isinstance(row, dict):
        raise _wrong(place, "no entry with image_id, category_id, bbox, score", path)
    fields: list[Any] = [row.get(key) for key in ("image_id", "category_id", "bbox", "score")]
    image, category, box, score = fields
    if isinstance(image, bool) or not isinstance(image, int | str):
        raise _wrong(place, "image_id is missing or no number or text", path)
    if isinstance(category, bool) or not isinstance(category, int) or abs(category) > 1 << 31:
        raise _wrong(place, "category_id is missing or no whole number", path)
    if not isinstance(box, list) or len(box) != 4 or not all(map(_small, box)):
        raise _wrong(place, "bbox is no x, y, width, height", path)
    if box[2] < 0 or box[3] < 0:
        raise _wrong(place, "bbox has a negative side: x, y, width, height belong there", path)
    if not _small(score) or not 0 <= score <= 1:
        raise _wrong(place, "score is no number from 0 to 1", path)
    return str(image), category, tuple(map(float, box)), float(score)


def _small(value: Any) -> bool:
    """A number that float32 holds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and abs(value) < 1e30 if isinstance(value, float) else abs(value) < 10**30


def _wrong(place: int, cause: str, path: Path) -> StudyError:
    return StudyError("YG662", f"prediction {place}: {cause}", where=str(path))
