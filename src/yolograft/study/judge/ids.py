"""What the ids in prediction files mean: found out against the ground truth, said, never guessed.

Tools disagree. COCO's own format has the ids of the ground truth; ultralytics and YOLOv5 write the file stem
for an image, and count the classes from 0 or from 1. Where several readings are possible, the one under which
the boxes agree with the ground truth counts, if it does so by far; otherwise the user must say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from yolograft.errors import StudyError
from yolograft.metrics.coco import xywh as xywh_of
from yolograft.metrics.matches import pair_iou
from yolograft.study.judge.predictions import Predictions
from yolograft.study.judge.truth import Truth

ImageIds = Literal["ids", "names"]
CategoryIds = Literal["ids", "0", "1"]
IMAGE_IDS: tuple[ImageIds, ...] = ("ids", "names")
CATEGORY_IDS: tuple[CategoryIds, ...] = ("ids", "0", "1")
# Boxes looked at per image to compare readings, and the agreement that settles it.
_BOXES_PER_IMAGE, _AGREE_IOU = 50, 0.5
_FACTOR, _LEAST = 2, 5

_I64 = NDArray[np.int64]
_Mode = TypeVar("_Mode", ImageIds, CategoryIds)


@dataclass(frozen=True, slots=True)
class Reading:
    """How the ids of one group of files are read.

    images, categories: which reading. agreeing, compared: predicted boxes whose class is right under it, of
    those that lie on a box of the ground truth; 0 of 0 where only one reading was possible.
    """

    images: ImageIds
    categories: CategoryIds
    agreeing: int = 0
    compared: int = 0


def placed(
    truth: Truth,
    files: Sequence[Predictions],
    *,
    images: ImageIds | None = None,
    categories: CategoryIds | None = None,
) -> tuple[Reading, list[tuple[_I64, _I64]]]:
    """How the ids of the files of one tool are read, and (image, label) of each row of each file.

    Args:
        images, categories: the reading, where the user says it.

    Raises:
        StudyError: ids that the ground truth does not have, or that can be read in several ways (YG663).
    """
    image_reading, rows = _images(truth, files, images)
    category_reading, labels, agreeing, compared = _categories(truth, files, rows, categories)
    reading = Reading(image_reading, category_reading, agreeing, compared)
    return reading, list(zip(rows, labels, strict=True))


def _images(
    truth: Truth, files: Sequence[Predictions], asked: ImageIds | None
) -> tuple[ImageIds, list[_I64]]:
    modes: tuple[ImageIds, ...] = (asked,) if asked else IMAGE_IDS
    tables: dict[ImageIds, dict[str, int]] = {mode: table for mode in modes if (table := _keys(truth, mode))}
    used = {key for file in files for key in file.images}
    fits: dict[ImageIds, dict[str, int]] = {
        m: table for m, table in tables.items() if all(key in table for key in used)
    }
    if not fits:
        best = max(tables.values(), key=lambda table: sum(key in table for key in used), default={})
        strange = sorted(key for key in used if key not in best)
        cause = f"{len(strange)} of {len(used)} image ids are not in the ground truth, such as '{strange[0]}'"
        fix = "are these predictions for the images of --gt?"
        raise StudyError("YG663", cause, where=str(files[0].path), fix=fix)
    found: dict[ImageIds, list[_I64]] = {
        mode: [_looked_up(table, file.images) for file in files] for mode, table in fits.items()
    }
    first = next(iter(found))
    if len(found) == 1 or all(np.array_equal(a, b) for a, b in zip(*found.values(), strict=True)):
        return first, found[first]
    hits: dict[ImageIds, int] = {mode: len(_on_truth(truth, files, rows)[0]) for mode, rows in found.items()}
    return (chosen := _clear(hits, "image", "--image-ids ids or names", files)), found[chosen]


def _keys(truth: Truth, mode: ImageIds) -> dict[str, int]:
    """Index of an image by what a tool may call it; a name that two images share is left out."""
    if mode == "ids":
        return {str(identity): i for i, identity in enumerate(truth.images)}
    keys: dict[str, int] = {}
    shared: set[str] = set()
    for i, record in enumerate(truth.records):
        path = PurePosixPath(record.image_id)
        names = {record.image_id, path.name, path.stem}
        if path.stem.isdecimal() and path.stem.isascii() and len(path.stem) < 20:
            names.add(str(int(path.stem)))
        for name in names:
            if keys.setdefault(name, i) != i:
                shared.add(name)
    return {name: i for name, i in keys.items() if name not in shared}


def _looked_up(table: Mapping[str, int], keys: Sequence[str]) -> _I64:
    return np.fromiter((table[key] for key in keys), dtype=np.int64, count=len(keys))


def _categories(
    truth: Truth, files: Sequence[Predictions], rows: Sequence[_I64], asked: CategoryIds | None
) -> tuple[CategoryIds, list[_I64], int, int]:
    used = np.unique(np.concatenate([file.categories for file in files] or [np.zeros(0, np.int64)]))
    modes: tuple[CategoryIds, ...] = (asked,) if asked else CATEGORY_IDS
    maps: dict[CategoryIds, _I64] = {mode: _labels(truth, mode, used) for mode in modes}
    fits: dict[CategoryIds, _I64] = {}
    for mode, labels in maps.items():
        if (labels >= 0).all() and not any(np.array_equal(labels, other) for other in fits.values()):
            fits[mode] = labels
    if not fits:
        known = set(truth.categories)
        strange = next((int(c) for c in used if int(c) not in known), int(used[0]))
        cause = f"category id {strange} is none of the {len(known)} categories of the ground truth"
        fix = "predict the classes of --gt, or say --category-ids ids, 0 or 1"
        raise StudyError("YG663", cause, where=str(files[0].path), fix=fix)
    chosen, agreeing, compared = next(iter(fits)), 0, 0
    if len(fits) > 1:
        seen, true = _on_truth(truth, files, rows)
        place = np.searchsorted(used, seen)
        hits: dict[CategoryIds, int] = {
            mode: int((labels[place] == true).sum()) for mode, labels in fits.items()
        }
        chosen = _clear(hits, "category", "--category-ids ids, 0 or 1", files)
        agreeing, compared = hits[chosen], len(seen)
    return chosen, [fits[chosen][np.searchsorted(used, f.categories)] for f in files], agreeing, compared


def _labels(truth: Truth, mode: CategoryIds, used: _I64) -> _I64:
    """The label of each used id under one reading, -1 where it has none."""
    if mode == "ids":
        table = {number: label for label, number in enumerate(truth.categories)}
        return np.array([table.get(number, -1) for number in used.tolist()], dtype=np.int64)
    labels = used - int(mode)
    return np.where((labels >= 0) & (labels < len(truth.names)), labels, -1)


def _clear(hits: Mapping[_Mode, int], what: str, option: str, files: Sequence[Predictions]) -> _Mode:
    """The reading under which far more boxes agree than under any other."""
    best, *others = sorted(hits, key=lambda mode: -hits[mode])
    if hits[best] < _FACTOR * hits[others[0]] + _LEAST:
        shown = ", ".join(f"{hits[mode]} as {mode}" for mode in hits)
        cause = f"the {what} ids can be read in {len(hits)} ways; boxes that agree: {shown}"
        raise StudyError("YG663", cause, where=str(files[0].path), fix=f"say {option}")
    return best


def _on_truth(truth: Truth, files: Sequence[Predictions], rows: Sequence[_I64]) -> tuple[_I64, _I64]:
    """(category id, true label) of the best-scored predicted boxes that lie on a box at IoU .5."""
    seen: list[_I64] = [np.zeros(0, np.int64)]
    true: list[_I64] = [np.zeros(0, np.int64)]
    for file, image in zip(files, rows, strict=True):
        order = np.lexsort((-file.score, image))
        starts = np.flatnonzero(np.diff(image[order], prepend=-1))
        for start, stop in zip(starts, [*starts[1:], len(order)], strict=True):
            chosen = order[start : min(stop, start + _BOXES_PER_IMAGE)]
            record = truth.records[int(image[order[start]])]
            plain = ~record.crowd
            if not plain.any():
                continue
            boxes, labels = xywh_of(record.boxes[plain]), record.labels[plain]
            d, g = (part.ravel() for part in np.indices((len(chosen), len(boxes))))
            iou = pair_iou(file.xywh[chosen][d], boxes[g], np.zeros(len(g), bool)).reshape(-1, len(boxes))
            on = iou.max(axis=1) >= _AGREE_IOU
            seen.append(file.categories[chosen][on])
            true.append(labels[iou.argmax(axis=1)][on])
    return np.concatenate(seen), np.concatenate(true)
