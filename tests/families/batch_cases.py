"""Batches every family has to train on: image size and targets by name, three classes."""

from __future__ import annotations

import torch

from yolograft.types import Targets


def targets(*rows: tuple[int, int, float, float, float, float], batch: int) -> Targets:
    """Rows of image, label, x1, y1, x2, y2."""
    table = torch.tensor(rows, dtype=torch.float32).reshape(-1, 6)
    return Targets(table[:, 2:], table[:, 1].long(), table[:, 0].long(), batch)


BATCHES = {
    "boxes": ((64, 64), targets((0, 1, 5, 5, 40, 50), (1, 2, 20, 10, 60, 40), batch=2)),
    "no boxes at all": ((64, 64), targets(batch=2)),
    "one image without boxes": ((64, 64), targets((1, 0, 5, 5, 40, 50), batch=3)),
    "batch of one": ((64, 64), targets((0, 0, 8, 8, 30, 30), batch=1)),
    "non-square": ((64, 160), targets((0, 1, 100, 5, 150, 60), (1, 1, 0, 0, 20, 20), batch=2)),
    "larger than the image": ((64, 64), targets((0, 0, -500, -500, 600, 600), batch=2)),
    "duplicates": ((64, 64), targets(*[(0, 0, 8, 8, 50, 50)] * 5, batch=1)),
}
