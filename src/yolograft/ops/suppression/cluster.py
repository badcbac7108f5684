"""Cluster suppression: hard suppression by matrices, and its form that lowers scores and removes nothing.

Source: "Enhancing Geometric Factors in Model Learning and Inference for Object Detection and Instance
Segmentation", Zheng et al. 2020, arXiv 2005.03572. Plain Cluster-NMS gives what hard suppression gives
(their proposition 1); the rounds are in `greedy`. With the score penalty (Cluster-NMS_S) a box j keeps
s_j prod_i exp(-c_ij^2 / sigma), c_ij being its overlap with each better box i that plain suppression keeps.
Deviation: suppression is strictly above the threshold.
"""

from __future__ import annotations

import torch

from yolograft.ops.suppression.greedy import blocks, greedy, nearer_than
from yolograft.ops.suppression.overlap import overlaps, ranked, take
from yolograft.types import Detections


def cluster(
    found: Detections,
    *,
    iou: float = 0.7,
    limit: int | None = None,
    penalty: str = "none",
    sigma: float = 0.2,
) -> Detections:
    """Cluster-NMS; arguments and result as the room's head says.

    Args:
        penalty: ``none`` removes, ``score`` lowers scores instead. sigma: of the penalty; larger is milder.
    """
    if penalty == "none":
        return take(found, greedy(found, nearer_than(found, iou), limit=limit))
    kept = greedy(found, nearer_than(found, iou))
    lowered = found.scores.clone()
    for block in blocks(torch.arange(len(lowered), device=lowered.device)):
        better = kept[: int(torch.searchsorted(kept, block[-1]))]
        shared = overlaps(found, better, block).mul_(better[:, None] < block)
        lowered[block] *= shared.square_().sum(0).div_(-sigma).exp_()
    fresh, _ = ranked(found.boxes, lowered, found.labels)
    return Detections(*(part[:limit] for part in fresh))
