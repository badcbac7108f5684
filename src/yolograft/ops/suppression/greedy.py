"""Greedy suppression by matrices: the best box left is kept and removes what it suppresses, block by block.

Source: "Enhancing Geometric Factors in Model Learning and Inference for Object Detection and Instance
Segmentation", Zheng et al. 2020, arXiv 2005.03572 (Cluster-NMS): with the suppression relation X as a
strictly upper triangular matrix over boxes best first, b <- not any(diag(b) X) has the greedy answer as its
only fixed point and reaches it in about as many rounds as the longest chain of suppressions. Any relation
will do.

Deviation: the matrix is never whole. A block of boxes meets those kept so far, then itself, so that memory
grows with boxes kept times `BLOCK`, and nothing is computed past the limit.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from yolograft.ops.suppression.overlap import overlaps
from yolograft.types import Detections

BLOCK = 256
# (rows I, rows J) -> bool [I, J]: does row i, if kept, remove row j behind it?
Relation = Callable[[Tensor, Tensor], Tensor]


def blocks(rows: Tensor) -> tuple[Tensor, ...]:
    """Rows int64 [N] in pieces of at most `BLOCK`; none where there is none."""
    return rows.split(BLOCK) if len(rows) else ()


def greedy(found: Detections, suppresses: Relation, *, limit: int | None = None) -> Tensor:
    """Rows kept of boxes that stand best first, ascending, int64 [K], at most ``limit`` of them."""
    kept = torch.zeros(0, dtype=torch.long, device=found.boxes.device)
    for block in blocks(torch.arange(len(found.scores), device=kept.device)):
        if len(kept):
            block = block[~suppresses(kept, block).any(0)]
        kept = torch.cat((kept, block[_settled(suppresses(block, block).triu(1))]))
        if limit is not None and len(kept) >= limit:
            return kept[:limit]
    return kept


def nearer_than(found: Detections, iou: float) -> Relation:
    """The relation of hard suppression: the same class, and an overlap above ``iou``."""
    return lambda left, right: overlaps(found, left, right) > iou


def _settled(above: Tensor) -> Tensor:
    """Which rows are left, bool [B]; ``above`` bool [B, B], strictly upper triangular."""
    left = torch.ones(len(above), dtype=torch.bool, device=above.device)
    while True:
        now = ~(above & left[:, None]).any(0)
        if torch.equal(now, left):
            return left
        left = now
