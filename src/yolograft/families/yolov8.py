"""YOLOv8: decoupled anchor-free head, task-aligned assignment, CIoU + distribution focal + BCE loss.

Sources: TOOD, Feng et al. 2021, arXiv 2108.07755 (task-aligned assigner); Generalized Focal Loss, Li et
al. 2020, arXiv 2006.04388 (box distances as distributions); CIoU, Zheng et al. 2019, arXiv 1911.08287.
Parity with the published family is shown by running it as a black box (tests/peers).

A level's maps are (box [B, 4 * REG_MAX, H, W], cls [B, C, H, W]): logits of the distances left, top,
right, bottom in cells of that level, and class logits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from yolograft.nn.conv import ConvBNAct
from yolograft.nn.slots import branch_slots, check_slots, level_name
from yolograft.ops.box_losses import BOX_LOSSES, BoxLoss
from yolograft.ops.boxes import anchor_points, boxes_to_distances, complete_iou, distances_to_boxes
from yolograft.ops.precision import full_precision
from yolograft.types import Losses, RawPredictions, Targets

REG_MAX = 16
Inner = Callable[[int], nn.Module]


class Integral(nn.Module):
    """Expected distance of a distribution over REG_MAX bins; its 16 weights 0..15 are fixed."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(REG_MAX, 1, 1, bias=False).requires_grad_(False)
        self.conv.weight.data.copy_(torch.arange(REG_MAX, dtype=torch.float32).view(1, REG_MAX, 1, 1))

    def forward(self, logits: Tensor) -> Tensor:
        """[B, A, 4 * REG_MAX] -> [B, A, 4], in cells."""
        batch, anchors, _ = logits.shape
        bins = logits.view(batch, anchors * 4, REG_MAX, 1).softmax(2).transpose(1, 2)
        return self.conv(bins).view(batch, anchors, 4)


