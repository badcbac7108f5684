"""From one prediction file to its AP, its match table and the influence of each image."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from yolograft.errors import StudyError
from yolograft.metrics.detections import DetectionTable
from yolograft.metrics.influence import influence
from yolograft.metrics.matches import MatchTable, average_precision, build_match_table
from yolograft.study.judge.predictions import Predictions
from yolograft.study.judge.truth import Truth


@dataclass(frozen=True, slots=True, eq=False)
class ScoredRun:
    """One run's predictions, judged.

    ap, ap50: COCO, in points. influence: [images] in AP points. content: SHA-256 of what was predicted,
    whatever the file looks like.
    """

    predictions: Predictions
    table: DetectionTable
    matches: MatchTable
    ap: float
    ap50: float
    influence: NDArray[np.float64]
    content: str


def scored(
    truth: Truth, predictions: Predictions, image: NDArray[np.int64], label: NDArray[np.int64]
) -> ScoredRun:
    """Match one file's predictions, each with its image index and label, to the ground truth.

    Raises:
        StudyError: our own table of another evaluation split (YG663).
    """
    own = predictions.table
    if own is not None and (own.images != len(truth.records) or own.fingerprint != truth.fingerprint):
        fix = "--gt takes the dataset that the run was evaluated on"
        raise StudyError("YG663", "made on another ground truth", where=str(predictions.path), fix=fix)
    # By image, in file order within one: so COCO's evaluator meets equal scores.
    order = np.argsort(image, kind="stable")
    xywh = predictions.xywh[order]
    # Boxes stay in double precision: an overlap at a threshold falls on the side where COCO has it.
    boxes = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)
    table = DetectionTable(
        image=image[order].astype(np.int32),
        label=label[order].astype(np.int32),
        score=single(predictions.score[order]),
        boxes=boxes,  # pyright: ignore[reportArgumentType]
        images=len(truth.records),
        fingerprint=truth.fingerprint,
    )
    matches = build_match_table(truth.records, table, len(truth.names))
    return ScoredRun(
        predictions=predictions,
        table=table,
        matches=matches,
        ap=100 * average_precision(matches),
        ap50=100 * average_precision(matches, iou=0.5),
        influence=100 * influence(matches),
        content=_content(table),
    )


def single(score: NDArray[np.float64]) -> NDArray[np.float32]:
    """Scores in 0..1 as float32 of the same order: different ones stay different, equal ones equal."""
    values, place = np.unique(score, return_inverse=True)
    bits = (values.astype(np.float32) + np.float32(0)).view(np.int32).astype(np.int64)
    steps = np.arange(len(bits))
    # Where rounding made two equal, the later one moves up by one unit in the last place.
    bits = np.maximum.accumulate(bits - steps) + steps
    return bits.astype(np.int32).view(np.float32)[place]


def _content(table: DetectionTable) -> str:
    order = np.lexsort((*table.boxes.T, table.score, table.label, table.image))
    digest = hashlib.sha256(str(table.images).encode())
    for array in (table.image, table.label, table.score, table.boxes):
        digest.update(np.ascontiguousarray(array[order]).tobytes())
    return digest.hexdigest()
