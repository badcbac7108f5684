"""From annotation rows to an `ImageRecord`: the rules for boxes, the same for every format."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from yolograft.data.findings import finding
from yolograft.data.headers import image_size
from yolograft.data.records import Finding, ImageRecord

# Files round their numbers: a box this little outside (pixels) is clipped without a word.
SILENT_OVERHANG = 0.5


class Row(NamedTuple):
    """One annotation row as read.

    box: xyxy, original pixels, or None when the row could not be read (its finding is already made).
    label: class index; -1 or any index out of range when the dataset does not declare the class.
    class_name: the class as written, for messages.
    area: the annotation's own area, or None.
    line: 1-based line in the annotation file, 0 where lines mean nothing.
    """

    box: tuple[float, float, float, float] | None
    label: int
    class_name: str
    crowd: bool = False
    area: float | None = None
    line: int = 0


def measured_size(path: Path, *, image_id: str) -> tuple[tuple[int, int] | None, list[Finding]]:
    """((height, width), findings) of an image file; None when the image is missing or unreadable."""
    try:
        size = image_size(path)
    except OSError:
        return None, [finding("YG317", image_id, 0, "the image file does not exist")]
    if size is None:
        return None, [finding("YG318", image_id, 0, "not a readable image")]
    return size, []


def annotated_size(
    annotated: tuple[int, int] | None, measured: tuple[int, int], *, file: str, image_id: str
) -> list[Finding]:
    """A finding when an annotation states another (height, width) than its image has."""
    if annotated is None or annotated == measured:
        return []
    stated, real = (f"{size[1]}x{size[0]}" for size in (annotated, measured))
    return [
        finding("YG319", file, 0, f"{image_id}: annotated as {stated} (width x height), the image is {real}")
    ]


def record_of(
    rows: Sequence[Row], *, image_id: str, path: Path, size: tuple[int, int], classes: int, file: str
) -> tuple[ImageRecord, list[Finding]]:
    """The record of one image and what was found in its rows.

    Args:
        rows: all annotation rows of the image, unusable ones included, in file order.
        image_id: path relative to the dataset root, posix separators.
        path: absolute path of the image.
        size: (height, width) of the decoded image.
        classes: number of declared classes.
        file: the annotation file as findings name it.
    """
    found: list[Finding] = []
    kept: list[tuple[Row, tuple[float, float, float, float]]] = []
    per_class = [0] * classes
    for row in rows:
        if 0 <= row.label < classes:
            per_class[row.label] += 1
        box = _usable(row, size=size, classes=classes, file=file, image_id=image_id, found=found)
        if box is not None:
            kept.append((row, box))
    boxes = np.array([box for _, box in kept], dtype=np.float64).reshape(-1, 4)
    sizes = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    own = [math.nan if row.area is None else row.area for row, _ in kept]
    area = np.array(own, dtype=np.float64)
    record = ImageRecord(
        image_id=image_id,
        path=path,
        height=size[0],
        width=size[1],
        boxes=boxes,
        labels=np.array([row.label for row, _ in kept], dtype=np.int64),
        crowd=np.array([row.crowd for row, _ in kept], dtype=np.bool_),
        area=np.where(np.isfinite(area) & (area > 0), area, sizes),
        rows=len(rows),
        rows_per_class=tuple(per_class),
    )
    return record, found


def _usable(
    row: Row, *, size: tuple[int, int], classes: int, file: str, image_id: str, found: list[Finding]
) -> tuple[float, float, float, float] | None:
    """The row's box clipped to the image, or None; says why in `found`."""
    if row.box is None:
        return None
    at = f"{image_id}: " if row.line == 0 else ""
    if not all(math.isfinite(value) for value in row.box):
        found.append(finding("YG311", file, row.line, f"{at}box {_show(row.box)} is not finite"))
        return None
    if not 0 <= row.label < classes:
        message = f"{at}class '{row.class_name}' is not one of the {classes} declared"
        found.append(finding("YG312", file, row.line, message))
        return None
    height, width = size
    x1, y1, x2, y2 = row.box
    clipped = (max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height)))
    if clipped[2] <= clipped[0] or clipped[3] <= clipped[1]:
        message = f"{at}box {_show(row.box)} has no area in the {width}x{height} image"
        found.append(finding("YG313", file, row.line, message))
        return None
    overhang = max(abs(a - b) for a, b in zip(row.box, clipped, strict=True))
    if overhang > SILENT_OVERHANG:
        message = f"{at}box {_show(row.box)} reaches out of the {width}x{height} image; clipped"
        found.append(finding("YG314", file, row.line, message))
    return clipped


def _show(box: tuple[float, float, float, float]) -> str:
    return "(" + ", ".join(f"{value:.6g}" for value in box) + ")"