class YOLOv8Head(nn.Module):
    """Box and class branches on every level.

    inside: module factories placed before the last convolution of a branch, by slot such as ``p3.cls``.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        *,
        num_classes: int,
        strides: Sequence[int],
        inside: dict[str, Inner] | None = None,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.strides = tuple(strides)
        self.out_channels = 4 * REG_MAX + num_classes
        box_width = max(16, in_channels[0] // 4, 4 * REG_MAX)
        cls_width = max(in_channels[0], min(num_classes, 100))
        grafts = inside or {}
        check_slots(grafts, self.slots())
        self.box = nn.ModuleList()
        self.cls = nn.ModuleList()
        for channels, stride in zip(in_channels, self.strides, strict=True):
            level = level_name(stride)
            self.box.append(_branch(channels, box_width, 4 * REG_MAX, grafts.get(f"{level}.box")))
            self.cls.append(_branch(channels, cls_width, num_classes, grafts.get(f"{level}.cls")))
        self.dfl = Integral()
        self._prime_biases()

    def slots(self) -> tuple[str, ...]:
        """Names of the branches a module can be grafted inside."""
        return branch_slots(self.strides)

    def _prime_biases(self) -> None:
        # Start with about 5 objects in 640 x 640 cells' worth of anchors and boxes of a few cells.
        for box, cls, stride in zip(self.box, self.cls, self.strides, strict=True):
            nn.init.constant_(_last_conv(box), 2.0)
            nn.init.constant_(_last_conv(cls), math.log(5 / self.num_classes / (640 / stride) ** 2))

    def forward(self, maps: Sequence[Tensor]) -> RawPredictions:
        levels = tuple((box(x), cls(x)) for x, box, cls in zip(maps, self.box, self.cls, strict=True))
        height, width = maps[0].shape[-2:]
        return RawPredictions(levels, self.strides, (height * self.strides[0], width * self.strides[0]))


def _branch(channels: int, width: int, out: int, inner: Inner | None) -> nn.Sequential:
    steps: list[nn.Module] = [
        ConvBNAct(channels, out_channels=width, kernel=3),
        ConvBNAct(width, out_channels=width, kernel=3),
        nn.Conv2d(width, out, 1),
    ]
    if inner is not None:
        # Appended last so that the stock layers keep their keys 0, 1, 2; run before the prediction.
        return _GraftedBranch(*steps, inner(width))
    return nn.Sequential(*steps)


class _GraftedBranch(nn.Sequential):
    def forward(self, input: Tensor) -> Tensor:
        first, second, predict, inner = self
        return predict(inner(second(first(input))))


def _last_conv(branch: nn.Module) -> Tensor:
    bias = branch.get_submodule("2").bias
    assert isinstance(bias, Tensor)
    return bias


class _Flat(NamedTuple):
    box: Tensor  # [B, A, 4 * REG_MAX] logits
    cls: Tensor  # [B, A, C] logits
    points: Tensor  # [A, 2] cells
    strides: Tensor  # [A, 1] input pixels


def _flatten(raw: RawPredictions) -> _Flat:
    points, strides = anchor_points(
        [(box.shape[-2], box.shape[-1]) for box, _ in raw.levels], raw.strides, raw.levels[0][0].device
    )
    # Channels last first: a view for a channels_last map, and rows that gather as one piece.
    box = torch.cat([level[0].permute(0, 2, 3, 1).flatten(1, 2) for level in raw.levels], 1)
    cls = torch.cat([level[1].permute(0, 2, 3, 1).flatten(1, 2) for level in raw.levels], 1)
    return _Flat(box, cls, points, strides)


def decode(raw: RawPredictions, head: YOLOv8Head) -> tuple[Tensor, Tensor]:
    """Boxes float32 [B, A, 4], xyxy in input pixels, and class scores float32 [B, A, C] in 0..1."""
    with full_precision(raw.levels[0][0]):
        flat = _flatten(raw)
        distances = head.dfl(flat.box.float())
        boxes = distances_to_boxes(distances, flat.points) * flat.strides
        return boxes, flat.cls.float().sigmoid()


class Assignment(NamedTuple):
    """Positive anchors: anchor int64 [P] into B * A, target int64 [P] into the targets, score [P] in 0..1."""

    anchor: Tensor
    target: Tensor
    score: Tensor


class YOLOv8Criterion:
    """Box, class and distribution losses of one batch.

    head: every criterion is offered the head of its detector; this one needs nothing of it.
    small_boxes: ``paper`` takes as candidates the anchors inside a box; ``widened`` first widens sides
    shorter than the second stride (16 px) to it, as the published trainer does by now. box_loss: a name of
    `BOX_LOSSES`; the assignment is by complete IoU whichever is trained with.
    """

    def __init__(
        self,
        head: YOLOv8Head | None = None,
        /,
        *,
        box_gain: float = 7.5,
        cls_gain: float = 0.5,
        dfl_gain: float = 1.5,
        top_k: int = 10,
        alpha: float = 0.5,
        beta: float = 6.0,
        small_boxes: Literal["paper", "widened"] = "widened",
        box_loss: Literal["ciou", "giou", "diou", "siou", "wiou"] = "ciou",
    ) -> None:
        self.box_gain, self.cls_gain, self.dfl_gain = box_gain, cls_gain, dfl_gain
        self.top_k, self.alpha, self.beta = top_k, alpha, beta
        self.small_boxes = small_boxes
        self.box_loss = BOX_LOSSES[box_loss]

    def __call__(self, raw: RawPredictions, targets: Targets, *, final: bool = False) -> Losses:
        """The losses of a batch; `final`, the last epochs without mosaic, changes nothing here."""
        with full_precision(raw.levels[0][0]):
            return self._losses(raw, targets)

    def _losses(self, raw: RawPredictions, targets: Targets) -> Losses:
        flat = _flatten(raw)
        cls = flat.cls.flatten(0, 1).float()  # [B * A, C]
        # Dense BCE with sparse targets: softplus(x) everywhere, minus x * t on the positives.
        cls_sum = F.softplus(cls).sum()
        # A zero that still reaches the box branch, so that every parameter has a gradient.
        box_sum = dfl_sum = flat.box[:, :0].float().sum()
        normaliser = cls.new_ones(())
        if targets.boxes.numel():
            assigned = self.assign(flat, cls, targets, raw.strides)
            normaliser = assigned.score.sum().clamp(min=1)
            picked = cls[assigned.anchor, targets.labels[assigned.target]]
            cls_sum = cls_sum - (picked * assigned.score).sum()
            if assigned.anchor.numel():
                box_sum, dfl_sum = _box_losses(flat, assigned, targets, self.box_loss)
        parts = {
            "box": self.box_gain * box_sum / normaliser,
            "cls": self.cls_gain * cls_sum / normaliser,
            "dfl": self.dfl_gain * dfl_sum / normaliser,
        }
        total = torch.stack(list(parts.values())).sum() * targets.batch_size
        return Losses(total, {name: value.detach() for name, value in parts.items()})

    def assign_raw(self, raw: RawPredictions, targets: Targets) -> Assignment:
        """The assignment of a batch, straight from raw predictions."""
        with full_precision(raw.levels[0][0]):
            flat = _flatten(raw)
            return self.assign(flat, flat.cls.flatten(0, 1).float(), targets, raw.strides)

    @torch.no_grad()
    def assign(self, flat: _Flat, cls: Tensor, targets: Targets, strides: Sequence[int]) -> Assignment:
        """Task-aligned assignment on (box, anchor) candidate pairs only."""
        anchors, count = flat.points.shape[0], targets.boxes.shape[0]
        inside = self._candidates(flat, targets.boxes, strides)
        gt, point = inside.nonzero(as_tuple=True)  # pairs, ordered by box
        anchor = targets.image[gt] * anchors + point
        boxes = _decode_at(flat, anchor) * flat.strides[point]
        overlap = complete_iou(targets.boxes[gt], boxes).clamp(min=0)
        score = cls[anchor, targets.labels[gt]].sigmoid()
        align = score.pow(self.alpha) * overlap.pow(self.beta)

        # Top k anchors of each box.
        dense = overlap.new_zeros((count, anchors))
        dense[gt, point] = align
        k = min(self.top_k, anchors)
        kept_point = dense.topk(k, dim=1).indices
        kept_gt = torch.arange(count, device=gt.device)[:, None].expand(-1, k)
        # A box with fewer candidates than k fills up with points outside it: they do not count. Points
        # inside with alignment 0 do, because they decide which anchors several boxes want.
        real = inside.gather(1, kept_point)
        kept_gt, kept_point = kept_gt[real], kept_point[real]
        kept_anchor = targets.image[kept_gt] * anchors + kept_point

        # An anchor wanted by several boxes goes to the one it overlaps most, among all it lies in.
        total = targets.batch_size * anchors
        wanted = torch.bincount(kept_anchor, minlength=total)
        owner = _best_box(anchor, gt, overlap, total, count)
        positive = wanted.nonzero().squeeze(1)
        single = owner.new_zeros(total)
        single[kept_anchor] = kept_gt
        target = torch.where(wanted[positive] > 1, owner[positive], single[positive])

        aligned = dense[target, positive % anchors]
        dense[gt, point] = overlap
        overlapped = dense[target, positive % anchors]
        top_align = overlap.new_zeros(count).scatter_reduce(0, target, aligned, "amax")
        top_overlap = overlap.new_zeros(count).scatter_reduce(0, target, overlapped, "amax")
        normalised = aligned * top_overlap[target] / (top_align[target] + 1e-9)
        return Assignment(positive, target, normalised)

    def _candidates(self, flat: _Flat, boxes: Tensor, strides: Sequence[int]) -> Tensor:
        """bool [M, A]: the anchor point lies inside the box (widened when asked)."""
        if self.small_boxes == "widened":
            boxes = _widen(boxes, float(strides[min(1, len(strides) - 1)]))
        x, y = (flat.points * flat.strides).unbind(1)
        x1, y1, x2, y2 = (side[:, None] for side in boxes.unbind(1))
        return (x - x1 > 1e-9) & (y - y1 > 1e-9) & (x2 - x > 1e-9) & (y2 - y > 1e-9)


def _widen(boxes: Tensor, shortest: float) -> Tensor:
    centre, size = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]).clamp(min=shortest)
    return torch.cat((centre - size / 2, centre + size / 2), 1)


def _best_box(anchor: Tensor, gt: Tensor, overlap: Tensor, total: int, count: int) -> Tensor:
    """int64 [B * A]: for each anchor the box with the largest overlap; the first of equals."""
    best = overlap.new_full((total,), -1.0).scatter_reduce(0, anchor, overlap, "amax")
    ties = overlap >= best[anchor]
    first = torch.full((total,), count - 1, dtype=torch.long, device=gt.device)
    return first.scatter_reduce(0, anchor[ties], gt[ties], "amin")


def _logits_at(flat: _Flat, anchor: Tensor) -> Tensor:
    """Box logits float32 [P, 4, REG_MAX] at flat anchor indices."""
    return flat.box.flatten(0, 1)[anchor].float().view(-1, 4, REG_MAX)


def _decode_at(flat: _Flat, anchor: Tensor) -> Tensor:
    """Boxes [P, 4] xyxy in cells, at flat anchor indices; each anchor is decoded once."""
    unique, inverse = anchor.unique(return_inverse=True)
    return _expected_box(flat, unique, _logits_at(flat, unique))[inverse]


def _expected_box(flat: _Flat, anchor: Tensor, logits: Tensor) -> Tensor:
    bins = torch.arange(REG_MAX, device=logits.device, dtype=torch.float32)
    distances = logits.softmax(-1) @ bins
    return distances_to_boxes(distances, flat.points[anchor % flat.points.shape[0]])


def _box_losses(
    flat: _Flat, assigned: Assignment, targets: Targets, box_loss: BoxLoss
) -> tuple[Tensor, Tensor]:
    """Weighted sums of the box loss and of the distribution focal loss over the positives."""
    point = assigned.anchor % flat.points.shape[0]
    logits = _logits_at(flat, assigned.anchor)
    truth = targets.boxes[assigned.target] / flat.strides[point]
    box_sum = (box_loss(_expected_box(flat, assigned.anchor, logits), truth) * assigned.score).sum()
    distances = boxes_to_distances(truth, flat.points[point], REG_MAX - 1 - 0.01)
    left = distances.long()
    right_weight = distances - left
    log_p = logits.log_softmax(-1)
    at_left = log_p.gather(-1, left[..., None]).squeeze(-1)
    at_right = log_p.gather(-1, left[..., None] + 1).squeeze(-1)
    dfl = -(at_left * (1 - right_weight) + at_right * right_weight).mean(-1)
    return box_sum, (dfl * assigned.score).sum()
