"""Maps that boxes paint on the cells of a level: what a supervised map is trained towards.

A cell belongs to a box whose inside holds the centre of the cell. Along an axis on which a box holds no
centre at all, the cell of its middle stands for it, so that no box is too small or too thin to be seen.
"""

from __future__ import annotations

import torch
from torch import Tensor

from yolograft.ops.boxes import EPS
from yolograft.types import Targets

Size = tuple[int, int]


def foreground_map(targets: Targets, *, size: Size, image_size: Size) -> Tensor:
    """bool [B, 1, H, W]: the cell belongs to a box.

    Args:
        size: (H, W) of the level. image_size: (height, width) of the network input, the frame of the boxes.
    """
    _, place = _covered(targets, size, image_size)
    painted = torch.zeros(targets.batch_size * size[0] * size[1], dtype=torch.bool, device=place.device)
    painted[place] = True
    return painted.view(-1, 1, *size)


def density_map(targets: Targets, *, size: Size, image_size: Size) -> Tensor:
    """float32 [B, 1, H, W] in 0..1: the largest `crowding` of the boxes a cell belongs to, 0 elsewhere.

    Args: as for `foreground_map`, which says where the map means something.
    """
    box, place = _covered(targets, size, image_size)
    empty = torch.zeros(targets.batch_size * size[0] * size[1], device=place.device)
    return empty.scatter_reduce(0, place, crowding(targets)[box], "amax").view(-1, 1, *size)


def crowding(targets: Targets) -> Tensor:
    """float32 [M] in 0..1: the largest IoU of each box with another of its class in its image.

    The object density of Liu et al. 2019, arXiv 1904.03629. The paper has one class; with several,
    suppression acts within a class, and so does this.
    """
    same = (targets.image[:, None] == targets.image) & (targets.labels[:, None] == targets.labels)
    box, other = same.fill_diagonal_(False).nonzero(as_tuple=True)
    boxes = targets.boxes.float()
    a, b = boxes[box], boxes[other]
    common = (a[:, 2:].minimum(b[:, 2:]) - a[:, :2].maximum(b[:, :2])).clamp(0).prod(1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    iou = common / (areas[box] + areas[other] - common + EPS)
    return torch.zeros_like(areas).scatter_reduce(0, box, iou, "amax")


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of the values where a mask of their shape holds; 0, still with a graph, where it never does."""
    return (values * mask).sum() / mask.sum().clamp(min=1)


def _covered(targets: Targets, size: Size, image_size: Size) -> tuple[Tensor, Tensor]:
    """Which cells belong to which box, as pairs: box int64 [P], cell int64 [P] into B * H * W."""
    rows, columns = (
        _cells_along(targets.boxes[:, axis::2].float() * (cells / side), cells)
        for axis, cells, side in zip((1, 0), size, image_size, strict=True)
    )
    box, row, column = (rows[:, :, None] & columns[:, None, :]).nonzero(as_tuple=True)
    return box, (targets.image[box] * size[0] + row) * size[1] + column


def _cells_along(interval: Tensor, cells: int) -> Tensor:
    """bool [M, cells] for intervals [M, 2] in cells."""
    low, high = interval[:, :1], interval[:, 1:]
    corner = torch.arange(cells, device=interval.device)
    inside = (corner + 0.5 > low) & (corner + 0.5 < high)
    middle = ((low + high) / 2).floor().clamp(0, cells - 1)
    return inside | ((corner == middle) & ~inside.any(1, keepdim=True))
