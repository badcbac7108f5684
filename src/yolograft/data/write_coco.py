"""Writing COCO JSON: annotations/instances_SPLIT.json, images in SPLIT/.

Areas, crowd marks and the edges left and top come back bit for bit. The width written is the one that,
added to x, gives the right edge again; where rounding leaves none, the edge is off by its last bit.
Source: cocodataset.org, "Data format".
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from yolograft.data.placed import Placed


def coco_image(split: str, name: str) -> PurePosixPath:
    """Where an image lies in the folder."""
    return PurePosixPath(split, name)


def write_coco(folder: Path, splits: Mapping[str, Sequence[Placed]], *, names: Sequence[str]) -> None:
    """Write one JSON file a split into `folder`; ids count from 1 in every file."""
    (folder / "annotations").mkdir()
    for split, images in splits.items():
        text = json.dumps(_document(images, names), ensure_ascii=False, allow_nan=False)
        path = folder / "annotations" / f"instances_{split}.json"
        # Half a character, which JSON can hold and UTF-8 cannot, is written as the escape it came from.
        path.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")


def _document(images: Sequence[Placed], names: Sequence[str]) -> dict[str, Any]:
    listed: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, (record, name) in enumerate(images, start=1):
        listed.append({"id": number, "file_name": name, "height": record.height, "width": record.width})
        fields = (record.boxes, record.labels, record.crowd, record.area)
        rows = zip(*(field.tolist() for field in fields), strict=True)
        for (x1, y1, x2, y2), label, crowd, area in rows:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": label + 1,
                    "bbox": [x1, y1, extent(x1, x2), extent(y1, y2)],
                    "area": area,
                    "iscrowd": int(crowd),
                    "segmentation": [],
                }
            )
    categories = [
        {"id": label, "name": name, "supercategory": ""} for label, name in enumerate(names, start=1)
    ]
    return {"images": listed, "annotations": annotations, "categories": categories}


def extent(low: float, high: float) -> float:
    """The extent that gives `high` again when added to `low`; the nearest where there is none."""
    plain = high - low
    around = (plain, math.nextafter(plain, math.inf), math.nextafter(plain, 0.0))
    return next((value for value in around if low + value == high), plain)
