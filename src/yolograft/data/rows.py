"""From annotation rows to an `ImageRecord`: the rules for boxes, the same for every format."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from yolograft.data.findings import finding
from yolograft.data.headers import read_header, suffix_fits
from yolograft.data.rasters import FRAMES, TURNED
from yolograft.data.records import Finding, ImageRecord

# Files round their numbers: a box this little outside (pixels) is clipped without a word.
SILENT_OVERHANG = 0.5
# Below this side (pixels) a whole image is so small that a box within one pixel may be meant.
SMALLEST_SCALED = 8

Box = tuple[float, float, float, float]


class Row(NamedTuple):
    """One annotation row as read.

    box: xyxy, original pixels, or None when the row could not be read (its finding is already made).
    label: class index; -1 or any index out of range when the dataset does not declare the class.
    class_name: the class as written, for messages.
    crowd: an ignore region: never trained on, and detections inside it count neither way.
    every_class: a crowd region for all classes; `label` means nothing then.
    area: the annotation's own area, or None.
    line: 1-based line in the annotation file, 0 where lines mean nothing.
    """

    box: Box | None
    label: int
    class_name: str
    crowd: bool = False
    every_class: bool = False
    area: float | None = None
    line: int = 0


def measured_size(path: Path, *, image_id: str) -> tuple[tuple[int, int] | None, list[Finding]]:
    """((height, width), findings) of an image file; None when the image is missing or unreadable."""
    try:
        header = read_header(path)
    except OSError as error:
        return None, [finding("YG317", image_id, 0, f"the image cannot be opened: {error.strerror}")]
    except ValueError:
        return None, [finding("YG317", image_id, 0, "no file can have this name")]
    kind, size = header.kind or "image", header.size
    if not header.whole:
        return None, [finding("YG329", image_id, 0, f"the {kind} file ends too early")]
    if size is None:
        empty = path.stat().st_size == 0
        return None, [finding("YG318", image_id, 0, "the file is empty" if empty else "not a readable image")]
    found: list[Finding] = []
    if not suffix_fits(path, header.kind):
        found.append(finding("YG336", image_id, 0, f"a {kind} file by its content; read as that"))
    converted = [trait for trait in header.traits if trait not in (FRAMES, TURNED)]
    if converted:
        found.append(finding("YG337", image_id, 0, f"{', '.join(converted)}; converted to 8-bit RGB"))
    if FRAMES in header.traits:
        found.append(finding("YG339", image_id, 0, "several frames or pages; the first one is used"))
    if TURNED in header.traits:
        message = f"turned by its EXIF orientation to {size[1]}x{size[0]}; boxes are read in that image"
        found.append(finding("YG345", image_id, 0, message))
    return size, found


def annotated_size(
    annotated: tuple[int, int] | None, measured: tuple[int, int], *, file: str, image_id: str
) -> list[Finding]:
    """A finding when an annotation states another (height, width) than its image has."""
    if annotated is None or annotated == measured:
        return []
    stated, real = (f"{size[1]}x{size[0]}" for size in (annotated, measured))
    turned = "; was it annotated before it was turned?" if annotated == measured[::-1] else ""
    message = f"{image_id}: annotated as {stated} (width x height), the image is {real}{turned}"
    return [finding("YG319", file, 0, message)]


def record_of(
    rows: Sequence[Row],
    *,
    image_id: str,
    path: Path,
    size: tuple[int, int],
    classes: int,
    file: str,
    in_pixels: bool = True,
) -> tuple[ImageRecord, list[Finding]]:
    """The record of one image and what was found in its rows.

    Args:
        rows: all annotation rows of the image, unusable ones included, in file order.
        image_id: path relative to the dataset root, posix separators.
        path: absolute path of the image.
        size: (height, width) of the decoded image.
        classes: number of declared classes.
        file: the annotation file as findings name it.
        in_pixels: whether the file holds pixels; then a box of fractions is on the wrong scale.
    """
    found: list[Finding] = []
    kept: list[tuple[Row, int, Box]] = []
    per_class = [0] * classes
    seen: set[tuple[object, ...]] = set()
    for row in rows:
        if 0 <= row.label < classes and not row.every_class:
            per_class[row.label] += 1
        at = f"{image_id}: " if row.line == 0 else ""
        box = _usable(row, at, size=size, classes=classes, file=file, in_pixels=in_pixels, found=found)
        if box is None:
            continue
        same = (row.box, row.every_class or row.label, row.crowd)
        if same in seen:
            message = f"{at}box {_show(box)} of class '{row.class_name}' stands there twice"
            found.append(finding("YG346", file, row.line, message))
            continue
        seen.add(same)
        # COCO evaluation matches class by class, so a region for all of them is one region for each.
        kept += [(row, label, box) for label in (range(classes) if row.every_class else (row.label,))]
    boxes = np.array([box for _, _, box in kept], dtype=np.float64).reshape(-1, 4)
    sizes = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    area = np.array([math.nan if row.area is None else row.area for row, _, _ in kept], dtype=np.float64)
    record = ImageRecord(
        image_id=image_id,
        path=path,
        height=size[0],
        width=size[1],
        boxes=boxes,
        labels=np.array([label for _, label, _ in kept], dtype=np.int64),
        crowd=np.array([row.crowd for row, _, _ in kept], dtype=np.bool_),
        area=np.where(np.isfinite(area) & (area > 0), area, sizes),
        rows=len(rows),
        rows_per_class=tuple(per_class),
    )
    return record, found


def _usable(
    row: Row,
    at: str,
    *,
    size: tuple[int, int],
    classes: int,
    file: str,
    in_pixels: bool,
    found: list[Finding],
) -> Box | None:
    """The row's box clipped to the image, or None; says why in `found`."""
    if row.box is None:
        return None

    def say(code: str, message: str) -> None:
        found.append(finding(code, file, row.line, at + message))

    if not all(map(math.isfinite, row.box)):
        return say("YG311", f"box {_show(row.box)} is not finite")
    if not (row.every_class or 0 <= row.label < classes):
        return say("YG312", f"class '{row.class_name}' is not one of the {classes} declared")
    height, width = size
    x1, y1, x2, y2 = row.box
    clipped = (max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height)))
    if clipped[2] <= clipped[0] or clipped[3] <= clipped[1]:
        return say("YG313", f"box {_show(row.box)} has no area in the {width}x{height} image")
    if in_pixels and min(size) >= SMALLEST_SCALED and min(row.box) >= 0 and max(row.box) <= 1:
        return say("YG338", f"box {_show(row.box)} holds fractions, pixels of the image belong there")
    overhang = max(abs(a - b) for a, b in zip(row.box, clipped, strict=True))
    if overhang > SILENT_OVERHANG:
        say("YG314", f"box {_show(row.box)} reaches out of the {width}x{height} image; clipped")
    return clipped


def _show(box: Box) -> str:
    return "(" + ", ".join(f"{value:.6g}" for value in box) + ")"
