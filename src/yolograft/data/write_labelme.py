"""Writing labelme JSON: SPLIT/NAME.json beside SPLIT/NAME.jpg, one rectangle a box, classes in labels.txt.

Corners are floats in pixels from 0 and come back bit for bit.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from yolograft.data.placed import Placed


def labelme_image(split: str, name: str) -> PurePosixPath:
    """Where an image lies in the folder."""
    return PurePosixPath(split, name)


def write_labelme(folder: Path, splits: Mapping[str, Sequence[Placed]], *, names: Sequence[str]) -> None:
    """Write labels.txt and one JSON file an image into `folder`."""
    (folder / "labels.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    for split, images in splits.items():
        (folder / split).mkdir()
        for image in images:
            text = json.dumps(_document(image, names), ensure_ascii=False, indent=1, allow_nan=False)
            path = folder / split / f"{Path(image.name).stem}.json"
            path.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")


def _document(image: Placed, names: Sequence[str]) -> dict[str, Any]:
    record = image.record
    shapes = [
        {
            "label": names[label],
            "points": [box[:2], box[2:]],
            "group_id": None,
            "shape_type": "rectangle",
            "flags": {},
        }
        for box, label in zip(record.boxes.tolist(), record.labels.tolist(), strict=True)
    ]
    return {
        # The release whose fields these are; the program reads files of any 5.x.
        "version": "5.0.0",
        "flags": {},
        "shapes": shapes,
        "imagePath": image.name,
        "imageData": None,
        "imageHeight": record.height,
        "imageWidth": record.width,
    }
