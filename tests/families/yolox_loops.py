"""YOLOX's assignment, losses and decoding once more: plain loops over Python floats.

Source: YOLOX, Ge et al. 2021, arXiv 2107.08430, sections 2.2 and 2.3; the surcharge and the radius are those
of the published trainer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from yolograft.types import RawPredictions, Targets

Box = tuple[float, float, float, float]
Found = dict[tuple[int, int], tuple[int, float]]
SURCHARGE = 100_000.0


@dataclass
class Anchor:
    """One cell of one level of one image. cell: column and row. raw: predicted x, y, log w, log h."""

    index: int
    cell: tuple[int, int]
    stride: int
    raw: list[float]
    obj: float
    cls: list[float]

    @property
    def box(self) -> Box:
        x, y = ((self.raw[i] + self.cell[i]) * self.stride for i in range(2))
        w, h = (math.exp(self.raw[i]) * self.stride for i in (2, 3))
        return x - w / 2, y - h / 2, x + w / 2, y + h / 2

    @property
    def centre(self) -> tuple[float, float]:
        return (self.cell[0] + 0.5) * self.stride, (self.cell[1] + 0.5) * self.stride

    def within(self, low: tuple[float, float], high: tuple[float, float]) -> bool:
        return all(low[i] < self.centre[i] < high[i] for i in range(2))


def anchors_of(raw: RawPredictions, image: int) -> list[Anchor]:
    """Every anchor of one image: levels in order, row by row."""
    out: list[Anchor] = []
    for (box, obj, cls), stride in zip(raw.levels, raw.strides, strict=True):
        for y in range(box.shape[2]):
            for x in range(box.shape[3]):
                columns = ([float(v) for v in branch[image, :, y, x]] for branch in (box, obj, cls))
                sides, objectness, scores = columns
                out.append(Anchor(len(out), (x, y), stride, sides, objectness[0], scores))
    return out


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def overlap(a: Box, b: Box) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return width * height / union if width * height else 0.0


def places(anchor: Anchor, box: Box, radius: float) -> tuple[bool, bool]:
    """Whether the centre of the cell lies inside the box, and whether near its centre."""
    middle = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    reach = radius * anchor.stride
    central = anchor.within((middle[0] - reach, middle[1] - reach), (middle[0] + reach, middle[1] + reach))
    return anchor.within(box[:2], box[2:]), central


def price(anchor: Anchor, box: Box, label: int, *, radius: float = 2.5) -> float:
    """Cross entropy over the classes, minus 3 log IoU, plus the surcharge off the centre."""
    cost = 0.0
    for c, logit in enumerate(anchor.cls):
        p = math.sqrt(sigmoid(logit) * sigmoid(anchor.obj))
        cost -= math.log(p) if c == label else math.log(1 - p)
    cost -= 3 * math.log(overlap(anchor.box, box) + 1e-8)
    return cost if all(places(anchor, box, radius)) else cost + SURCHARGE


def boxes_of(targets: Targets, image: int) -> dict[int, Box]:
    mine = (t for t in range(len(targets.labels)) if int(targets.image[t]) == image)
    return {t: tuple(float(v) for v in targets.boxes[t]) for t in mine}  # type: ignore[misc]


def assign(raw: RawPredictions, targets: Targets, *, top_k: int = 10, radius: float = 2.5) -> Found:
    """(image, anchor) -> (target, IoU) of all positives."""
    found: Found = {}
    for image in range(targets.batch_size):
        boxes = boxes_of(targets, image)
        offered = [
            a for a in anchors_of(raw, image) if any(any(places(a, box, radius)) for box in boxes.values())
        ]
        prices = {
            (t, a.index): price(a, box, int(targets.labels[t]), radius=radius)
            for t, box in boxes.items()
            for a in offered
        }
        wanted: dict[int, list[int]] = {}
        for t, box in boxes.items():
            overlaps = sorted((overlap(a.box, box) for a in offered), reverse=True)
            k = max(int(sum(overlaps[:top_k])), 1)
            for a in sorted(offered, key=lambda a: prices[t, a.index])[:k]:
                wanted.setdefault(a.index, []).append(t)
        for a in offered:
            if a.index in wanted:
                takers = wanted[a.index] if len(wanted[a.index]) == 1 else list(boxes)
                owner = min(takers, key=lambda t: prices[t, a.index])
                found[image, a.index] = (owner, overlap(a.box, boxes[owner]))
    return found


def losses(
    raw: RawPredictions,
    targets: Targets,
    found: Found,
    *,
    final: bool = False,
    gains: tuple[float, float, float, float] = (5.0, 1.0, 1.0, 1.0),
) -> dict[str, float]:
    """The terms of a batch under an assignment; ``total`` is times the batch size."""
    sums = {"box": 0.0, "obj": 0.0, "cls": 0.0, "l1": 0.0}
    for image in range(targets.batch_size):
        boxes = boxes_of(targets, image)
        for a in anchors_of(raw, image):
            target, iou = found.get((image, a.index), (-1, 0.0))
            sums["obj"] += entropy(a.obj, float(target >= 0))
            if target < 0:
                continue
            truth = boxes[target]
            sums["box"] += 1 - overlap(a.box, truth) ** 2
            label = int(targets.labels[target])
            sums["cls"] += sum(entropy(v, iou if c == label else 0.0) for c, v in enumerate(a.cls))
            if final:
                aims = [(truth[i] + truth[i + 2]) / 2 / a.stride - a.cell[i] for i in range(2)]
                aims += [math.log((truth[i + 2] - truth[i]) / a.stride + 1e-8) for i in range(2)]
                sums["l1"] += sum(abs(mine - aim) for mine, aim in zip(a.raw, aims, strict=True))
    count = max(len(found), 1)
    parts = {name: gain * sums[name] / count for name, gain in zip(sums, gains, strict=True)}
    return parts | {"total": sum(parts.values()) * targets.batch_size}


def entropy(logit: float, wish: float) -> float:
    p = sigmoid(logit)
    return -wish * math.log(p) - (1 - wish) * math.log(1 - p)
