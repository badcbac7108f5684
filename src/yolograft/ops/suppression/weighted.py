"""Weighted merge: a kept box becomes the mean of itself and of what it removed, weighted by score.

Source: "CAD: Scale Invariant Framework for Real-Time Object Detection", Zhou et al. 2017, ICCV Workshops,
doi 10.1109/ICCVW.2017.95 (Weighted-NMS), as arXiv 2005.03572 has it: box = sum_i w_i box_i / sum_i w_i.
Theirs is w_i = score_i IoU_i (``by=score_iou``); the default takes the score alone. A removed box belongs to
the best kept box that removes it and to no other. The score is that of the kept box.
"""

from __future__ import annotations

import torch

from yolograft.ops.suppression.greedy import blocks, greedy, nearer_than
from yolograft.ops.suppression.overlap import overlaps, take
from yolograft.types import Detections


def weighted(
    found: Detections, *, iou: float = 0.7, limit: int | None = None, by: str = "score"
) -> Detections:
    """Greedy suppression whose clusters are averaged; arguments and result as the room's head says.

    Args:
        by: weight of a member, ``score`` or ``score_iou`` (score times overlap with the kept box).
    """
    kept = greedy(found, nearer_than(found, iou), limit=limit)
    out = take(found, kept)
    if not len(kept):
        return out
    weights = out.scores.clone()
    sums = out.boxes * weights[:, None]
    alone = torch.ones(len(found.scores), dtype=torch.bool, device=kept.device)
    alone[kept] = False
    for block in blocks(alone.nonzero().flatten()):
        shared = overlaps(found, kept, block)
        near = shared > iou
        owner = near.to(torch.uint8).argmax(0)
        member = near.any(0)
        owner, rows = owner[member], block[member]
        weight = found.scores[rows]
        if by == "score_iou":
            weight = weight * shared[owner, member.nonzero().flatten()]
        weights.index_add_(0, owner, weight)
        sums.index_add_(0, owner, found.boxes[rows] * weight[:, None])
    # A box that stands alone stays as it is, to the last bit; so does one of score 0.
    merged = torch.where((weights > out.scores)[:, None], sums / weights[:, None], out.boxes)
    return out._replace(boxes=merged)
