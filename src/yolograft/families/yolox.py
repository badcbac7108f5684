"""YOLOX: decoupled head with objectness, SimOTA assignment, IoU + BCE losses, L1 in the last epochs.

Sources: YOLOX, Ge et al. 2021, arXiv 2107.08430; OTA, Ge et al. 2021, arXiv 2103.14259 (assignment as
optimal transport, which SimOTA shortens to the cheapest k anchors of each box). Parity with the published
family is shown by running it as a black box (tests/peers).

A level's maps are (box [B, 4, H, W], obj [B, 1, H, W], cls [B, C, H, W]): centre offset from the corner of
the cell and log of the size, both in cells of that level, then objectness and class logits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from yolograft.nn.conv import ConvBNAct, DepthwiseConv
from yolograft.nn.slots import branch_slots, check_slots, level_name
from yolograft.ops.box_losses import BOX_LOSSES
from yolograft.ops.boxes import anchor_points
from yolograft.ops.precision import full_precision
from yolograft.types import Losses, RawPredictions, Targets

PRIOR = 0.01  # initial objectness and class probability
FAR = 1e5  # surcharge on an anchor outside a box or far from its centre
LEAST_SIZE = 1e-8  # keeps logarithms of sizes and overlaps finite
LEAST_AREA = 1e-16  # keeps the IoU of empty boxes finite
Inner = Callable[[int], nn.Module]


class YOLOXHead(nn.Module):
    """On every level a 1x1 stem, then a class branch and a box branch that also predicts objectness.

    hidden: width of stems and branches. depthwise: the 3x3 convolutions are depthwise separable.
    inside: module factories placed before the predictions of a branch, by slot such as ``p3.cls``.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        *,
        num_classes: int,
        strides: Sequence[int],
        hidden: int = 256,
        depthwise: bool = False,
        inside: dict[str, Inner] | None = None,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.strides = tuple(strides)
        self.out_channels = 5 + num_classes
        grafts = inside or {}
        check_slots(grafts, self.slots())
        levels = [level_name(stride) for stride in self.strides]
        self.stems = nn.ModuleList(ConvBNAct(channels, out_channels=hidden) for channels in in_channels)
        self.cls = nn.ModuleList(_branch(hidden, depthwise, grafts.get(f"{level}.cls")) for level in levels)
        self.box = nn.ModuleList(_branch(hidden, depthwise, grafts.get(f"{level}.box")) for level in levels)
        self.cls_pred = nn.ModuleList(nn.Conv2d(hidden, num_classes, 1) for _ in levels)
        self.box_pred = nn.ModuleList(nn.Conv2d(hidden, 4, 1) for _ in levels)
        self.obj_pred = nn.ModuleList(nn.Conv2d(hidden, 1, 1) for _ in levels)
        for predict in (*self.cls_pred, *self.obj_pred):
            assert isinstance(predict, nn.Conv2d) and predict.bias is not None
            nn.init.constant_(predict.bias, -math.log((1 - PRIOR) / PRIOR))

    def slots(self) -> tuple[str, ...]:
        """Names of the branches a module can be grafted inside."""
        return branch_slots(self.strides)

    def forward(self, maps: Sequence[Tensor]) -> RawPredictions:
        levels = tuple(self._level(index, x) for index, x in enumerate(maps))
        height, width = maps[0].shape[-2:]
        return RawPredictions(levels, self.strides, (height * self.strides[0], width * self.strides[0]))

    def _level(self, index: int, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = self.stems[index](x)
        box = self.box[index](x)
        cls = self.cls[index](x)
        # Offsets and log sizes are regressed as they come out: in bf16 a size is known to 1 % at best, and
        # nano lost up to 3 AP by it (BCCD).
        with full_precision(x):
            predict = (self.box_pred[index], box), (self.obj_pred[index], box), (self.cls_pred[index], cls)
            box_map, obj_map, cls_map = (conv(y.to(conv.weight.dtype)) for conv, y in predict)
        return box_map, obj_map, cls_map


def _branch(width: int, depthwise: bool, inner: Inner | None) -> nn.Sequential:
    spatial = DepthwiseConv if depthwise else ConvBNAct
    branch = nn.Sequential(*(spatial(width, out_channels=width, kernel=3) for _ in range(2)))
    return branch if inner is None else branch.append(inner(width))


class _Flat(NamedTuple):
    box: Tensor  # [B, A, 4] centre offset and log size, cells
    obj: Tensor  # [B, A] logits
    cls: Tensor  # [B, A, C] logits
    corners: Tensor  # [A, 2] top left corner of each cell, cells
    strides: Tensor  # [A, 1] input pixels


def _flatten(raw: RawPredictions) -> _Flat:
    shapes = [(box.shape[-2], box.shape[-1]) for box, _, _ in raw.levels]
    points, strides = anchor_points(shapes, raw.strides, raw.levels[0][0].device)
    # Channels last first: a view for a channels_last map, and rows that gather as one piece.
    box, obj, cls = (
        torch.cat([level[branch].permute(0, 2, 3, 1).flatten(1, 2) for level in raw.levels], 1)
        for branch in range(3)
    )
    return _Flat(box, _precise(obj).squeeze(2), cls, points - 0.5, strides)


def _precise(x: Tensor) -> Tensor:
    """At least float32; what comes in double stays so."""
    return x if x.dtype is torch.float64 else x.float()


def _centres_sizes(box: Tensor, corners: Tensor, strides: Tensor) -> tuple[Tensor, Tensor]:
    """Centres and sizes [..., 2] in input pixels from predictions [..., 4] in cells."""
    offset, log_size = _precise(box).split(2, -1)
    return (offset + corners) * strides, log_size.exp() * strides


def _to_corners(centres: Tensor, sizes: Tensor) -> Tensor:
    return torch.cat((centres - sizes / 2, centres + sizes / 2), -1)


def decode(raw: RawPredictions, head: YOLOXHead) -> tuple[Tensor, Tensor]:
    """Boxes float32 [B, A, 4], xyxy in input pixels, and scores float32 [B, A, C]: class times objectness."""
    with full_precision(raw.levels[0][0]):
        flat = _flatten(raw)
        boxes = _to_corners(*_centres_sizes(flat.box, flat.corners, flat.strides))
        return boxes, _precise(flat.cls).sigmoid() * flat.obj.sigmoid()[..., None]


class Assignment(NamedTuple):
    """Positive anchors, ascending: anchor int64 [P] into B * A, target int64 [P] into targets, IoU [P]."""

    anchor: Tensor
    target: Tensor
    overlap: Tensor


class YOLOXCriterion:
    """Box, objectness and class losses of one batch, and an L1 loss on the box in the final epochs.

    head: every criterion is offered the head of its detector; this one needs nothing of it. box_loss:
    ``iou2``, 1 - IoU^2 as published, or a name of `BOX_LOSSES`; the assignment is by IoU either way.
    top_k: overlaps whose sum is the number of anchors of a box. centre_radius: reach of a box round its
    centre, in strides. Candidates are the anchors inside a box or near its centre, those that are both at no
    surcharge, as in release 0.3.0.
    """

    def __init__(
        self,
        head: YOLOXHead | None = None,
        /,
        *,
        box_gain: float = 5.0,
        obj_gain: float = 1.0,
        cls_gain: float = 1.0,
        l1_gain: float = 1.0,
        top_k: int = 10,
        centre_radius: float = 2.5,
        box_loss: Literal["iou2", "ciou", "giou", "diou", "siou", "wiou"] = "iou2",
    ) -> None:
        self.box_gain, self.obj_gain, self.cls_gain, self.l1_gain = box_gain, obj_gain, cls_gain, l1_gain
        self.top_k, self.centre_radius = top_k, centre_radius
        self.box_loss = _squared_iou_loss if box_loss == "iou2" else BOX_LOSSES[box_loss]

    def __call__(self, raw: RawPredictions, targets: Targets, *, final: bool = False) -> Losses:
        """The losses of a batch; `final`, the last epochs without mosaic, adds the L1 loss."""
        with full_precision(raw.levels[0][0]):
            return self._losses(raw, targets, final)

    def _losses(self, raw: RawPredictions, targets: Targets, final: bool) -> Losses:
        flat = _flatten(raw)
        # Dense BCE with sparse targets: softplus(x) everywhere, minus x * t on the positives.
        obj_sum = F.softplus(flat.obj).sum()
        # Zeros that still reach their branch, so that every parameter has a gradient.
        box_sum = l1_sum = _precise(flat.box[:, :0]).sum()
        cls_sum = _precise(flat.cls[:, :0]).sum()
        count = 1
        if targets.boxes.numel():
            anchor, target, overlap = self._assign(raw, flat, targets)
            count = max(anchor.numel(), 1)
            obj_sum = obj_sum - flat.obj.flatten()[anchor].sum()
            cls = _precise(flat.cls.flatten(0, 1)[anchor])
            right = cls.gather(1, targets.labels[target, None]).squeeze(1)
            cls_sum = F.softplus(cls).sum() - (right * overlap).sum()
            box_sum, l1_sum = self._box_losses(flat, anchor, targets.boxes[target])
        parts = {
            "box": self.box_gain * box_sum / count,
            "obj": self.obj_gain * obj_sum / count,
            "cls": self.cls_gain * cls_sum / count,
            "l1": self.l1_gain * l1_sum / count if final else obj_sum.new_zeros(()),
        }
        total = torch.stack(list(parts.values())).sum() * targets.batch_size
        return Losses(total, {name: value.detach() for name, value in parts.items()})

    def _box_losses(self, flat: _Flat, anchor: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
        """Sums over the positives [P] of the box loss and of the L1 loss, truth [P, 4] in input pixels."""
        point = anchor % flat.corners.shape[0]
        corners, strides = flat.corners[point], flat.strides[point]
        box = _precise(flat.box.flatten(0, 1)[anchor])
        truth = truth.to(box.dtype)
        predicted = _to_corners(*_centres_sizes(box, corners, strides))
        centres, sizes = (truth[:, :2] + truth[:, 2:]) / 2, truth[:, 2:] - truth[:, :2]
        aim = torch.cat((centres / strides - corners, (sizes / strides + LEAST_SIZE).log()), 1)
        return self.box_loss(predicted, truth).sum(), (box - aim).abs().sum()

    def assign_raw(self, raw: RawPredictions, targets: Targets) -> Assignment:
        """The assignment of a batch, straight from raw predictions."""
        with full_precision(raw.levels[0][0]):
            return self._assign(raw, _flatten(raw), targets)

    @torch.no_grad()
    def _assign(self, raw: RawPredictions, flat: _Flat, targets: Targets) -> Assignment:
        """SimOTA: every box takes its k cheapest anchors, k the sum of its largest overlaps."""
        market = self._open_market(raw, flat, targets)
        k = market.overlap.topk(min(self.top_k, market.overlap.shape[1]), dim=1).values.sum(1)
        k = k.long().clamp(1, self.top_k)
        # The surcharge leaves a box with k anchors near it nothing else to choose from.
        well_off = market.near.sum(1) >= k
        rich, poor = well_off.nonzero().squeeze(1), (~well_off).nonzero().squeeze(1)
        picks = (
            _cheapest(market, rich, market.near[rich], k[rich]),
            _cheapest(market, poor, market.offered[market.image[poor]], k[poor]),
        )
        return _settle(market, *(torch.cat(column) for column in zip(*picks, strict=True)))

    def _open_market(self, raw: RawPredictions, flat: _Flat, targets: Targets) -> _Market:
        truth, image = targets.boxes.to(flat.obj.dtype), targets.image
        near, reached = self._reach(raw, truth)
        offers = torch.zeros_like(flat.obj).index_add_(0, image, reached.to(flat.obj.dtype))
        offered = offers > 0
        overlap = _overlaps(flat, truth, image).masked_fill_(~offered[image], 0)
        absent = _absence_costs(flat, offered)
        return _Market(image, targets.labels, flat.obj, flat.cls, absent, overlap, near, offered)

    def _reach(self, raw: RawPredictions, truth: Tensor) -> tuple[Tensor, Tensor]:
        """bool [M, A] twice: anchor points inside the box *and* near its centre, and inside *or* near."""
        low, high = truth.split(2, 1)
        centre = (low + high) / 2
        near, reached = [], []
        for (box, _, _), stride in zip(raw.levels, raw.strides, strict=True):
            radius = self.centre_radius * stride
            inside = _grid_between(box, stride, low, high)
            central = _grid_between(box, stride, centre - radius, centre + radius)
            near.append(inside & central)
            reached.append(inside | central)
        return torch.cat(near, 1), torch.cat(reached, 1)


class _Market(NamedTuple):
    """What the boxes of a batch can choose from and what it costs. M boxes, A anchors of an image."""

    image: Tensor  # [M]
    labels: Tensor  # [M]
    obj: Tensor  # [B, A] logits
    cls: Tensor  # [B, A, C] logits
    absent: Tensor  # [B, A] class cost if no class were there
    overlap: Tensor  # [M, A] IoU, 0 where not offered
    near: Tensor  # bool [M, A] inside the box and near its centre
    offered: Tensor  # bool [B, A] within reach of any box of the image

    def price(self, target: Tensor, point: Tensor) -> Tensor:
        """Cost of pairs [P]: class BCE - 3 log IoU, and a surcharge where the anchor is not near."""
        image = self.image[target]
        logit = _precise(self.cls[image, point, self.labels[target]])
        share = (logit.sigmoid() * self.obj[image, point].sigmoid()).sqrt()
        cls = self.absent[image, point] + _log_rest(share) - _log(share)
        cost = cls - 3 * (self.overlap[target, point] + LEAST_SIZE).log()
        # In double: beside the surcharge, single precision would round the costs to steps of 0.008.
        return cost.double() + FAR * ~self.near[target, point]


def _grid_between(level: Tensor, stride: int, low: Tensor, high: Tensor) -> Tensor:
    """bool [M, H * W]: cell centres of a level strictly inside boxes low [M, 2] .. high [M, 2], pixels."""
    hits = []
    for axis, cells in enumerate((level.shape[-1], level.shape[-2])):
        centres = (torch.arange(cells, device=low.device, dtype=low.dtype) + 0.5) * stride
        hits.append((centres - low[:, axis, None] > 0) & (high[:, axis, None] - centres > 0))
    return (hits[1][:, :, None] & hits[0][:, None]).flatten(1)


def _overlaps(flat: _Flat, truth: Tensor, image: Tensor) -> Tensor:
    """IoU [M, A] of every box with every prediction in its image."""
    centres, sizes = _centres_sizes(flat.box, flat.corners, flat.strides)
    predicted = (*(centres - sizes / 2).unbind(-1), *(centres + sizes / 2).unbind(-1), sizes.prod(-1))
    left, top, right, bottom, area = (column.index_select(0, image) for column in predicted)
    x1, y1, x2, y2 = truth[:, :, None].unbind(1)
    width = right.minimum(x2).sub_(left.maximum(x1)).clamp_(min=0)
    common = bottom.minimum(y2).sub_(top.maximum(y1)).clamp_(min=0).mul_(width)
    union = area.add_((x2 - x1) * (y2 - y1)).sub_(common)
    return common.div_(union.clamp_(min=LEAST_AREA))


def _log(x: Tensor) -> Tensor:
    """log x, at least -100: the floor of the published cross entropy."""
    return x.log().clamp(min=-100)


def _log_rest(x: Tensor) -> Tensor:
    """log(1 - x), at least -100."""
    return torch.log1p(-x).clamp(min=-100)


def _absence_costs(flat: _Flat, offered: Tensor) -> Tensor:
    """[B, A]: sum over all classes of the cross entropy with 0, where an anchor is offered."""
    share = (_precise(flat.cls[offered]).sigmoid() * flat.obj[offered].sigmoid()[:, None]).sqrt_()
    costs = torch.zeros_like(flat.obj)
    costs[offered] = -_log_rest(share).sum(1)
    return costs


def _cheapest(market: _Market, targets: Tensor, allowed: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
    """Pairs (target, point) [Q]: of the anchors allowed [T, A] to the targets [T], their k [T] cheapest."""
    row, point = allowed.nonzero(as_tuple=True)
    if not row.numel():
        return row, point
    choices = torch.bincount(row, minlength=len(targets))
    slot = torch.arange(len(row), device=row.device) - (choices.cumsum(0) - choices)[row]
    shape = (len(targets), int(choices.max()))
    prices = torch.full(shape, math.inf, device=row.device, dtype=torch.float64)
    prices[row, slot] = market.price(targets[row], point)
    points = row.new_zeros(shape)
    points[row, slot] = point
    cheapest = prices.topk(min(int(k.max()), shape[1]), dim=1, largest=False)
    rank = torch.arange(cheapest.values.shape[1], device=row.device)
    row, rank = ((rank < k[:, None]) & cheapest.values.isfinite()).nonzero(as_tuple=True)
    return targets[row], points[row, cheapest.indices[row, rank]]


def _settle(market: _Market, target: Tensor, point: Tensor) -> Assignment:
    """An anchor picked by several boxes goes to the box of its image to which it costs least."""
    anchors = market.near.shape[1]
    anchor = market.image[target] * anchors + point
    owner = target.new_full((market.offered.numel(),), -1)
    owner[anchor] = target
    contested = (torch.bincount(anchor, minlength=len(owner)) > 1).nonzero().squeeze(1)
    if contested.numel():
        rival, place = (market.image[:, None] == contested // anchors).nonzero(as_tuple=True)
        price = market.price(rival, (contested % anchors)[place])
        lowest = price.new_full(contested.shape, math.inf).scatter_reduce(0, place, price, "amin")
        cheapest = price <= lowest[place]
        last = torch.full_like(contested, len(market.image) - 1)
        owner[contested] = last.scatter_reduce(0, place[cheapest], rival[cheapest], "amin")
    positive = (owner >= 0).nonzero().squeeze(1)
    return Assignment(positive, owner[positive], market.overlap[owner[positive], positive % anchors])


def _squared_iou_loss(predicted: Tensor, truth: Tensor) -> Tensor:
    """1 - IoU^2 of aligned boxes [..., 4]."""
    sides = predicted[..., 2:].minimum(truth[..., 2:]) - predicted[..., :2].maximum(truth[..., :2])
    common = sides.clamp(min=0).prod(-1)
    areas = (predicted[..., 2:] - predicted[..., :2]).prod(-1) + (truth[..., 2:] - truth[..., :2]).prod(-1)
    return 1 - (common / (areas - common + LEAST_AREA)).square()
