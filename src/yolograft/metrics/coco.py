"""The COCO AP family of one evaluation, through faster-coco-eval (Apache-2.0).

The definition is COCO's: ten IoU thresholds .50:.05:.95, 101 recall points, at most 100 detections
per image and class, crowd boxes as ignore regions (Lin et al. 2014, arXiv 1405.0312, and the COCO
evaluation page).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolograft.data.records import ImageRecord
from yolograft.errors import DataError
from yolograft.metrics.detections import DetectionTable

MAX_DETECTIONS = 100


@dataclass(frozen=True, slots=True)
class ClassScore:
    """AP of one class in 0..1 (nan without ground truth); count is its ground truth, crowd excluded."""

    name: str
    ap: float
    ap50: float
    count: int


@dataclass(frozen=True, slots=True)
class CocoScores:
    """The AP family in 0..1; nan where COCO says -1 (no ground truth in that range)."""

    ap: float
    ap50: float
    ap75: float
    ap_small: float
    ap_medium: float
    ap_large: float
    per_class: tuple[ClassScore, ...]


def evaluate_coco(records: Sequence[ImageRecord], table: DetectionTable, names: Sequence[str]) -> CocoScores:
    """COCO box AP of ``table`` against ``records``; classes are ``names`` in order.

    Raises:
        DataError: YG363 when the table and the records are not of the same split or class list.
    """
    check_same_split(records, table, num_classes=len(names))
    counts = np.zeros(len(names), dtype=np.int64)
    for record in records:
        np.add.at(counts, record.labels[~record.crowd], 1)
    precision = _precision(_ground_truth(records, names), _results(table)) if names else None
    if precision is None:
        return CocoScores(*[math.nan] * 6, per_class=())
    every, small, medium, large = (precision[..., area, -1] for area in range(4))
    per_class = tuple(
        ClassScore(name, _mean(every[:, :, k]), _mean(every[0, :, k]), int(counts[k]))
        for k, name in enumerate(names)
    )
    return CocoScores(
        ap=_mean(every),
        ap50=_mean(every[0]),
        ap75=_mean(every[5]),
        ap_small=_mean(small),
        ap_medium=_mean(medium),
        ap_large=_mean(large),
        per_class=per_class,
    )


def check_same_split(records: Sequence[ImageRecord], table: DetectionTable, *, num_classes: int) -> None:
    """DataError YG363 unless the table covers exactly these records and only these classes."""
    if table.images != len(records):
        raise DataError("YG363", f"detections of {table.images} images, ground truth of {len(records)}")
    highest = max([int(r.labels.max()) for r in records if len(r.labels)], default=-1)
    highest = max(highest, int(table.label.max()) if len(table) else -1)
    if highest >= num_classes:
        raise DataError("YG363", f"class index {highest} found, but only {num_classes} classes are named")


def xywh(boxes: NDArray[Any]) -> NDArray[np.float64]:
    """xyxy [N, 4] as COCO's x, y, width, height in float64; one conversion for every evaluator."""
    wide = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    return np.concatenate([wide[:, :2], wide[:, 2:] - wide[:, :2]], axis=1)


def _ground_truth(records: Sequence[ImageRecord], names: Sequence[str]) -> dict[str, Any]:
    annotations: list[dict[str, Any]] = []
    for index, record in enumerate(records):
        rows = zip(xywh(record.boxes).tolist(), record.labels, record.crowd, record.area, strict=True)
        for box, label, crowd, area in rows:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": index + 1,
                    "category_id": int(label) + 1,
                    "bbox": box,
                    "area": float(area),
                    "iscrowd": int(crowd),
                }
            )
    images = [{"id": i + 1, "height": r.height, "width": r.width} for i, r in enumerate(records)]
    categories = [{"id": k + 1, "name": str(name)} for k, name in enumerate(names)]
    return {"info": {}, "images": images, "annotations": annotations, "categories": categories}


def _results(table: DetectionTable) -> list[dict[str, Any]]:
    rows = zip(table.image, table.label, xywh(table.boxes).tolist(), table.score, strict=True)
    return [
        {"image_id": int(image) + 1, "category_id": int(label) + 1, "bbox": box, "score": float(score)}
        for image, label, box, score in rows
    ]


def _precision(truth: dict[str, Any], results: list[dict[str, Any]]) -> NDArray[np.float64]:
    """COCO's precision array [IoU 10, recall 101, class, area 4, max detections 3]."""
    # Imported here: loading the evaluator costs more than most commands that never evaluate.
    from faster_coco_eval import COCO, COCOeval_faster

    def silent(*_: object) -> None:
        return None

    gt = COCO(truth, print_function=silent)
    evaluator = COCOeval_faster(gt, gt.loadRes(results), "bbox", print_function=silent)
    if not truth["images"]:
        return np.full((10, 101, len(truth["categories"]), 4, 3), -1.0)
    evaluator.params.maxDets = [1, 10, MAX_DETECTIONS]
    evaluator.evaluate()
    evaluator.accumulate()
    shape = (10, 101, len(truth["categories"]), 4, 3)
    return np.asarray(evaluator.eval["precision"], dtype=np.float64).reshape(shape)


def _mean(precision: NDArray[np.float64]) -> float:
    defined = precision[precision > -1]
    return float(defined.mean()) if defined.size else math.nan
