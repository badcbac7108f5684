"""Every method of suppression by its definition, one pair of boxes at a time in plain Python."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Box(NamedTuple):
    """A scored box; at: its place in the input, which breaks ties of score."""

    score: float
    label: int
    xyxy: tuple[float, ...]
    at: int
    density: float = 0.0


def best_first(boxes: list[Box]) -> list[Box]:
    return sorted(boxes, key=lambda b: (-b.score, b.at))


def area(b: tuple[float, ...]) -> float:
    return max(b[2] - b[0], 0.0) * max(b[3] - b[1], 0.0)


def iou(a: Box, b: Box) -> float:
    """Overlap of two boxes, 0 between classes."""
    if a.label != b.label:
        return 0.0
    p, q = a.xyxy, b.xyxy
    shared = area((max(p[0], q[0]), max(p[1], q[1]), min(p[2], q[2]), min(p[3], q[3])))
    union = area(p) + area(q) - shared
    return shared / union if union > 0 else 0.0


def apart(a: Box, b: Box) -> float:
    """Squared distance of the centres over the squared diagonal of the box round both."""
    p, q = a.xyxy, b.xyxy
    dx, dy = (p[0] + p[2] - q[0] - q[2]) / 2, (p[1] + p[3] - q[1] - q[3]) / 2
    w, h = max(p[2], q[2]) - min(p[0], q[0]), max(p[3], q[3]) - min(p[1], q[1])
    return (dx * dx + dy * dy) / (w * w + h * h) if w * w + h * h > 0 else 0.0


def greedy(boxes: list[Box], removes: Callable[[Box, Box], bool]) -> list[tuple[Box, list[Box]]]:
    """Kept boxes, each with those it removed."""
    left, kept = best_first(boxes), []
    while left:
        best, rest = left[0], left[1:]
        gone = [b for b in rest if removes(best, b)]
        kept.append((best, gone))
        left = [b for b in rest if b not in gone]
    return kept


def hard(boxes: list[Box], t: float) -> list[Box]:
    return [b for b, _ in greedy(boxes, lambda m, b: iou(m, b) > t)]


def diou(boxes: list[Box], t: float) -> list[Box]:
    return [b for b, _ in greedy(boxes, lambda m, b: m.label == b.label and iou(m, b) - apart(m, b) > t)]


def adaptive(boxes: list[Box], t: float) -> list[Box]:
    return [b for b, _ in greedy(boxes, lambda m, b: iou(m, b) > max(t, m.density))]


def adaptive_free(boxes: list[Box], t: float, same: float = 0.8, share: float = 0.5) -> list[Box]:
    crowding = {}
    for b in boxes:
        near = [iou(b, o) for o in boxes if o.at != b.at and o.score >= share * b.score]
        crowding[b.at] = max([v for v in near if v <= same], default=0.0)
    return [b for b, _ in greedy(boxes, lambda m, b: iou(m, b) > max(t, crowding[m.at]))]


def weighted(boxes: list[Box], t: float, *, with_iou: bool = False) -> list[Box]:
    out = []
    for best, gone in greedy(boxes, lambda m, b: iou(m, b) > t):
        members = [(best.score, best)] + [(b.score * (iou(best, b) if with_iou else 1), b) for b in gone]
        total = sum(w for w, _ in members)
        mean = [sum(w * b.xyxy[k] for w, b in members) / total for k in range(4)]
        out.append(best._replace(xyxy=tuple(mean)))
    return out


def soft(boxes: list[Box], t: float, *, sigma: float | None = 0.5) -> list[Box]:
    """Gaussian, or linear without a sigma."""
    left = [(b.score, b) for b in boxes]
    rank = {b.at: i for i, b in enumerate(best_first(boxes))}
    out = []
    while left:
        score, best = min(left, key=lambda row: (-row[0], rank[row[1].at]))
        out.append(best._replace(score=score))
        rest = []
        for s, b in left:
            if b.at != best.at:
                v = iou(best, b)
                keep = math.exp(-v * v / sigma) if sigma else (1 - v if v > t else 1.0)
                # Scores are single precision: a double tells apart what is a tie.
                rest.append((float(np.float32(s * keep)), b))
        left = rest
    return out


def matrix(boxes: list[Box], *, sigma: float | None = 0.5) -> list[Box]:
    def f(v: float) -> float:
        return math.exp(-v * v / sigma) if sigma else 1 - v

    best, out = best_first(boxes), []
    for j, b in enumerate(best):
        lowest = 1.0
        for i in range(j):
            hidden = f(max([iou(best[k], best[i]) for k in range(i)], default=0.0))
            if hidden > 0:
                lowest = min(lowest, f(iou(best[i], b)) / hidden)
        out.append(b._replace(score=b.score * lowest))
    return out


def penalised(boxes: list[Box], t: float, sigma: float = 0.2) -> list[Box]:
    """Cluster-NMS with the score penalty."""
    best, kept = best_first(boxes), [b.at for b in hard(boxes, t)]
    out = []
    for j, b in enumerate(best):
        better = [iou(o, b) for o in best[:j] if o.at in kept]
        out.append(b._replace(score=b.score * math.exp(-sum(v * v for v in better) / sigma)))
    return out
