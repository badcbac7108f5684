"""What all methods start from: the boxes best first, and how far two of them overlap."""

from __future__ import annotations

import torch
from torch import Tensor

from yolograft.types import Detections

# Boxes without area overlap nothing, themselves included.
_LEAST = 1e-30


def ranked(boxes: Tensor, scores: Tensor, labels: Tensor) -> tuple[Detections, Tensor]:
    """The scored boxes best first, ties in their order, and their rows in the input, int64 [N]."""
    order = scores.argsort(descending=True, stable=True)
    return Detections(boxes[order].float(), scores[order].float(), labels[order]), order


def take(found: Detections, rows: Tensor) -> Detections:
    """The named rows."""
    return Detections(found.boxes[rows], found.scores[rows], found.labels[rows])


def overlaps(found: Detections, left: Tensor, right: Tensor) -> Tensor:
    """IoU of the rows ``left`` [I] with the rows ``right`` [J], [I, J] in 0..1; 0 between classes."""
    iou = iou_matrix(found.boxes[left], found.boxes[right])
    return iou.mul_(found.labels[left][:, None] == found.labels[right])


def iou_matrix(a: Tensor, b: Tensor) -> Tensor:
    """IoU of xyxy boxes [I, 4] with [J, 4]: [I, J] in 0..1, 0 where neither has an area."""
    ax1, ay1, ax2, ay2 = a[:, :, None].unbind(1)
    bx1, by1, bx2, by2 = b.unbind(1)
    width = torch.minimum(ax2, bx2).sub_(torch.maximum(ax1, bx1)).clamp_(min=0)
    height = torch.minimum(ay2, by2).sub_(torch.maximum(ay1, by1)).clamp_(min=0)
    inter = width.mul_(height)
    union = (_areas(a)[:, None] + _areas(b)).sub_(inter).clamp_(min=_LEAST)
    return inter.div_(union)


def centre_distance(a: Tensor, b: Tensor) -> Tensor:
    """Squared distance of centres over the squared diagonal of the hull, [I, J] in 0..1; 0 for points alike.

    Source: Zheng et al. 2019, arXiv 1911.08287, R_DIoU.
    """
    ax1, ay1, ax2, ay2 = a[:, :, None].unbind(1)
    bx1, by1, bx2, by2 = b.unbind(1)
    between = ((ax1 + ax2) - (bx1 + bx2)).square_().add_(((ay1 + ay2) - (by1 + by2)).square_()).div_(4)
    width = torch.maximum(ax2, bx2).sub_(torch.minimum(ax1, bx1))
    height = torch.maximum(ay2, by2).sub_(torch.minimum(ay1, by1))
    return between.div_(width.square_().add_(height.square_()).clamp_(min=_LEAST))


def _areas(boxes: Tensor) -> Tensor:
    return (boxes[:, 2] - boxes[:, 0]).clamp(min=0) * (boxes[:, 3] - boxes[:, 1]).clamp(min=0)
