"""Adaptive suppression: where objects stand close together a box must overlap more to be removed.

Source: "Adaptive NMS: Refining Pedestrian Detection in a Crowd", Liu, Huang and Wang 2019, arXiv
1904.03629. That is `adaptive`: a kept box M removes what overlaps it by more than max(iou, d_M), d_M being
its density: the largest IoU of its object with any other object, predicted by a branch beside the detector.

`adaptive_free` is NOT the paper's: it needs no branch and no training, and estimates d_M from the candidates
themselves as the largest IoU, up to ``same``, with one of its class whose score is at least ``share`` of its
own. Above ``same`` two candidates are taken for one object; a rival nearly as sure as M and yet clearly
displaced is taken for a neighbour. Candidates alone cannot tell a displaced duplicate from a neighbour, so it
also keeps duplicates that hard suppression removes, and it can only act between ``iou`` and ``same``.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from yolograft.errors import SpecError
from yolograft.ops.suppression.greedy import greedy
from yolograft.ops.suppression.overlap import overlaps, take
from yolograft.types import Detections


def adaptive(
    found: Detections, *, iou: float = 0.7, limit: int | None = None, density: Tensor | None = None
) -> Detections:
    """Suppression by predicted density [N] in 0..1; arguments and result as the room's head says.

    Raises:
        SpecError: there is no density (YG370).
    """
    if density is None:
        raise SpecError(
            "YG370",
            "adaptive takes predicted density, and no level of this detector's head has it",
            fix="train with density@neck.p3,neck.p4,neck.p5, or use adaptive_free",
        )
    threshold = density.float().clamp(min=iou)
    kept = greedy(found, lambda i, j: overlaps(found, i, j) > threshold[i][:, None], limit=limit)
    return take(found, kept)


def adaptive_free(
    found: Detections,
    *,
    iou: float = 0.7,
    limit: int | None = None,
    same: float = 0.8,
    share: float = 0.5,
) -> Detections:
    """Suppression by density estimated from the candidates; arguments and result as the room's head says.

    Args:
        same: overlap above which two candidates are one object.
        share: least score of a neighbour, as a share of the box's own.
    """
    everyone = torch.arange(len(found.scores), device=found.boxes.device)
    threshold = torch.full_like(found.scores, math.nan)

    def suppresses(left: Tensor, right: Tensor) -> Tensor:
        # Only boxes that come to be asked need an estimate: those not yet removed, up to the limit.
        new = left[threshold[left].isnan()]
        if len(new):
            # Best first, so those sure enough for the least sure of the block stand at the front.
            sure = everyone[: int((found.scores >= share * found.scores[new[-1]]).sum())]
            near = overlaps(found, new, sure)
            rival = found.scores[sure] >= share * found.scores[new][:, None]
            rival &= (near <= same) & (new[:, None] != sure)
            threshold[new] = near.mul_(rival).amax(1).clamp(min=iou)
        return overlaps(found, left, right) > threshold[left][:, None]

    return take(found, greedy(found, suppresses, limit=limit))
