"""Soft suppression: a kept box lowers the scores of what overlaps it and removes nothing.

Source: "Soft-NMS -- Improving Object Detection With One Line of Code", Bodla et al. 2017, arXiv 1704.04503.
The best box left is taken, and each other one of its class keeps s (1 - iou) where iou reaches the threshold
(linear) or s exp(-iou^2 / sigma) (Gaussian); then the best is sought anew. The confidence removes what fell
below it. Deviation: linear lowers strictly above the threshold.

One box after the other by nature: the work is boxes taken times boxes left of the class. No score rises, so
the first ``limit`` boxes taken are the best ``limit`` of all, and no more are taken.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from yolograft.ops.suppression.overlap import take
from yolograft.types import Detections

_F32 = NDArray[np.float32]
# Boxes without area overlap nothing.
_LEAST = 1e-30


def soft(
    found: Detections,
    *,
    iou: float = 0.7,
    limit: int | None = None,
    method: str = "gaussian",
    sigma: float = 0.5,
) -> Detections:
    """Soft-NMS on the CPU; arguments and result as the room's head says. Gaussian does not read ``iou``.

    Args:
        method: ``gaussian`` or ``linear``. sigma: of the Gaussian; larger is milder.
    """
    # Class by class, so that every class is one stretch of memory; best first within each.
    rank = found.labels.argsort(stable=True).cpu().numpy()
    corners = np.ascontiguousarray(found.boxes.cpu().numpy()[rank].T)
    left, label = found.scores.cpu().numpy()[rank], found.labels.cpu().numpy()[rank]
    first, last = np.searchsorted(label, label, "left"), np.searchsorted(label, label, "right")
    area = np.prod(np.maximum(corners[2:] - corners[:2], 0), 0)
    count = len(left) if limit is None else min(limit, len(left))
    taken, final = np.zeros(count, np.int64), np.zeros(count, np.float32)
    for turn in range(count):
        best = np.flatnonzero(left == left.max())
        top = best[rank[best].argmin()]
        taken[turn], final[turn] = top, left[top]
        peers = slice(first[top], last[top])
        shared = _overlap(corners[:, top], corners[:, peers], area[top] + area[peers])
        if method == "linear":
            left[peers] *= np.where(shared > iou, 1 - shared, np.float32(1))
        else:
            left[peers] *= np.exp(shared * shared / np.float32(-sigma))
        left[taken[: turn + 1]] = -1
    order = torch.from_numpy(rank[taken]).to(found.boxes.device)
    return take(found, order)._replace(scores=torch.from_numpy(final).to(order.device))


def _overlap(box: _F32, others: _F32, areas: _F32) -> _F32:
    """IoU of one box [4] with others [4, J], [J], ``areas`` the sums of both; 0 where neither has an area."""
    width = np.maximum(np.minimum(box[2], others[2]) - np.maximum(box[0], others[0]), 0)
    height = np.maximum(np.minimum(box[3], others[3]) - np.maximum(box[1], others[1]), 0)
    inter = width * height
    return inter / np.maximum(areas - inter, _LEAST)
