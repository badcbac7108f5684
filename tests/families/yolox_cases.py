"""Targets and raw predictions to try YOLOX's assigner and losses on, in double precision."""

from __future__ import annotations

import torch
from torch import Tensor

from yolograft.types import RawPredictions, Targets

STRIDES = (8, 16, 32)
CLASSES = 3
Size = tuple[int, int]
# name: image size (H, W), boxes per image, sides in pixels
CASES: dict[str, tuple[Size, tuple[int, ...], tuple[float, float]]] = {
    "square": ((64, 64), (2, 3), (10, 50)),
    "batch of one": ((64, 64), (2,), (12, 40)),
    "non-square": ((64, 96), (3, 1), (10, 60)),
    "one image without boxes": ((64, 64), (2, 0, 3), (10, 50)),
    "first image without boxes": ((64, 64), (0, 2), (10, 50)),
    "crowded": ((96, 96), (14, 9), (20, 60)),
    "smaller than a cell": ((64, 64), (5, 4), (1, 7)),
    "small and crowded": ((64, 96), (20, 12), (3, 14)),
    "large": ((128, 96), (3, 4), (70, 96)),
}


def draw_targets(
    size: Size, counts: tuple[int, ...], sides: tuple[float, float], seed: int, *, classes: int = CLASSES
) -> Targets:
    """Boxes inside the image; those of one image lean towards a common place."""
    g = torch.Generator().manual_seed(seed)
    total = sum(counts)
    limit = torch.tensor([size[1], size[0]], dtype=torch.float32)
    wh = (sides[0] + (sides[1] - sides[0]) * torch.rand(total, 2, generator=g)).minimum(limit)
    xy = (limit - wh) * (0.3 + 0.7 * torch.rand(total, 2, generator=g))
    image = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    labels = torch.randint(0, classes, (total,), generator=g)
    return Targets(torch.cat((xy, xy + wh), 1), labels, image, len(counts))


def noise(size: Size, batch: int, seed: int, *, classes: int = CLASSES) -> RawPredictions:
    """Raw predictions of no meaning."""
    g = torch.Generator().manual_seed(seed)

    def level(stride: int) -> tuple[Tensor, ...]:
        shape = size[0] // stride, size[1] // stride
        box = torch.randn(batch, 4, *shape, generator=g, dtype=torch.float64)
        obj = torch.randn(batch, 1, *shape, generator=g, dtype=torch.float64) - 1
        cls = 2 * torch.randn(batch, classes, *shape, generator=g, dtype=torch.float64) - 2
        return box, obj, cls

    return RawPredictions(tuple(level(stride) for stride in STRIDES), STRIDES, size)


def near(size: Size, targets: Targets, seed: int, *, spread: float = 0.3) -> RawPredictions:
    """Predictions that lie roughly on the nearest box, as those of a net that has begun to learn."""
    raw = noise(size, targets.batch_size, seed)
    for (box, _, _), stride in zip(raw.levels, STRIDES, strict=True):
        rows, columns = (torch.arange(n, dtype=torch.float64) for n in box.shape[-2:])
        cells = torch.stack(torch.meshgrid(columns, rows, indexing="xy"))  # [2, H, W]
        for image in range(targets.batch_size):
            truth = targets.boxes[targets.image == image].double() / stride
            if not len(truth):
                continue
            centre, sides = (truth[:, :2] + truth[:, 2:]) / 2, truth[:, 2:] - truth[:, :2]
            gaps = (cells[None] + 0.5 - centre[:, :, None, None]).square().sum(1)
            closest = gaps.argmin(0)
            offset = centre[closest].permute(2, 0, 1) - cells
            box[image] = spread * box[image] + torch.cat((offset, sides[closest].permute(2, 0, 1).log()))
    return raw


def single(raw: RawPredictions) -> RawPredictions:
    """The same predictions in float32."""
    levels = tuple(tuple(branch.float() for branch in level) for level in raw.levels)
    return RawPredictions(levels, raw.strides, raw.image_size)


def drawn(name: str, seed: int) -> tuple[RawPredictions, Targets]:
    """Predictions and targets of a case."""
    size, counts, sides = CASES[name]
    targets = draw_targets(size, counts, sides, seed)
    return near(size, targets, seed + 1), targets
