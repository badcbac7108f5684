"""The numbers of one finished run, in points, with the tables they recompute from stored beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from yolograft.data.records import ImageRecord
from yolograft.metrics.coco import evaluate_coco
from yolograft.metrics.detections import DetectionTable
from yolograft.metrics.matches import MatchTable, build_match_table
from yolograft.metrics.scores import best_f1
from yolograft.study.results import points

DETECTIONS, MATCHES = "detections.npz", "matches.npz"


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
    """Score a run and keep its detections and match table in its folder."""
    table.save(folder / DETECTIONS)
    matches = build_match_table(records, table, len(names))
    matches.save(folder / MATCHES)
    return score_table(records, table, names, matches=matches)
