"""YOLOv5 (v6): one convolution a level over anchors, ratio matching, CIoU + objectness + class BCE loss.

Sources: the architecture summary published with the family; YOLOv3, Redmon et al. 2018, arXiv 1804.02767
(anchors, objectness); CIoU, Zheng et al. 2019, arXiv 1911.08287. Parity with the published family is shown
by running it as a black box (tests/peers).

A level has one map [B, N * (5 + C), H, W], anchor by anchor: logits of x, y, width, height, objectness and
the C classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from yolograft.errors import ModuleError
from yolograft.ops.box_losses import BOX_LOSSES
from yolograft.ops.boxes import complete_iou
from yolograft.ops.precision import full_precision
from yolograft.types import Losses, RawPredictions, Targets

Inner = Callable[[int], nn.Module]
# x, y, width, height, objectness: what stands in front of the class logits of an anchor.
BOX_AND_OBJECT = 5
# Weight of the objectness of each level, widest map first, for three levels and for any other number.
BALANCE_OF_THREE = (4.0, 1.0, 0.4)
BALANCE = (4.0, 1.0, 0.25, 0.06, 0.02)
# The cell itself, then its neighbours left, above, right, below: where the centre is nearest an edge.
STEPS = ((0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (-0.5, 0.0), (0.0, -0.5))


class YOLOv5Head(nn.Module):
    """One 1x1 convolution on every level.

    anchors: (width, height) pairs in input pixels, flat, the same number of anchors on each level, in the
    order of the levels. There are no branches, so there is nothing to graft inside.

    Raises:
        ModuleError: a graft inside (YG209); anchors of another form (YG210).
    """

    anchors: Tensor  # [L, N, 2] input pixels

    def __init__(
        self,
        in_channels: Sequence[int],
        *,
        num_classes: int,
        strides: Sequence[int],
        anchors: Sequence[float],
        inside: dict[str, Inner] | None = None,
    ) -> None:
        super().__init__()
        if inside:
            cause = f"the head of YOLOv5 is one convolution a level: it has no branch '{next(iter(inside))}'"
            raise ModuleError("YG209", cause, fix="graft onto the map it reads, e.g. neck.p3")
        self.num_classes = num_classes
        self.strides = tuple(strides)
        pairs = _read_anchors(anchors, levels=len(self.strides))
        # The spec holds them; in a checkpoint they would only repeat it.
        self.register_buffer("anchors", pairs, persistent=False)
        self.out_channels = pairs.shape[1] * (BOX_AND_OBJECT + num_classes)
        self.predict = nn.ModuleList(nn.Conv2d(width, self.out_channels, 1) for width in in_channels)
        self._prime_biases()

    @torch.no_grad()
    def _prime_biases(self) -> None:
        # Start with about 8 objects in an image of 640 pixels and with classes that are rare alike.
        for conv, stride in zip(self.predict, self.strides, strict=True):
            bias = conv.get_parameter("bias").view(self.anchors.shape[1], -1)
            bias[:, 4] += math.log(8 / (640 / stride) ** 2)
            bias[:, BOX_AND_OBJECT:] += math.log(0.6 / (self.num_classes - 0.99999))

    def forward(self, maps: Sequence[Tensor]) -> RawPredictions:
        levels = tuple((conv(x),) for conv, x in zip(self.predict, maps, strict=True))
        height, width = maps[0].shape[-2:]
        return RawPredictions(levels, self.strides, (height * self.strides[0], width * self.strides[0]))


def _read_anchors(anchors: Sequence[float], *, levels: int) -> Tensor:
    fits = len(anchors) > 0 and len(anchors) % (2 * levels) == 0
    if not fits or not all(math.isfinite(side) and side > 0 for side in anchors):
        wanted = f"positive width, height pairs, as many on each of {levels} levels"
        raise ModuleError("YG210", f"yolov5_head: anchors must be {wanted}, got {list(anchors)}")
    return torch.tensor(anchors, dtype=torch.float32).view(levels, -1, 2)


def decode(raw: RawPredictions, head: YOLOv5Head) -> tuple[Tensor, Tensor]:
    """Boxes float32 [B, A, 4], xyxy in input pixels, and scores float32 [B, A, C], object times class.

    The order of A is level, anchor, row, column.
    """
    with full_precision(raw.levels[0][0]):
        boxes, scores = [], []
        for (level,), anchors, stride in zip(raw.levels, head.anchors, raw.strides, strict=True):
            p = level.float().unflatten(1, (len(anchors), -1)).sigmoid()  # [B, N, 5 + C, H, W]
            height, width = p.shape[-2:]
            row = torch.arange(height, device=p.device, dtype=torch.float32)[:, None].expand(height, width)
            column = torch.arange(width, device=p.device, dtype=torch.float32).expand(height, width)
            corner = torch.stack((column, row))  # [2, H, W]
            centre = (2 * p[:, :, 0:2] - 0.5 + corner) * stride
            half = (2 * p[:, :, 2:4]).square() * anchors[:, :, None, None] / 2
            box = torch.cat((centre - half, centre + half), 2)
            boxes.append(box.permute(0, 1, 3, 4, 2).flatten(1, 3))
            score = p[:, :, BOX_AND_OBJECT:] * p[:, :, 4:5]
            scores.append(score.permute(0, 1, 3, 4, 2).flatten(1, 3))
        return torch.cat(boxes, 1), torch.cat(scores, 1)


class Match(NamedTuple):
    """Positives of one level, in the order in which they are written into the map of objectness.

    image, anchor, row, column: int64 [P], the prediction. target: int64 [P] into the targets. box: float32
    [P, 4], (x, y, width, height) in cells, the centre relative to the corner of the predicting cell.
    """

    image: Tensor
    anchor: Tensor
    row: Tensor
    column: Tensor
    target: Tensor
    box: Tensor


class YOLOv5Criterion:
    """Box, objectness and class losses of one batch.

    A box is matched to every anchor whose sides differ from its own by less than the factor ``anchor_t``,
    in the cell that holds its centre and in the two cells nearest to it. The objectness of a match is
    trained towards its complete IoU. A gain that is given replaces the base of its product;
    ``scaled`` multiplies box by 3 / L, objectness by (S / 640)^2 * 3 / L and class by C / 80 * 3 / L, as
    the published trainer does, with L levels, C classes and S the longer side of the input. Objectness
    weighs 4, 1, 0.4 from the widest of three levels on; 4, 1, 0.25, 0.06, 0.02 with another number of them.
    box_loss: a name of `BOX_LOSSES`; objectness follows the complete IoU whichever is trained with. With one
    class there is no class term.
    """

    def __init__(
        self,
        head: YOLOv5Head,
        /,
        *,
        box_gain: float = 0.05,
        obj_gain: float = 1.0,
        cls_gain: float = 0.5,
        anchor_t: float = 4.0,
        scaled: bool = True,
        box_loss: Literal["ciou", "giou", "diou", "siou", "wiou"] = "ciou",
    ) -> None:
        self.head = head
        self.box_gain, self.obj_gain, self.cls_gain = box_gain, obj_gain, cls_gain
        self.anchor_t, self.scaled = anchor_t, scaled
        self.box_loss = BOX_LOSSES[box_loss]

    def __call__(self, raw: RawPredictions, targets: Targets, *, final: bool = False) -> Losses:
        """The losses of a batch; `final`, the last epochs without mosaic, changes nothing here."""
        with full_precision(raw.levels[0][0]):
            return self._losses(raw, targets)

    def _losses(self, raw: RawPredictions, targets: Targets) -> Losses:
        head, matches = self.head, self.match(raw, targets)
        box_sum = obj_sum = cls_sum = head.anchors.new_zeros(())
        balance = BALANCE_OF_THREE if len(matches) == 3 else BALANCE[: len(matches)]
        levels = zip(raw.levels, head.anchors, raw.strides, matches, balance, strict=True)
        for (level,), anchors, stride, match, weight in levels:
            place = _places(match, level, anchors=len(anchors))
            object_logits, logits = _pick(level, place, BOX_AND_OBJECT + head.num_classes)
            wanted = torch.zeros_like(object_logits)
            if match.target.numel():
                predicted = _corners(_cell_boxes(logits, anchors[match.anchor] / stride))
                truth = _corners(match.box)
                box_sum = box_sum + self.box_loss(predicted, truth).mean()
                _write(wanted, place, complete_iou(predicted.detach(), truth).clamp(min=0))
                if head.num_classes > 1:
                    labels = targets.labels[match.target]
                    cls_sum = cls_sum + _class_loss(logits[:, BOX_AND_OBJECT:], labels)
            obj_sum = obj_sum + weight * F.binary_cross_entropy_with_logits(object_logits, wanted)
        box_gain, obj_gain, cls_gain = self.gains(raw)
        parts = {"box": box_gain * box_sum, "obj": obj_gain * obj_sum, "cls": cls_gain * cls_sum}
        total = torch.stack(list(parts.values())).sum() * targets.batch_size
        return Losses(total, {name: value.detach() for name, value in parts.items()})

    def gains(self, raw: RawPredictions) -> tuple[float, float, float]:
        """What box, objectness and class are multiplied by, scaling included."""
        if not self.scaled:
            return self.box_gain, self.obj_gain, self.cls_gain
        levels, side = 3 / len(raw.levels), max(raw.image_size) / 640
        classes = self.head.num_classes / 80
        return self.box_gain * levels, self.obj_gain * side**2 * levels, self.cls_gain * classes * levels

    @torch.no_grad()
    def match(self, raw: RawPredictions, targets: Targets) -> list[Match]:
        """The positives of every level."""
        centre = (targets.boxes[:, :2] + targets.boxes[:, 2:]) / 2
        size = targets.boxes[:, 2:] - targets.boxes[:, :2]
        steps = torch.tensor(STEPS, device=centre.device)
        found = []
        for (level,), anchors, stride in zip(raw.levels, self.head.anchors, raw.strides, strict=True):
            height, width = level.shape[-2:]
            ratio = size / anchors[:, None]  # [N, M, 2]
            far = ratio.maximum(1 / ratio).amax(-1)
            anchor, target = (far < self.anchor_t).nonzero(as_tuple=True)
            xy = centre[target] / stride
            near = _nearest_cells(xy, torch.tensor((width, height), device=xy.device))
            step, pair = near.nonzero(as_tuple=True)
            anchor, target, xy = anchor[pair], target[pair], xy[pair]
            column, row = (xy - steps[step]).long().unbind(1)
            column, row = column.clamp(0, width - 1), row.clamp(0, height - 1)
            box = torch.cat((xy - torch.stack((column, row), 1), size[target] / stride), 1)
            found.append(Match(targets.image[target], anchor, row, column, target, box))
        return found


def _nearest_cells(xy: Tensor, grid: Tensor) -> Tensor:
    """bool [5, P]: which `STEPS` lead to a cell that predicts a centre [P, 2] on a grid of (width, height).

    Of left and right the nearer neighbour, likewise of above and below, as far as it exists.
    """
    left_above = (xy % 1 < 0.5) & (xy > 1)
    to_end = grid - xy
    right_below = (to_end % 1 < 0.5) & (to_end > 1)
    itself = torch.ones_like(xy[:, :1], dtype=torch.bool)
    return torch.cat((itself, left_above, right_below), 1).T


def _cell_boxes(logits: Tensor, anchors: Tensor) -> Tensor:
    """Logits [P, 4 ...] and anchors [P, 2], in cells, to (x, y, width, height) relative to the cell."""
    share = logits[:, :4].sigmoid()
    return torch.cat((2 * share[:, :2] - 0.5, (2 * share[:, 2:]).square() * anchors), 1)


def _corners(boxes: Tensor) -> Tensor:
    """(x, y, width, height), x and y of the centre, to xyxy."""
    centre, half = boxes[:, :2], boxes[:, 2:] / 2
    return torch.cat((centre - half, centre + half), 1)


def _places(match: Match, level: Tensor, *, anchors: int) -> Tensor:
    """int64 [P]: the predictions of a match among B * H * W * N, the anchors of a cell side by side."""
    height, width = level.shape[-2:]
    return ((match.image * height + match.row) * width + match.column) * anchors + match.anchor


def _pick(level: Tensor, place: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Objectness of all predictions, float32 [B * H * W * N], and all logits of some, float32 [P, width].

    One selection out of the map, so that its gradient, as large as the map itself, is written once. No logit
    is selected twice with a gradient: sums of several would depend on the order in which a GPU adds.
    """
    # Channels last: a view for a channels_last map.
    flat = level.permute(0, 2, 3, 1).flatten()
    objects = torch.arange(BOX_AND_OBJECT - 1, flat.numel(), width, device=flat.device)
    unique, inverse = place.unique(return_inverse=True)
    rows = unique[:, None] * width + torch.arange(width, device=flat.device)
    picked = flat.index_select(0, torch.cat((objects, rows.flatten()))).float()
    return picked[: len(objects)], picked[len(objects) :].view(-1, width)[inverse]


def _write(wanted: Tensor, place: Tensor, value: Tensor) -> None:
    """Put a value [P] at every place; where several share one, the last of them stays.

    All of them write what the last one says: the order in which a device writes decides nothing.
    """
    order = torch.arange(len(place), device=place.device)
    last = order.new_zeros(len(wanted)).scatter_reduce(0, place, order, "amax")
    wanted[place] = value[last[place]]


def _class_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean binary cross-entropy of [P, C] logits: 1 is wanted of the own class, 0 of all others."""
    own = logits.gather(1, labels[:, None])
    return (F.softplus(logits).sum() - own.sum()) / logits.numel()
