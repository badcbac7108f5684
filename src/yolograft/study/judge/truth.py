"""The ground truth that predictions are judged against: a COCO JSON, or any dataset we can read.

A COCO JSON is taken as COCO's own evaluator takes it: no box is clipped, dropped or merged, images are not
opened, and order is by image id. AP therefore equals pycocotools' (cocodataset.org, "Data format").
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from yolograft.data.records import ImageRecord
from yolograft.data.source import open_dataset
from yolograft.errors import StudyError
from yolograft.study.judge.bounded import read_document

Identity = int | str


@dataclass(frozen=True, slots=True)
class Truth:
    """records: one per image; boxes xyxy, original pixels. names: of the classes, by label.

    images: id of each image as the file has it, empty for a dataset without ids. categories: id of each
    class, by label. fingerprint: of our dataset, empty for a JSON file. area_missing: annotations whose area
    was not given and is that of the box.
    """

    source: Path
    records: tuple[ImageRecord, ...]
    names: tuple[str, ...]
    images: tuple[Identity, ...]
    categories: tuple[int, ...]
    fingerprint: str = ""
    area_missing: int = 0

    @property
    def boxes(self) -> int:
        """Boxes that count, crowd regions excluded."""
        return sum(int((~record.crowd).sum()) for record in self.records)


def read_truth(path: Path, *, split: str = "val") -> Truth:
    """A COCO JSON, or a dataset folder or data.yaml of which ``split`` is taken.

    Raises:
        StudyError: no such file (YG660), or it is no ground truth to judge by (YG661).
        DataError: the dataset cannot be read.
    """
    if path.suffix.lower() == ".json":
        truth = _from_coco(path, read_document(path))
    else:
        dataset = open_dataset(path)
        records = dataset.split(split)
        numbers = tuple(range(len(dataset.names)))
        truth = Truth(path, records, dataset.names, (), numbers, dataset.fingerprint(split))
    if not truth.boxes:
        raise StudyError("YG661", "no box to find in this ground truth: AP is undefined", where=str(path))
    return truth


def _from_coco(path: Path, document: Any) -> Truth:
    lists = ("images", "annotations", "categories")
    if not isinstance(document, dict) or not all(isinstance(document.get(key), list) for key in lists):
        cause = f"no COCO ground truth: it needs the lists {', '.join(lists)}"
        raise _refused(cause, path, fix="--gt takes the annotations, --base and --new the predictions")
    for key in lists:
        for place, item in enumerate(document[key]):
            if not isinstance(item, dict):
                raise _refused(f"{key}[{place}] is no entry", path)
    names = _categories(document["categories"], path)
    images = _images(document["images"], path)
    boxes: defaultdict[Identity, list[dict[str, Any]]] = defaultdict(list)
    for place, item in enumerate(document["annotations"]):
        identity, category = item.get("image_id"), item.get("category_id")
        if not isinstance(identity, int | str) or identity not in images:
            raise _refused(f"annotations[{place}] is of image {identity!r}, which is not listed", path)
        if isinstance(category, bool) or not isinstance(category, int) or category not in names:
            raise _refused(f"annotations[{place}] is of category {category!r}, which is not listed", path)
        boxes[identity].append(item)
    # COCO's evaluator goes through the images by id: equal scores stay in that order.
    order = sorted(images, key=lambda identity: (isinstance(identity, str), identity))
    labels = {category: label for label, category in enumerate(sorted(names))}
    missing = sum(item.get("area") is None for item in document["annotations"])
    return Truth(
        source=path,
        records=tuple(_record(images[i], boxes[i], labels, path) for i in order),
        names=tuple(names[category] for category in labels),
        images=tuple(order),
        categories=tuple(labels),
        area_missing=missing,
    )


def _categories(items: list[dict[str, Any]], path: Path) -> dict[int, str]:
    names: dict[int, str] = {}
    for place, item in enumerate(items):
        number = item.get("id")
        if isinstance(number, bool) or not isinstance(number, int) or number in names:
            raise _refused(f"categories[{place}] has the id {number!r}: whole numbers, none twice", path)
        names[number] = str(item.get("name", number))
    return names


def _images(items: list[dict[str, Any]], path: Path) -> dict[Identity, dict[str, Any]]:
    images: dict[Identity, dict[str, Any]] = {}
    for place, item in enumerate(items):
        identity = item.get("id")
        if isinstance(identity, bool) or not isinstance(identity, int | str) or identity in images:
            raise _refused(f"images[{place}] has the id {identity!r}: numbers or text, none twice", path)
        images[identity] = item
    return images


def _record(
    image: Mapping[str, Any], items: list[dict[str, Any]], labels: Mapping[int, int], path: Path
) -> ImageRecord:
    name = str(image.get("file_name") or image["id"]).replace("\\", "/")
    xywh = np.array([_box(item, path) for item in items], dtype=np.float64).reshape(-1, 4)
    label = np.array([labels[item["category_id"]] for item in items], dtype=np.int64)
    sides = xywh[:, 2] * xywh[:, 3]
    area = np.array([_area(item, path) for item in items], dtype=np.float64)
    return ImageRecord(
        image_id=name,
        path=path.parent / name,
        height=_side(image.get("height")),
        width=_side(image.get("width")),
        boxes=np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1),
        labels=label,
        crowd=np.array([_crowd(item) for item in items], dtype=np.bool_),
        area=np.where(np.isnan(area), sides, area),
        rows=len(items),
        rows_per_class=tuple(np.bincount(label, minlength=len(labels)).tolist()),
    )


def _box(item: Mapping[str, Any], path: Path) -> tuple[float, ...]:
    box = item.get("bbox")
    if isinstance(box, list) and len(box) == 4 and all(_is_number(value) for value in box):
        x, y, width, height = map(float, box)
        if width >= 0 and height >= 0:
            return x, y, width, height
    raise _refused(f"annotation {item.get('id')!r} has no bbox of x, y, width, height", path)


def _area(item: Mapping[str, Any], path: Path) -> float:
    area = item.get("area")
    if area is None:
        return math.nan
    if not _is_number(area):
        raise _refused(f"annotation {item.get('id')!r} has the area {area!r}", path)
    return float(area)


def _crowd(item: Mapping[str, Any]) -> bool:
    return item.get("iscrowd") in (1, True, "1")


def _side(value: Any) -> int:
    return int(value) if _is_number(value) and value > 0 else 0


def _is_number(value: Any) -> bool:
    """A finite number that float64 holds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < 1e300 if isinstance(value, int) else math.isfinite(value)


def _refused(cause: str, path: Path, *, fix: str = "") -> StudyError:
    return StudyError("YG661", cause, where=str(path), fix=fix)
