"""Random ground truth for the tests against the published packages."""

from __future__ import annotations

import torch

from yolograft.types import Targets


def draw(
    size: tuple[int, int], counts: list[int], sides: tuple[float, float], classes: int, seed: int
) -> Targets:
    """Boxes inside an image of `size` (H, W); `counts` per image, sides in pixels."""
    g = torch.Generator().manual_seed(seed)
    total = sum(counts)
    limit = torch.tensor([size[1], size[0]], dtype=torch.float32)
    wh = (sides[0] + (sides[1] - sides[0]) * torch.rand(total, 2, generator=g)).minimum(limit)
    xy = (limit - wh) * torch.rand(total, 2, generator=g)
    image = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    labels = torch.randint(0, classes, (total,), generator=g)
    return Targets(torch.cat((xy, xy + wh), 1), labels, image, len(counts))
