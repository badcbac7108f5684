"""Losses between a predicted and a true box, one name each.

Boxes are aligned xyxy [..., 4] in any common unit, sides not negative; every loss is [...], 0 where the
boxes are equal, and does not change when both boxes are moved or scaled together.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from yolograft.ops.boxes import EPS, complete_iou

BoxLoss = Callable[[Tensor, Tensor], Tensor]
# Weight of the shape term of SIoU; the paper searched 2 to 6 and settled near 4.
SHAPE_EXPONENT = 4


def ciou_loss(predicted: Tensor, truth: Tensor) -> Tensor:
    """1 - complete IoU: overlap, centre distance, aspect ratio. Zheng et al. 2019, arXiv 1911.08287."""
    return 1 - complete_iou(predicted, truth)


def giou_loss(predicted: Tensor, truth: Tensor) -> Tensor:
    """1 - generalised IoU: overlap and the empty part of the hull. Rezatofighi et al. 2019, 1902.09630."""
    from torchvision.ops import generalized_box_iou_loss

    return generalized_box_iou_loss(predicted, truth)


def diou_loss(predicted: Tensor, truth: Tensor) -> Tensor:
    """1 - distance IoU: overlap and centre distance. Zheng et al. 2019, arXiv 1911.08287."""
    from torchvision.ops import distance_box_iou_loss

    return distance_box_iou_loss(predicted, truth)


def siou_loss(predicted: Tensor, truth: Tensor) -> Tensor:
    """1 - IoU + (distance + shape) / 2, the distance weighted by its angle. Gevorgyan 2022, 2205.12740.

    The angle term sin(2 asin(dy / d)) is written as 2 |dx dy| / d^2: the same number without arcs.
    """
    offset, size, true_size, hull = _geometry(predicted, truth)
    dx, dy = offset.unbind(-1)
    angle = 2 * (dx * dy).abs() / (dx.square() + dy.square() + EPS)
    distance = (1 - torch.exp((angle - 2)[..., None] * (offset / (hull + EPS)).square())).sum(-1)
    change = (size - true_size).abs() / (size.maximum(true_size) + EPS)
    shape = (1 - torch.exp(-change)).pow(SHAPE_EXPONENT).sum(-1)
    return 1 - _iou(predicted, truth) + (distance + shape) / 2


def wiou_loss(predicted: Tensor, truth: Tensor) -> Tensor:
    """(1 - IoU) raised by the centre distance: Wise-IoU v1, Tong et al. 2023, arXiv 2301.10051.

    The hull carries no gradient. v2 and v3 of the paper weigh by a running mean over the training so far;
    that hidden state would make a step depend on more than its batch, and is left out.
    """
    offset, _, _, hull = _geometry(predicted, truth)
    factor = torch.exp(offset.square().sum(-1) / (hull.detach().square().sum(-1) + EPS))
    return factor * (1 - _iou(predicted, truth))


def _geometry(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Offset of the centres, both sizes, and the size of the smallest box around both: each [..., 2]."""
    offset = (b[..., :2] + b[..., 2:] - a[..., :2] - a[..., 2:]) / 2
    hull = a[..., 2:].maximum(b[..., 2:]) - a[..., :2].minimum(b[..., :2])
    return offset, a[..., 2:] - a[..., :2], b[..., 2:] - b[..., :2], hull


def _iou(a: Tensor, b: Tensor) -> Tensor:
    common = (a[..., 2:].minimum(b[..., 2:]) - a[..., :2].maximum(b[..., :2])).clamp(0).prod(-1)
    areas = (a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1)
    return common / (areas - common + EPS)


BOX_LOSSES: dict[str, BoxLoss] = {
    "ciou": ciou_loss,
    "giou": giou_loss,
    "diou": diou_loss,
    "siou": siou_loss,
    "wiou": wiou_loss,
}
