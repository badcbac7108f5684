"""Precision, recall and F1 over the confidence, and precision over recall, from a match table alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from yolograft.metrics.matches import (
    RECALL_POINTS,
    MatchTable,
    area_index,
    interpolated_precision,
    iou_index,
)

#: Confidences at which curves are kept: 0, .01, ... 1.
CONFIDENCES = np.linspace(0.0, 1.0, 101)

_F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PrecisionRecall:
    """Macro means over the classes with ground truth, in 0..1, at one common confidence.

    f1 is the mean of the classes' F1, not the F1 of the mean precision and recall.
    """

    precision: float
    recall: float
    f1: float
    confidence: float


@dataclass(frozen=True, slots=True, eq=False)
class Rates:
    """Macro means over the classes with ground truth, each float64 [C] in 0..1 for C confidences.

    complete: bool [C], whether every such class still has a detection; else its precision counts as 0.
    """

    precision: _F64
    recall: _F64
    f1: _F64
    complete: NDArray[np.bool_]


def rates_at(matches: MatchTable, cuts: _F64, *, iou: float = 0.5) -> Rates:
    """P, R and F1 of the detections with score >= c, for every confidence c in ``cuts``.

    TP and FP are the detections that match (COCO matching at ``iou``, area range all) or do not; those
    matched to ignore regions count as neither. Per class P = TP / (TP + FP), 0 without detections;
    R = TP / ground truth; F1 = 2 TP / (TP + FP + ground truth). The three are averaged over the classes
    with ground truth; without any such class all are nan.

    Scores of a match table are rounded down to 11 bits: a cut that such a score equals, as the cuts of
    ``best_f1`` do, selects the same detections on the exact scores.
    """
    area, t = area_index("all"), iou_index(iou)
    positives = matches.positives("all")
    labels = np.flatnonzero(positives)
    if not len(labels):
        unknown = np.full(len(cuts), math.nan)
        return Rates(unknown, unknown, unknown, np.zeros(len(cuts), dtype=bool))
    precision, recall, f1 = (np.zeros((len(labels), len(cuts))) for _ in range(3))
    complete = np.ones(len(cuts), dtype=bool)
    for row, label in enumerate(labels):
        part = matches.rows(int(label))
        hit = matches.tp[area, part, t]
        miss = ~hit & ~matches.ignored[area, part, t]
        above = np.searchsorted(-matches.score[part].astype(np.float64), -cuts, side="right")
        tp = np.concatenate([[0], np.cumsum(hit)])[above]
        found = tp + np.concatenate([[0], np.cumsum(miss)])[above]
        precision[row] = tp / np.maximum(found, 1)
        recall[row] = tp / positives[label]
        f1[row] = 2 * tp / (found + positives[label])
        complete &= found > 0
    return Rates(precision.mean(axis=0), recall.mean(axis=0), f1.mean(axis=0), complete)


def best_f1(matches: MatchTable, *, iou: float = 0.5) -> PrecisionRecall:
    """P, R and F1 (see ``rates_at``) at the score in the table where the mean F1 over classes is highest.

    Of confidences with equal mean F1 the highest is taken. Without any detection all four numbers are
    0; without any ground truth all are nan.
    """
    if not matches.positives("all").any():
        return PrecisionRecall(math.nan, math.nan, math.nan, math.nan)
    cuts = np.unique(matches.score)[::-1].astype(np.float64)
    if not len(cuts):
        return PrecisionRecall(0.0, 0.0, 0.0, 0.0)
    rates = rates_at(matches, cuts, iou=iou)
    at = int(rates.f1.argmax())
    if rates.f1[at] == 0:
        return PrecisionRecall(0.0, 0.0, 0.0, 0.0)
    return PrecisionRecall(
        float(rates.precision[at]), float(rates.recall[at]), float(rates.f1[at]), float(cuts[at])
    )


def precision_over_recall(matches: MatchTable, *, iou: float = 0.5) -> _F64:
    """COCO's interpolated precision at recall 0, .01, ... 1, mean over classes, float64 [101] in 0..1.

    Its mean is the AP at that IoU exactly; nan without ground truth.
    """
    labels = np.flatnonzero(matches.positives("all"))
    if not len(labels):
        return np.full(RECALL_POINTS, math.nan)
    t = iou_index(iou)
    return np.mean([interpolated_precision(matches, int(k))[:, t] for k in labels], axis=0)
