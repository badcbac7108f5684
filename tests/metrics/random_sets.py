"""Random ground truth and detections that hold every odd case of COCO matching."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from yolograft.data.records import ImageRecord
from yolograft.metrics.detections import DetectionTable
from yolograft.rng import stream


def record(index, boxes, labels, crowd, area):
    boxes = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    return ImageRecord(
        f"{index}.jpg",
        Path(f"{index}.jpg"),
        640,
        640,
        boxes,
        np.asarray(labels, dtype=np.int64),
        np.asarray(crowd, dtype=bool),
        np.asarray(area, dtype=np.float64),
        len(boxes),
        (),
    )


def table_of(rows, images):
    rows = np.asarray(rows, dtype=np.float64).reshape(-1, 7)
    return DetectionTable(
        rows[:, 0].astype(np.int32),
        rows[:, 1].astype(np.int32),
        rows[:, 2].astype(np.float32),
        rows[:, 3:].astype(np.float32),
        images,
    )


def random_set(seed, *, images=None, classes=None, per_image=None):
    """Ground truth and detections with crowd, own areas, exact ties, whole-pixel boxes, empty parts."""
    r = stream(seed, "random set")
    images = images or int(r.integers(1, 9))
    classes = classes or int(r.integers(1, 5))
    per_image = per_image or (int(r.integers(120, 330)) if seed % 10 == 0 else int(r.integers(0, 40)))
    records, rows = [], []
    for i in range(images):
        count = int(r.integers(0, 14)) if r.random() > 0.15 else 0
        side = np.exp(r.uniform(math.log(8), math.log(250), (count, 2)))
        low = r.uniform(0, 400, (count, 2))
        boxes = np.concatenate([low, low + side], axis=1)
        if seed % 3 == 0:
            boxes = np.round(boxes / 8) * 8 + np.array([0, 0, 8, 8])
        labels = r.integers(0, max(classes - (seed % 2), 1), count)  # odd seeds: last class is empty
        crowd = r.random(count) < 0.15
        area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) * r.choice([1.0, 0.6], count)
        if seed % 3 == 0:
            area = np.round(area / 1024) * 1024  # sits on the area borders
        records.append(record(i, boxes, labels, crowd, area))
        many = per_image if r.random() > 0.1 else 0
        for _ in range(many):
            if count and r.random() < 0.7:
                j = int(r.integers(count))
                spread = r.choice([0.0, 0.05, 0.2]) * (boxes[j, 2:] - boxes[j, :2]).mean()
                box = boxes[j] + r.normal(0, 1, 4) * spread
                label = labels[j] if r.random() < 0.8 else r.integers(classes)
            else:
                corner, box_side = r.uniform(0, 400, 2), r.uniform(4, 200, 2)
                box, label = np.concatenate([corner, corner + box_side]), r.integers(classes)
            if seed % 3 == 0:
                box = np.round(box / 8) * 8
            box = np.concatenate([np.minimum(box[:2], box[2:]), np.maximum(box[:2], box[2:])])
            score = r.random() if seed % 4 else r.integers(1, 6) / 8  # every fourth set is full of ties
            rows.append((i, label, score, *box))
    return records, table_of(rows, images), classes
