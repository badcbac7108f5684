"""The numbers of one finished run, in points, with the tables they recompute from stored beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from yolograft.data.records import ImageRecord
from yolograft.metrics.coco import evaluate_coco
from yolograft.metrics.confusion import CONFUSION_IOU, confusion_matrix
from yolograft.metrics.detections import DetectionTable
from yolograft.metrics.matches import MatchTable, build_match_table
from yolograft.metrics.scores import CONFIDENCES, best_f1, precision_over_recall, rates_at
from yolograft.study.detail import curve_text
from yolograft.study.records.studyrecord import MATCHES
from yolograft.study.results import points
from yolograft.study.where.kept_parts import keep_parts

DETECTIONS = "detections.npz"


def score_table(
    records: Sequence[ImageRecord],
    table: DetectionTable,
    names: Sequence[str],
    *,
    matches: MatchTable | None = None,
) -> dict[str, Any]:
    """AP family, P, R and F1 of a detection table, 0 to 100; None where undefined.

    Args:
        matches: the table's own match table, where it is at hand already.
    """
    coco = evaluate_coco(records, table, names)
    if matches is None:
        matches = build_match_table(records, table, len(names))
    best = best_f1(matches)
    return {
        "ap": points(coco.ap),
        "ap50": points(coco.ap50),
        "ap75": points(coco.ap75),
        "ap_s": points(coco.ap_small),
        "ap_m": points(coco.ap_medium),
        "ap_l": points(coco.ap_large),
        "p": points(best.precision),
        "r": points(best.recall),
        "f1": points(best.f1),
        "f1_confidence": best.confidence if math.isfinite(best.confidence) else None,
        "per_class": [
            {"name": c.name, "ap": points(c.ap), "ap50": points(c.ap50), "gt": c.count}
            for c in coco.per_class
        ],
    }


def score_run(
    folder: Path, records: Sequence[ImageRecord], table: DetectionTable, names: Sequence[str]
) -> dict[str, Any]:
    """Score a run and keep its detections, match table and parts (`study.kept_parts`) in its folder.

    Returns:
        the scores of `score_table`, its ``curves`` and its ``confusion`` (see there).
    """
    table.save(folder / DETECTIONS)
    matches = build_match_table(records, table, len(names))
    matches.save(folder / MATCHES)
    keep_parts(folder, records, table, matches)
    scores = score_table(records, table, names, matches=matches)
    counts = confusion(records, table, len(names), confidence=scores["f1_confidence"])
    return scores | {"curves": curves(matches), "confusion": counts}


def curves(matches: MatchTable) -> dict[str, str]:
    """Curves at IoU 0.5, class means in points, each 101 numbers in one string so that a file stays short.

    ``recall``: precision at recall 0, .01, ... 1. ``p``, ``r``, ``f1``: over confidence 0, .01, ... 1, with
    ``-`` for a ``p`` where a class has no detection left. Empty where the split holds no ground truth.
    """
    rates = rates_at(matches, CONFIDENCES)
    if not np.isfinite(rates.f1).all():
        return {}
    drawn = {"recall": precision_over_recall(matches), "r": rates.recall, "f1": rates.f1}
    drawn["p"] = np.where(rates.complete, rates.precision, math.nan)
    return {key: curve_text(100 * values) for key, values in drawn.items()}


def confusion(
    records: Sequence[ImageRecord], table: DetectionTable, num_classes: int, *, confidence: float | None
) -> dict[str, Any] | None:
    """The confusion matrix at the confidence of best F1; None where nothing was found at any confidence.

    ``cells``: ``truth,predicted,count`` of every count above 0, separated by blanks; class number ``classes``
    is background.
    """
    if not confidence:
        return None
    counts = confusion_matrix(records, table, num_classes, confidence=confidence)
    cells = [[int(t), int(p), int(counts[t, p])] for t, p in zip(*np.nonzero(counts), strict=True)]
    joined = " ".join(",".join(map(str, cell)) for cell in cells)
    return {"iou": CONFUSION_IOU, "confidence": confidence, "classes": num_classes, "cells": joined}
