"""Matching, losses and decoding of YOLOv5 in plain loops over Python numbers, one prediction at a time.

Written from the description published with the family, without a tensor operation in common with the code.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from yolograft.types import RawPredictions, Targets

Anchors = list[list[tuple[float, float]]]
THRESHOLD = 4.0


class Positive(NamedTuple):
    """A prediction and the target it is to learn; box: x, y relative to the cell, width, height, in cells."""

    image: int
    anchor: int
    row: int
    column: int
    target: int
    box: tuple[float, float, float, float]


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def fits(width: float, height: float, anchor: tuple[float, float]) -> bool:
    for side, own in ((width, anchor[0]), (height, anchor[1])):
        if side <= 0 or side / own >= THRESHOLD or own / side >= THRESHOLD:
            return False
    return True


def cells(x: float, y: float, columns: int, rows: int) -> list[tuple[str, int, int]]:
    """(which, column, row) of the cells that predict a centre; `which` orders them."""
    found = [("0 own", math.floor(x), math.floor(y))]
    if x - math.floor(x) < 0.5 and x > 1:
        found.append(("1 left", math.floor(x - 0.5), math.floor(y)))
    if y - math.floor(y) < 0.5 and y > 1:
        found.append(("2 above", math.floor(x), math.floor(y - 0.5)))
    if (columns - x) - math.floor(columns - x) < 0.5 and columns - x > 1:
        found.append(("3 right", math.floor(x + 0.5), math.floor(y)))
    if (rows - y) - math.floor(rows - y) < 0.5 and rows - y > 1:
        found.append(("4 below", math.floor(x), math.floor(y + 0.5)))
    return [(w, min(max(c, 0), columns - 1), min(max(r, 0), rows - 1)) for w, c, r in found]


def match(raw: RawPredictions, targets: Targets, anchors: Anchors) -> list[list[Positive]]:
    """The positives of every level, in the order own, left, above, right, below; anchor; target."""
    levels = []
    for (level,), own_anchors, stride in zip(raw.levels, anchors, raw.strides, strict=True):
        rows, columns = level.shape[-2:]
        found = []
        for target, (x1, y1, x2, y2) in enumerate(targets.boxes.tolist()):
            x, y = (x1 + x2) / 2 / stride, (y1 + y2) / 2 / stride
            for anchor, size in enumerate(own_anchors):
                if not fits(x2 - x1, y2 - y1, size):
                    continue
                for which, column, row in cells(x, y, columns, rows):
                    box = (x - column, y - row, (x2 - x1) / stride, (y2 - y1) / stride)
                    positive = Positive(int(targets.image[target]), anchor, row, column, target, box)
                    found.append(((which, anchor, target), positive))
        levels.append([positive for _, positive in sorted(found, key=lambda item: item[0])])
    return levels


def predicted(logits: list[float], anchor: tuple[float, float], stride: int) -> tuple[float, ...]:
    """x, y relative to the cell, width, height, in cells."""
    x, y, w, h = (sigmoid(v) for v in logits[:4])
    return (
        2 * x - 0.5,
        2 * y - 0.5,
        (2 * w) ** 2 * anchor[0] / stride,
        (2 * h) ** 2 * anchor[1] / stride,
    )


def complete_iou(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Of boxes (x, y, width, height)."""
    left = [(v[0] - v[2] / 2, v[0] + v[2] / 2) for v in (a, b)]
    top = [(v[1] - v[3] / 2, v[1] + v[3] / 2) for v in (a, b)]
    wide = max(0.0, min(left[0][1], left[1][1]) - max(left[0][0], left[1][0]))
    high = max(0.0, min(top[0][1], top[1][1]) - max(top[0][0], top[1][0]))
    iou = wide * high / (a[2] * a[3] + b[2] * b[3] - wide * high)
    hull = (max(left[0][1], left[1][1]) - min(left[0][0], left[1][0])) ** 2
    hull += (max(top[0][1], top[1][1]) - min(top[0][0], top[1][0])) ** 2
    distance = ((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2) / hull
    aspect = 4 / math.pi**2 * (math.atan(b[2] / b[3]) - math.atan(a[2] / a[3])) ** 2
    return iou - distance - (aspect * aspect / (1 - iou + aspect) if aspect else 0.0)


def entropy(logit: float, wish: float) -> float:
    p = sigmoid(logit)
    return -wish * math.log(p) - (1 - wish) * math.log(1 - p)


def losses(
    raw: RawPredictions, targets: Targets, anchors: Anchors, balance: tuple[float, ...] = (4.0, 1.0, 0.4)
) -> dict[str, float]:
    """Box, objectness and class term before any gain."""
    box = obj = cls = 0.0
    for index, positives in enumerate(match(raw, targets, anchors)):
        (level,), stride = raw.levels[index], raw.strides[index]
        count = len(anchors[index])
        maps = level.view(level.shape[0], count, -1, *level.shape[2:]).permute(0, 1, 3, 4, 2).tolist()
        wishes: dict[tuple[int, ...], float] = {}
        for p in positives:
            logits = maps[p.image][p.anchor][p.row][p.column]
            iou = complete_iou(predicted(logits, anchors[index][p.anchor], stride), p.box)
            wishes[p.image, p.anchor, p.row, p.column] = max(iou, 0.0)
            box += (1 - iou) / len(positives)
            names = logits[5:]
            label = int(targets.labels[p.target])
            for c, logit in enumerate(names if len(names) > 1 else []):
                cls += entropy(logit, float(c == label)) / (len(names) * len(positives))
        terms = [
            entropy(logits[4], wishes.get((b, a, r, c), 0.0))
            for b, image in enumerate(maps)
            for a, grid in enumerate(image)
            for r, row in enumerate(grid)
            for c, logits in enumerate(row)
        ]
        obj += balance[index] * sum(terms) / len(terms)
    return {"box": box, "obj": obj, "cls": cls}


def decode(raw: RawPredictions, anchors: Anchors) -> list[tuple[int, tuple[float, ...], list[float]]]:
    """(image, xyxy in input pixels, scores) of every prediction: level, anchor, row, column."""
    found = []
    for (level,), own, stride in zip(raw.levels, anchors, raw.strides, strict=True):
        maps = level.view(level.shape[0], len(own), -1, *level.shape[2:]).permute(0, 1, 3, 4, 2).tolist()
        for b, image in enumerate(maps):
            for a, grid in enumerate(image):
                for r, row in enumerate(grid):
                    for c, logits in enumerate(row):
                        x, y, w, h = (stride * v for v in predicted(logits, own[a], stride))
                        x, y = x + c * stride, y + r * stride
                        box = (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
                        found.append((b, box, [sigmoid(logits[4]) * sigmoid(v) for v in logits[5:]]))
    return found
