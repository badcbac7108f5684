"""YOLOv8's assignment, losses and decoding once more: plain loops over Python floats, from the papers.

Assignment: TOOD, Feng et al. 2021, arXiv 2108.07755. Distribution focal loss: Li et al. 2020, arXiv
2006.04388, equation 6. Complete IoU: Zheng et al. 2019, arXiv 1911.08287.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from yolograft.types import RawPredictions, Targets

BINS = 16
Box = tuple[float, float, float, float]


class TiedError(Exception):
    """Which anchors a box takes is open: candidates without any alignment are among its best."""


@dataclass
class Anchor:
    """One place of one level of one image. point: centre in cells. bins: logits by side. box: in pixels."""

    index: int
    point: tuple[float, float]
    stride: int
    bins: list[list[float]]
    cls: list[float]

    def shares(self, side: int) -> list[float]:
        top = max(self.bins[side])
        weights = [math.exp(v - top) for v in self.bins[side]]
        return [w / sum(weights) for w in weights]

    @property
    def box(self) -> Box:
        left, top, right, bottom = (
            sum(i * share for i, share in enumerate(self.shares(side))) for side in range(4)
        )
        x, y = self.point
        return (
            (x - left) * self.stride,
            (y - top) * self.stride,
            (x + right) * self.stride,
            (y + bottom) * self.stride,
        )

    @property
    def centre(self) -> tuple[float, float]:
        return self.point[0] * self.stride, self.point[1] * self.stride


def anchors_of(raw: RawPredictions, image: int) -> list[Anchor]:
    """Every anchor of one image: levels in order, row by row."""
    out: list[Anchor] = []
    for (box, cls), stride in zip(raw.levels, raw.strides, strict=True):
        for y in range(box.shape[2]):
            for x in range(box.shape[3]):
                logits = [float(v) for v in box[image, :, y, x]]
                bins = [logits[side * BINS : (side + 1) * BINS] for side in range(4)]
                scores = [float(v) for v in cls[image, :, y, x]]
                out.append(Anchor(len(out), (x + 0.5, y + 0.5), stride, bins, scores))
    return out


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def complete_iou(a: Box, b: Box) -> float:
    """Overlap minus squared centre distance over squared hull diagonal minus the aspect term."""
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    area_a, area_b = (a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1])
    iou = width * height / (area_a + area_b - width * height)
    hull_w, hull_h = max(a[2], b[2]) - min(a[0], b[0]), max(a[3], b[3]) - min(a[1], b[1])
    dx, dy = (a[0] + a[2] - b[0] - b[2]) / 2, (a[1] + a[3] - b[1] - b[3]) / 2
    gap = math.atan((a[2] - a[0]) / (a[3] - a[1])) - math.atan((b[2] - b[0]) / (b[3] - b[1]))
    v = 4 / math.pi**2 * gap**2
    penalty = v * v / (1 - iou + v) if v else 0.0
    return iou - (dx * dx + dy * dy) / (hull_w**2 + hull_h**2) - penalty


def region(box: Box, shortest: float) -> Box:
    """The box, sides below ``shortest`` widened to it about the centre."""
    (x, y), (w, h) = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2), (box[2] - box[0], box[3] - box[1])
    w, h = max(w, shortest), max(h, shortest)
    return x - w / 2, y - h / 2, x + w / 2, y + h / 2


def assign(
    raw: RawPredictions,
    targets: Targets,
    *,
    small_boxes: str,
    top_k: int = 10,
    alpha: float = 0.5,
    beta: float = 6.0,
) -> dict[tuple[int, int], tuple[int, float]]:
    """(image, anchor) -> (target, score) of all positives.

    Raises:
        TiedError: see there.
    """
    shortest = float(raw.strides[1]) if small_boxes == "widened" else 0.0
    found: dict[tuple[int, int], tuple[int, float]] = {}
    for image in range(targets.batch_size):
        anchors = anchors_of(raw, image)
        mine = [t for t in range(len(targets.labels)) if int(targets.image[t]) == image]
        boxes: dict[int, Box] = {t: tuple(float(v) for v in targets.boxes[t]) for t in mine}  # type: ignore[misc]
        overlap: dict[tuple[int, int], float] = {}
        align: dict[tuple[int, int], float] = {}
        wanted: dict[int, list[int]] = {}
        for t in mine:
            x1, y1, x2, y2 = region(boxes[t], shortest)
            for a in anchors:
                if x1 < a.centre[0] < x2 and y1 < a.centre[1] < y2:
                    overlap[t, a.index] = max(complete_iou(boxes[t], a.box), 0.0)
                    score = sigmoid(a.cls[int(targets.labels[t])])
                    align[t, a.index] = score**alpha * overlap[t, a.index] ** beta
            own = sorted((i for s, i in align if s == t), key=lambda i: -align[t, i])[:top_k]
            if any(align[t, i] < 1e-30 for i in own):
                raise TiedError
            for i in own:
                wanted.setdefault(i, []).append(t)
        owner = {}
        for i, candidates in wanted.items():
            inside = [t for t in mine if (t, i) in overlap]
            best = max(overlap[t, i] for t in inside)
            first = next(t for t in inside if overlap[t, i] == best)
            owner[i] = candidates[0] if len(candidates) == 1 else first
        for t in mine:
            own = [i for i, who in owner.items() if who == t]
            top_align = max((align[t, i] for i in own), default=0.0)
            top_overlap = max((overlap[t, i] for i in own), default=0.0)
            for i in own:
                found[image, i] = (t, align[t, i] * top_overlap / (top_align + 1e-9))
    return found


def losses(
    raw: RawPredictions,
    targets: Targets,
    found: dict[tuple[int, int], tuple[int, float]],
    *,
    gains: tuple[float, float, float] = (7.5, 0.5, 1.5),
) -> dict[str, float]:
    """Box, class and distribution loss of a batch under an assignment; ``total`` is times the batch size."""
    box = cls = dfl = 0.0
    for image in range(targets.batch_size):
        for a in anchors_of(raw, image):
            target, score = found.get((image, a.index), (-1, 0.0))
            for c, logit in enumerate(a.cls):
                wish = score if target >= 0 and c == int(targets.labels[target]) else 0.0
                p = sigmoid(logit)
                cls -= wish * math.log(p) + (1 - wish) * math.log(1 - p)
            if target < 0:
                continue
            truth: Box = tuple(float(v) for v in targets.boxes[target])  # type: ignore[assignment]
            box += score * (1 - complete_iou(a.box, truth))
            x, y = a.point
            x1, y1, x2, y2 = (v / a.stride for v in truth)
            for side, distance in enumerate((x - x1, y - y1, x2 - x, y2 - y)):
                distance = min(max(distance, 0.0), BINS - 1 - 0.01)
                left, shares = int(distance), a.shares(side)
                entropy = -(left + 1 - distance) * math.log(shares[left])
                entropy -= (distance - left) * math.log(shares[left + 1])
                dfl += score * entropy / 4
    scale = max(sum(score for _, score in found.values()), 1.0)
    parts = {"box": gains[0] * box / scale, "cls": gains[1] * cls / scale, "dfl": gains[2] * dfl / scale}
    return parts | {"total": sum(parts.values()) * targets.batch_size}
