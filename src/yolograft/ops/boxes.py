"""Box geometry on tensors: formats, overlap, anchor points. Boxes are xyxy unless a name says otherwise."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

EPS = 1e-7


def anchor_points(
    shapes: Sequence[tuple[int, int]], strides: Sequence[int], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Centres of the cells of all levels, row by row.

    Returns:
        points float32 [A, 2] (x, y) in *cells* of the own level, and stride float32 [A, 1] in input pixels.
    """
    points, steps = [], []
    for (height, width), stride in zip(shapes, strides, strict=True):
        x = torch.arange(width, device=device, dtype=torch.float32) + 0.5
        y = torch.arange(height, device=device, dtype=torch.float32) + 0.5
        grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
        points.append(torch.stack((grid_x, grid_y), -1).reshape(-1, 2))
        steps.append(torch.full((height * width, 1), float(stride), device=device))
    return torch.cat(points), torch.cat(steps)


def distances_to_boxes(distances: Tensor, points: Tensor) -> Tensor:
    """(left, top, right, bottom) distances [..., 4] from points [..., 2] to xyxy, in the same unit."""
    left_top, right_bottom = distances.chunk(2, -1)
    return torch.cat((points - left_top, points + right_bottom), -1)


def boxes_to_distances(boxes: Tensor, points: Tensor, limit: float) -> Tensor:
    """xyxy to (left, top, right, bottom) distances from points, clamped to [0, limit]."""
    left_top, right_bottom = boxes.chunk(2, -1)
    return torch.cat((points - left_top, right_bottom - points), -1).clamp(0, limit)


def complete_iou(a: Tensor, b: Tensor) -> Tensor:
    """Complete IoU of aligned boxes [..., 4], [..., 4] -> [...]: IoU - centre distance - aspect term.

    The weight of the aspect term carries no gradient. Source: Zheng et al. 2019, arXiv 1911.08287.
    """
    ax1, ay1, ax2, ay2 = a.unbind(-1)
    bx1, by1, bx2, by2 = b.unbind(-1)
    aw, ah = ax2 - ax1, ay2 - ay1 + EPS
    bw, bh = bx2 - bx1, by2 - by1 + EPS
    inter = (ax2.minimum(bx2) - ax1.maximum(bx1)).clamp(0) * (ay2.minimum(by2) - ay1.maximum(by1)).clamp(0)
    iou = inter / (aw * ah + bw * bh - inter + EPS)
    hull_w = ax2.maximum(bx2) - ax1.minimum(bx1)
    hull_h = ay2.maximum(by2) - ay1.minimum(by1)
    diagonal = hull_w.square() + hull_h.square() + EPS
    centre = ((bx1 + bx2 - ax1 - ax2).square() + (by1 + by2 - ay1 - ay2).square()) / 4
    aspect = (4 / math.pi**2) * ((bw / bh).atan() - (aw / ah).atan()).square()
    with torch.no_grad():
        weight = aspect / (aspect - iou + (1 + EPS))
    return iou - (centre / diagonal + aspect * weight)
