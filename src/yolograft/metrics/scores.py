"""Precision, recall and F1 at the confidence of best F1, from a match table alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from yolograft.metrics.matches import MatchTable, area_index, iou_index


@dataclass(frozen=True, slots=True)
class PrecisionRecall:
    """Macro means over the classes with ground truth, in 0..1, at one common confidence.

    f1 is the mean of the classes' F1, not the F1 of the mean precision and recall.
    """

    precision: float
    recall: float
    f1: float
    confidence: float


def best_f1(matches: MatchTable, *, iou: float = 0.5) -> PrecisionRecall:
    """P, R and F1 at the confidence where the mean F1 over classes is highest.

    For each class with ground truth and each score c in the table: TP and FP are the detections with
    score >= c that match (COCO matching at ``iou``, area range all) or do not; detections matched to
    ignore regions count as neither. P = TP / (TP + FP), 0 without detections; R = TP / ground truth;
    F1 = 2 TP / (TP + FP + ground truth). The three are averaged over those classes; of confidences
    with equal mean F1 the highest is taken. Classes without ground truth do not enter.

    Without any detection all four numbers are 0; without any ground truth all are nan.
    """
    area, t = area_index("all"), iou_index(iou)
    positives = matches.positives("all")
    labels = np.flatnonzero(positives)
    if not len(labels):
        return PrecisionRecall(math.nan, math.nan, math.nan, math.nan)
    cuts = np.unique(matches.score)[::-1]
    if not len(cuts):
        return PrecisionRecall(0.0, 0.0, 0.0, 0.0)
    precision, recall, f1 = (np.zeros((len(labels), len(cuts))) for _ in range(3))
    for row, label in enumerate(labels):
        part = matches.rows(int(label))
        hit = matches.tp[area, part, t]
        miss = ~hit & ~matches.ignored[area, part, t]
        above = np.searchsorted(-matches.score[part], -cuts, side="right")
        tp = np.concatenate([[0], np.cumsum(hit)])[above]
        found = tp + np.concatenate([[0], np.cumsum(miss)])[above]
        precision[row] = tp / np.maximum(found, 1)
        recall[row] = tp / positives[label]
        f1[row] = 2 * tp / (found + positives[label])
    mean = f1.mean(axis=0)
    at = int(mean.argmax())
    if mean[at] == 0:
        return PrecisionRecall(0.0, 0.0, 0.0, 0.0)
    return PrecisionRecall(
        float(precision[:, at].mean()), float(recall[:, at].mean()), float(mean[at]), float(cuts[at])
    )
