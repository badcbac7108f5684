"""From scored boxes to final detections: confidence filter and class-wise non-maximum suppression."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from yolograft.ops.suppression.table import Suppression
from yolograft.types import Detections

# Suppression is quadratic in the worst case; an untrained net can score every anchor for every class.
MAX_CANDIDATES = 30_000
# Farther out, areas and squared distances leave the range of float32, and overlaps are no numbers.
FARTHEST = 1e15


class Candidates(NamedTuple):
    """What suppression chooses from, in one image.

    boxes: float32 [N, 4] xyxy, any frame. scores: float32 [N] in 0..1. labels: int64 [N]. anchor: int64 [N],
    the anchor point each came from. density: float32 [N] predicted crowding in 0..1, None without.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    anchor: Tensor
    density: Tensor | None = None


def candidates(
    boxes: Tensor, scores: Tensor, *, confidence: float = 0.001, density: Tensor | None = None
) -> Candidates:
    """A box once for every class whose score exceeds ``confidence``, the best `MAX_CANDIDATES` of them.

    A box that is not finite, or beyond `FARTHEST`, is none.

    Args:
        boxes: [A, 4] xyxy, any frame. scores: [A, C] in 0..1. density: [A] or None.
    """
    within = (boxes.float().abs() <= FARTHEST).all(1)
    anchor, label = ((scores > confidence) & within[:, None]).nonzero(as_tuple=True)
    score = scores[anchor, label].float()
    if score.numel() > MAX_CANDIDATES:
        top = score.argsort(descending=True, stable=True)[:MAX_CANDIDATES]
        score, anchor, label = score[top], anchor[top], label[top]
    crowding = None if density is None else density[anchor].float()
    return Candidates(boxes[anchor].float(), score, label, anchor, crowding)


def suppress(
    found: Candidates,
    *,
    method: Suppression | None = None,
    confidence: float = 0.001,
    iou: float = 0.7,
    limit: int = 300,
) -> Detections:
    """Detections of one image in the frame of its candidates, best score first; hard unless said otherwise.

    What a method lowers to ``confidence`` or below is gone.

    Raises:
        SpecError: the method takes density and there is none (YG370).
    """
    method = method or Suppression()
    kept = method(found.boxes, found.scores, found.labels, iou=iou, density=found.density, limit=limit)
    sure = int((kept.scores > confidence).sum())
    return Detections(*(part[:sure] for part in kept))


def empty_detections(device: torch.device | str = "cpu") -> Detections:
    """No detection at all."""
    return Detections(
        torch.zeros((0, 4), device=device),
        torch.zeros(0, device=device),
        torch.zeros(0, dtype=torch.long, device=device),
    )
