"""Ground truth and prediction files in COCO's form, drawn at random, for the tests of `judge`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

# Ids of the ground truth have gaps, as COCO's have.
CATEGORIES = (2, 3, 7, 90)
FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "judge"


def ground_truth(seed: int, *, images: int = 24) -> dict[str, Any]:
    """Images of odd sizes with 0 to 7 boxes each, some of them crowd regions, one image without any."""
    g = np.random.default_rng(seed)
    ids = (g.permutation(10 * images)[:images] + 1).tolist()
    annotations: list[dict[str, Any]] = []
    for place, image in enumerate(ids):
        for _ in range(int(g.integers(0, 8)) if place else 0):
            box = [*g.uniform(0, 200, 2).round(2).tolist(), *g.uniform(4, 120, 2).round(2).tolist()]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": int(g.choice(CATEGORIES[:3])),
                    "bbox": box,
                    "area": round(box[2] * box[3], 2),
                    "iscrowd": int(g.random() < 0.1),
                }
            )
    return {
        "images": [
            {"id": i, "file_name": f"frames/shot_{i:05d}.jpg", "height": 333, "width": 321} for i in ids
        ],
        "annotations": annotations,
        "categories": [{"id": c, "name": f"class {c}"} for c in CATEGORIES],
    }


def predictions(truth: dict[str, Any], seed: int, *, wobble: float = 6.0, miss: float = 0.2) -> list[Any]:
    """What a detector with `wobble` (pixels) finds, with false alarms, wrong classes and equal scores."""
    g = np.random.default_rng([7, seed])
    rows: list[dict[str, Any]] = []
    for item in truth["annotations"]:
        if g.random() < miss:
            continue
        box = (np.array(item["bbox"]) + g.normal(0, wobble, 4)).round(3)
        box[2:] = np.maximum(box[2:], 1)
        wrong = g.random() < 0.1
        label = int(g.choice(CATEGORIES[:3])) if wrong else item["category_id"]
        rows.append(_row(item["image_id"], label, box, round(float(g.uniform(0.1, 1)), 2)))
    for image in truth["images"]:
        for _ in range(3):
            box = np.concatenate([g.uniform(0, 200, 2), g.uniform(4, 120, 2)]).round(3)
            score = float(g.uniform(0.001, 0.4)) if g.random() < 0.5 else 0.25
            rows.append(_row(image["id"], int(g.choice(CATEGORIES)), box, score))
    return rows


def _row(image: int, label: int, box: Any, score: float) -> dict[str, Any]:
    return {"image_id": image, "category_id": label, "bbox": box.tolist(), "score": score}


def write(path: Path, document: Any) -> Path:
    """The document as a JSON file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document), encoding="utf-8")
    return path
