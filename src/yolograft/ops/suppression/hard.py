"""Hard suppression: what overlaps a better box of its class above the threshold is removed (torchvision)."""

from __future__ import annotations

from torch import Tensor

from yolograft.types import Detections


def hard(
    boxes: Tensor,
    scores: Tensor,
    labels: Tensor,
    *,
    iou: float = 0.7,
    density: Tensor | None = None,
    limit: int | None = None,
) -> Detections:
    """torchvision's ``batched_nms``; arguments and result as the room's head says."""
    from torchvision.ops import batched_nms

    # Classes are kept apart by shifting each past the largest coordinate; that needs none below 0.
    shift = boxes.amin().clamp(max=0) if boxes.numel() else 0.0
    kept = batched_nms(boxes - shift, scores, labels, iou)[:limit]
    return Detections(boxes[kept], scores[kept], labels[kept])
