"""The confusion matrix of a detector: which class is taken for which, what is missed, what is made up.

Matching is greedy like COCO's (Lin et al. 2014, arXiv 1405.0312), but blind to the class: per image the
detections in score order each take the free ground truth of highest IoU (the later one on equal IoU), so
that a box found under another name is a confusion and not a miss beside a false alarm. A detection
that takes nothing and lies in a crowd box of any class counts nowhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from yolograft.data.records import ImageRecord
from yolograft.metrics.coco import check_same_split, xywh
from yolograft.metrics.detections import DetectionTable
from yolograft.metrics.matches import pair_iou

CONFUSION_IOU = 0.5


def confusion_matrix(
    records: Sequence[ImageRecord],
    table: DetectionTable,
    num_classes: int,
    *,
    confidence: float,
    iou: float = CONFUSION_IOU,
) -> NDArray[np.int64]:
    """Counts, int64 [num_classes + 1, num_classes + 1]: row = truth, column = predicted, last = background.

    Row k sums to the ground truth of class k, crowd excluded; its last entry counts the missed ones. The
    last row counts false alarms; its last entry is 0, for nothing found where nothing is cannot be counted.

    Args:
        confidence: detections below it are left out.
        iou: least overlap of a match, and least share of a detection inside a crowd box to be ignored.

    Raises:
        DataError: YG363 when the table and the records are not of the same split or class list.
    """
    check_same_split(records, table, num_classes=num_classes)
    result = np.zeros((num_classes + 1, num_classes + 1), dtype=np.int64)
    kept = np.flatnonzero(table.score.astype(np.float64) >= confidence)
    kept = kept[np.lexsort((-table.score[kept].astype(np.float64), table.image[kept]))]
    borders = np.searchsorted(table.image[kept], np.arange(len(records) + 1))
    for index, record in enumerate(records):
        rows = kept[borders[index] : borders[index + 1]]
        _count_image(result, record, xywh(table.boxes[rows]), table.label[rows], iou)
    return result


def _count_image(
    result: NDArray[np.int64],
    record: ImageRecord,
    boxes: NDArray[np.float64],
    labels: NDArray[np.int32],
    iou: float,
) -> None:
    background, truth = len(result) - 1, np.flatnonzero(~record.crowd)
    overlap = _overlap(boxes, xywh(record.boxes), record.crowd)
    in_crowd = np.any(overlap[:, record.crowd] >= iou, axis=1)
    overlap = overlap[:, truth]
    free = np.ones(len(truth), dtype=bool)
    for found, label in enumerate(labels):
        open_ = np.where(free & (overlap[found] >= iou), overlap[found], -1.0)
        # Of equal overlaps COCO takes the last, argmax the first: look from behind.
        best = len(open_) - 1 - int(open_[::-1].argmax()) if len(open_) else -1
        if best >= 0 and open_[best] >= 0:
            free[best] = False
            result[record.labels[truth[best]], label] += 1
        elif not in_crowd[found]:
            result[background, label] += 1
    np.add.at(result[:, background], record.labels[truth[free]], 1)


def _overlap(
    found: NDArray[np.float64], truth: NDArray[np.float64], crowd: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """IoU [D, G] of x, y, width, height boxes; against a crowd box intersection over detection area."""
    pairs = np.repeat(found, len(truth), axis=0), np.tile(truth, (len(found), 1))
    return pair_iou(*pairs, np.tile(crowd, len(found))).reshape(len(found), len(truth))
