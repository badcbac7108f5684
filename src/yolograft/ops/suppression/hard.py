"""Hard suppression: what overlaps a better box of its class above the threshold is removed (torchvision)."""

from __future__ import annotations

from yolograft.ops.suppression.greedy import greedy, nearer_than
from yolograft.ops.suppression.overlap import take
from yolograft.types import Detections

# Classes times coordinates up to which float32 still tells eighths of a pixel apart.
APART = 2**20


def hard(found: Detections, *, iou: float = 0.7, limit: int | None = None) -> Detections:
    """torchvision's ``batched_nms``; arguments and result as the room's head says.

    Put in the order of the input again: above 1,000 boxes torchvision's own order of equal scores is any.
    """
    from torchvision.ops import batched_nms

    boxes, scores, labels = found
    if boxes.numel() and float(boxes.abs().amax()) * (int(labels.max()) + 2) > APART:
        # The shift would swallow the pixels of every box for the sake of one that lies far out.
        return take(found, greedy(found, nearer_than(found, iou), limit=limit))
    # Classes are kept apart by shifting each past the largest coordinate; that needs none below 0.
    shift = boxes.amin().clamp(max=0) if boxes.numel() else 0.0
    return take(found, batched_nms(boxes - shift, scores, labels, iou).sort().values[:limit])
