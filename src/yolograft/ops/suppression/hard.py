"""Hard suppression: what overlaps a better box of its class above the threshold is removed (torchvision)."""

from __future__ import annotations

from torch import Tensor

from yolograft.ops.suppression.greedy import greedy, nearer_than
from yolograft.ops.suppression.overlap import ranked, take
from yolograft.types import Detections

# Classes times coordinates up to which float32 still tells eighths of a pixel apart.
APART = 2**20


def hard(
    boxes: Tensor,
    scores: Tensor,
    labels: Tensor,
    *,
    iou: float = 0.7,
    density: Tensor | None = None,
    limit: int | None = None,
) -> Detections:
    """torchvision's ``batched_nms``; arguments and result as the room's head says.

    Ranked before and put in order after: above 1,000 boxes torchvision's own order of equal scores is any.
    """
    from torchvision.ops import batched_nms

    if boxes.numel() and float(boxes.abs().amax()) * (int(labels.max()) + 2) > APART:
        # The shift would swallow the pixels of every box for the sake of one that lies far out.
        found, _ = ranked(boxes, scores, labels)
        return take(found, greedy(found, nearer_than(found, iou), limit=limit))
    # Classes are kept apart by shifting each past the largest coordinate; that needs none below 0.
    shift = boxes.amin().clamp(max=0) if boxes.numel() else 0.0
    order = scores.argsort(descending=True, stable=True)
    kept = batched_nms((boxes - shift)[order], scores[order], labels[order], iou)
    kept = order[kept.sort().values[:limit]]
    return Detections(boxes[kept], scores[kept], labels[kept])
