"""Targets and raw predictions to try the assigner and the losses on."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from yolov8_loops import BINS

from yolograft.types import RawPredictions, Targets

STRIDES = (8, 16, 32)
CLASSES = 3
# name: image size (H, W), boxes per image, sides in pixels, how many boxes share one place
CASES: dict[str, tuple[tuple[int, int], tuple[int, ...], tuple[float, float], int]] = {
    "square": ((64, 64), (2, 3), (10, 50), 1),
    "batch of one": ((64, 64), (2,), (12, 40), 1),
    "non-square": ((64, 96), (3, 1), (10, 60), 1),
    "one image without boxes": ((64, 64), (2, 0, 3), (10, 50), 1),
    "first image without boxes": ((64, 64), (0, 2), (10, 50), 1),
    "crowded": ((96, 96), (12, 8), (20, 50), 4),
    "small": ((64, 64), (3, 3), (3, 8), 1),
    "small and crowded": ((64, 64), (6, 6), (5, 9), 3),
}


def draw_targets(name: str, seed: int) -> Targets:
    """Boxes of a case; boxes that share a place are jittered copies of one another."""
    (height, width), counts, (least, most), cluster = CASES[name]
    g = torch.Generator().manual_seed(seed)
    rows = []
    for count in counts:
        for i in range(count):
            if i % cluster == 0:
                size = least + (most - least) * torch.rand(2, generator=g)
                corner = (torch.tensor([width, height]) - size) * torch.rand(2, generator=g)
                base = torch.cat((corner, corner + size))
            jitter = 0.08 * size.repeat(2) * (torch.rand(4, generator=g) - 0.5)
            rows.append(base + (jitter if cluster > 1 else 0))
    boxes = torch.stack(rows)
    image = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    return Targets(boxes, torch.randint(0, CLASSES, (len(rows),), generator=g), image, len(counts))


def noise(size: tuple[int, int], batch: int, seed: int, *, classes: int = CLASSES) -> RawPredictions:
    """Raw predictions of no meaning."""
    g = torch.Generator().manual_seed(seed)
    shapes = [(size[0] // s, size[1] // s) for s in STRIDES]
    levels = tuple(
        (
            2 * torch.randn(batch, 4 * BINS, *shape, generator=g),
            2 * torch.randn(batch, classes, *shape, generator=g) - 2,
        )
        for shape in shapes
    )
    return RawPredictions(levels, STRIDES, size)


def near(name: str, targets: Targets, seed: int) -> RawPredictions:
    """Predictions that lie roughly on the boxes round them, as those of a net that has begun to learn."""
    raw = noise(CASES[name][0], targets.batch_size, seed)
    g = torch.Generator().manual_seed(seed + 1)
    for (box, _), stride in zip(raw.levels, STRIDES, strict=True):
        for image in range(targets.batch_size):
            mine = (targets.image == image).nonzero().squeeze(1)
            for y in range(box.shape[2]):
                for x in range(box.shape[3]):
                    if not len(mine):
                        continue
                    point = torch.tensor([x + 0.5, y + 0.5])
                    truth = targets.boxes[mine[int(torch.randint(len(mine), (1,), generator=g))]] / stride
                    closest = _closest(targets.boxes[mine] / stride, point)
                    truth = closest if closest is not None else truth
                    size = (truth[2:] - truth[:2]).repeat(2)
                    truth = truth + 0.25 * size * (torch.rand(4, generator=g) - 0.5)
                    sides = torch.cat((point - truth[:2], truth[2:] - point)).clamp(0.02, BINS - 1.02)
                    box[image, :, y, x] = torch.cat([_peak(float(d), g) for d in sides])
    return raw


def _closest(boxes: Tensor, point: Tensor) -> Tensor | None:
    """The box whose centre is nearest, if the point is near enough to be a candidate of it."""
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    index = int((centre - point).square().sum(1).argmin())
    reach = ((boxes[index, 2:] - boxes[index, :2]) / 2).clamp(min=1.0)
    return boxes[index] if bool(((centre[index] - point).abs() < reach).all()) else None


def _peak(distance: float, g: torch.Generator) -> Tensor:
    """Logits over the bins whose expectation is about ``distance``."""
    logits = -9 + torch.randn(BINS, generator=g)
    left = int(distance)
    logits[left] = math.log(max(left + 1 - distance, 1e-3))
    logits[left + 1] = math.log(max(distance - left, 1e-3))
    return logits
