"""From scored boxes to final detections: confidence filter and class-wise non-maximum suppression."""

from __future__ import annotations

import torch
from torch import Tensor

from yolograft.types import Detections

# Suppression is quadratic in the worst case; an untrained net can score every anchor for every class.
MAX_CANDIDATES = 30_000


def multi_label_nms(
    boxes: Tensor, scores: Tensor, *, confidence: float = 0.001, iou: float = 0.7, limit: int = 300
) -> Detections:
    """Detections of one image.

    A box counts once for every class whose score exceeds ``confidence``; suppression acts within a class.

    Args:
        boxes: [A, 4] xyxy, any frame. scores: [A, C] in 0..1. limit: most detections kept.

    Returns:
        Detections in the frame of ``boxes``, best score first.
    """
    from torchvision.ops import batched_nms

    anchor, label = (scores > confidence).nonzero(as_tuple=True)
    score = scores[anchor, label].float()
    if score.numel() > MAX_CANDIDATES:
        score, top = score.topk(MAX_CANDIDATES)
        anchor, label = anchor[top], label[top]
    candidate = boxes[anchor].float()
    # Classes are kept apart by shifting each past the largest coordinate; that needs none below 0.
    shift = candidate.amin().clamp(max=0) if candidate.numel() else 0.0
    kept = batched_nms(candidate - shift, score, label, iou)[:limit]
    return Detections(candidate[kept], score[kept], label[kept])


def empty_detections(device: torch.device | str = "cpu") -> Detections:
    """No detection at all."""
    return Detections(
        torch.zeros((0, 4), device=device),
        torch.zeros(0, device=device),
        torch.zeros(0, dtype=torch.long, device=device),
    )
