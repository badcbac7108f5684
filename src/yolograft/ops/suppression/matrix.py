"""Matrix suppression: every box is lowered at once by the better box that lowers it most.

Source: "SOLOv2: Dynamic and Fast Instance Segmentation", Wang et al. 2020, arXiv 2003.10152, section "Matrix
NMS". With boxes best first and f(iou) = 1 - iou or exp(-iou^2 / sigma),

    s_j <- s_j min_{i < j} f(iou_ij) / f(max_{k < i} iou_ki),

the divisor standing for the chance that i itself was suppressed. Nothing is removed; confidence does that.
Deviations: boxes instead of masks; all candidates instead of the best 500; a box i that another covers
wholly (linear f = 0) lowers none. Computed block by block: no score rises, so nothing behind the limit's
score needs looking at.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from yolograft.ops.suppression.greedy import blocks
from yolograft.ops.suppression.overlap import overlaps, ranked
from yolograft.types import Detections


def matrix(
    found: Detections, *, limit: int | None = None, method: str = "gaussian", sigma: float = 0.5
) -> Detections:
    """Matrix NMS; arguments and result as the room's head says.

    Args:
        method: ``gaussian`` or ``linear``. sigma: of the Gaussian; larger is milder.
    """
    rows = torch.arange(len(found.scores), device=found.boxes.device)
    lowered = found.scores.clone()
    unhidden = torch.ones_like(lowered)  # f of the largest overlap with a better box
    done = 0
    for block in blocks(rows):
        done = int(block[-1]) + 1
        better = rows[:done]
        shared = overlaps(found, better, block).mul_(better[:, None] < block)
        unhidden[block] = _left(shared.amax(0), method, sigma)
        shown = unhidden[:done]
        ratio = _left(shared, method, sigma).div_(shown[:, None])
        ratio.masked_fill_((shown == 0)[:, None], math.inf)
        lowered[block] *= ratio.amin(0).clamp_(max=1)
        if (
            limit
            and limit <= done < len(rows)
            and lowered[:done].topk(limit).values[-1] >= found.scores[done]
        ):
            break
    fresh, _ = ranked(found.boxes[:done], lowered[:done], found.labels[:done])
    return Detections(*(part[:limit] for part in fresh))


def _left(shared: Tensor, method: str, sigma: float) -> Tensor:
    """f: what is left of a score at an overlap."""
    return 1 - shared if method == "linear" else shared.square().div_(-sigma).exp_()
