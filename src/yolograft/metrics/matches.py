"""Match tables: every detection's fate at the ten COCO IoUs and four area ranges, kept compactly.

Matching follows COCO's published protocol (Lin et al. 2014, arXiv 1405.0312; cocoapi, BSD-2): per
image and class the 100 best detections in score order each take the free ground truth of highest
IoU (the later one on equal IoU), a regular one before an ignored one; a crowd box is an ignored one
that any number may take, and its IoU is intersection over detection area; ground truth outside the
area range is ignored, and so is an unmatched detection outside it.

From the table alone AP, PR curves and per-image counts recompute; images and boxes are not needed.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolograft.data.records import ImageRecord
from yolograft.errors import DataError
from yolograft.metrics.coco import MAX_DETECTIONS, check_same_split, xywh
from yolograft.metrics.detections import DetectionTable, read_archive, write_archive

AREAS = ("all", "small", "medium", "large")
AREA_BOUNDS = ((0.0, 1e10), (0.0, 32.0**2), (32.0**2, 96.0**2), (96.0**2, 1e10))  # px^2, both ends in
IOUS = tuple(float(v) for v in np.linspace(0.5, 0.95, 10))
RECALL_POINTS = 101
# The arrays a file keeps.
PACKED = ("image", "rows_per_class", "score_steps", "patterns", "code", "gt_image", "gt_label", "gt_count")
FLAGS = 2 * len(AREAS) * len(IOUS)  # of one detection: tp and ignored, per area range and threshold
# Pairs of detection and ground truth looked at together: bounds memory, changes no result.
_BLOCK_PAIRS = 400_000

_F64 = NDArray[np.float64]
_I64 = NDArray[np.int64]
_Bool = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class MatchTable:
    """Rows sorted by class, then score (best first), ties in image order: AP needs no further sort.

    image: int32 [D], index into the split's records. label: int32 [D].
    score: float32 [D], rounded down to 11 significant bits (relative error below 1/1024) so that a
        table stays small; the row order keeps the order of the exact scores.
    tp: bool [4, D, 10], area range x detection x IoU: matched to counted ground truth.
    ignored: bool [4, D, 10]: counts neither as true nor as false positive.
    gt_image, gt_label: int32 [G], the image and class of each pair that has ground truth.
    gt_count: int32 [G, 4], its boxes per area range, crowd and out-of-range ones excluded.
    images, num_classes: size of the split. fingerprint: of the ground truth, empty if unknown.
    """

    image: NDArray[np.int32]
    label: NDArray[np.int32]
    score: NDArray[np.float32]
    tp: _Bool
    ignored: _Bool
    gt_image: NDArray[np.int32]
    gt_label: NDArray[np.int32]
    gt_count: NDArray[np.int32]
    images: int
    num_classes: int
    fingerprint: str = ""

    def __len__(self) -> int:
        return len(self.image)

    def positives(self, area: str = "all") -> _I64:
        """Ground-truth boxes per class that count in an area range, int64 [num_classes]."""
        counts = np.zeros(self.num_classes, dtype=np.int64)
        np.add.at(counts, self.gt_label, self.gt_count[:, area_index(area)])
        return counts

    def rows(self, label: int) -> slice:
        """The rows of one class."""
        start, stop = np.searchsorted(self.label, [label, label + 1])
        return slice(int(start), int(stop))

    def save(self, path: Path) -> None:
        """Write the table to ``path`` (npz); the file appears whole or not at all."""
        about = {"images": self.images, "num_classes": self.num_classes, "fingerprint": self.fingerprint}
        write_archive(path, kind="matches", about=about, arrays=self.to_arrays())

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """The table as the few compact arrays of `PACKED` that a file keeps.

        The 80 flags of a detection take few distinct values, so each row stores the index of its
        pattern; whole numbers take the smallest type that holds them.
        """
        flags = np.stack([self.tp, self.ignored]).transpose(2, 0, 1, 3).reshape(len(self), FLAGS)
        packed = np.packbits(flags, axis=1)
        patterns, code = np.unique(packed, axis=0, return_inverse=True)
        return {
            "image": _small(self.image),
            "rows_per_class": _small(np.bincount(self.label, minlength=self.num_classes)),
            # Consecutive scores are close: their bit patterns differ by small whole numbers.
            "score_steps": _small(-np.diff(_bits(self.score), prepend=_TOP_STEP)),
            "patterns": patterns,
            "code": _small(code.reshape(-1)),
            "gt_image": _small(self.gt_image),
            "gt_label": _small(self.gt_label),
            "gt_count": _small(self.gt_count),
        }

    @classmethod
    def load(cls, path: Path) -> MatchTable:
        """Read a table written by ``save``; DataError YG362 when the file is missing or damaged."""
        about, arrays = read_archive(path, kind="matches", names=PACKED)
        return cls.from_arrays(about, arrays, where=str(path))

    @classmethod
    def from_arrays(
        cls, about: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], *, where: str = ""
    ) -> MatchTable:
        """The table that ``to_arrays`` packed; DataError YG362 when the arrays do not belong together.

        Args:
            about: images, num_classes and fingerprint.
            where: the file named in an error.
        """
        got = arrays
        try:
            _check_packed(about, got)
            label = np.repeat(np.arange(int(about["num_classes"]), dtype=np.int32), got["rows_per_class"])
            bits = _TOP_STEP - np.cumsum(got["score_steps"].astype(np.int64))
            flags = np.unpackbits(got["patterns"], axis=1)[got["code"].astype(np.int64)].astype(bool)
            both = flags.reshape(len(label), 2, len(AREAS), len(IOUS)).transpose(1, 2, 0, 3)
            return cls(
                image=got["image"].astype(np.int32),
                label=label,
                score=_from_bits(bits),
                tp=np.ascontiguousarray(both[0]),
                ignored=np.ascontiguousarray(both[1]),
                gt_image=got["gt_image"].astype(np.int32),
                gt_label=got["gt_label"].astype(np.int32),
                gt_count=got["gt_count"].astype(np.int32).reshape(-1, len(AREAS)),
                images=int(about["images"]),
                num_classes=int(about["num_classes"]),
                fingerprint=about["fingerprint"],
            )
        except (ValueError, IndexError, KeyError, TypeError) as error:
            raise DataError("YG362", f"this matches table is damaged: {error}", where=where) from error


def _check_packed(about: Mapping[str, Any], got: Mapping[str, NDArray[Any]]) -> None:
    """ValueError where a stranger's arrays would point outside the split or unfold beyond their rows."""
    classes, images = int(about["num_classes"]), int(about["images"])
    if len(got["rows_per_class"]) != classes or got["rows_per_class"].astype(float).sum() != len(got["code"]):
        raise ValueError("rows and classes disagree")
    for names in (("image", "score_steps", "code"), ("gt_image", "gt_label", "gt_count")):
        if len({len(got[name]) for name in names}) > 1:
            raise ValueError(f"{', '.join(names)} differ in length")
    for name, end in (("image", images), ("gt_image", images), ("gt_label", classes)):
        if len(got[name]) and not (got[name].min() >= 0 and got[name].max() < end):
            raise ValueError(f"{name} points outside the split")


def area_index(area: str) -> int:
    """Index of an area range; DataError YG364 for an unknown one."""
    if area not in AREAS:
        raise DataError("YG364", f"no area range '{area}'", fix=f"area ranges: {', '.join(AREAS)}")
    return AREAS.index(area)


def build_match_table(records: Sequence[ImageRecord], table: DetectionTable, num_classes: int) -> MatchTable:
    """Match every detection of ``table`` to the ground truth of ``records``, COCO's way.

    Raises:
        DataError: YG363 when the table and the records are not of the same split or class list.
    """
    check_same_split(records, table, num_classes=num_classes)
    truth = _Truth.of(records, num_classes)
    kept = _best_hundred(table, num_classes)
    group = table.image[kept].astype(np.int64) * num_classes + table.label[kept]
    boxes = xywh(table.boxes[kept])
    matched, ignored = _match(group, boxes, truth)
    outside = _outside(boxes[:, 2] * boxes[:, 3])
    ignored |= ~matched & outside[:, :, None]
    # Stable: kept rows come image by image, so equal scores stay in image order, as COCO merges them.
    order = np.lexsort((-table.score[kept].astype(np.float64), table.label[kept]))
    pairs, where = np.unique(truth.group, return_inverse=True)
    counts = np.zeros((len(pairs), len(AREAS)), dtype=np.int32)
    np.add.at(counts, where.reshape(-1), ~truth.ignored.T)
    return MatchTable(
        image=table.image[kept][order].astype(np.int32),
        label=table.label[kept][order].astype(np.int32),
        score=_from_bits(_bits(table.score[kept][order])),
        tp=(matched & ~ignored)[:, order],
        ignored=ignored[:, order],
        gt_image=(pairs // max(num_classes, 1)).astype(np.int32),
        gt_label=(pairs % max(num_classes, 1)).astype(np.int32),
        gt_count=counts,
        images=len(records),
        num_classes=num_classes,
        fingerprint=table.fingerprint,
    )


def class_average_precision(matches: MatchTable, *, area: str = "all") -> _F64:
    """COCO 101-point AP per IoU and class, float64 [10, num_classes] in 0..1; nan without ground truth."""
    positives = matches.positives(area)
    result = np.full((len(IOUS), matches.num_classes), np.nan)
    for label in np.flatnonzero(positives):
        result[:, label] = interpolated_precision(matches, int(label), area=area).sum(axis=0) / RECALL_POINTS
    return result


def interpolated_precision(matches: MatchTable, label: int, *, area: str = "all") -> _F64:
    """COCO's precision envelope of one class with ground truth at recall 0, .01, ... 1: [101, 10] in 0..1."""
    a, rows = area_index(area), matches.rows(label)
    positives = matches.positives(area)[label]
    tp = np.cumsum(matches.tp[a, rows], axis=0, dtype=np.float64)
    fp = np.cumsum(~matches.tp[a, rows] & ~matches.ignored[a, rows], axis=0, dtype=np.float64)
    # COCO's own guard against 0 / 0; leaving it out moves AP in the sixteenth digit.
    precision = tp / (tp + fp + np.spacing(1))
    envelope = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    result = np.zeros((RECALL_POINTS, len(IOUS)))
    for t in range(len(IOUS)):
        at = np.searchsorted(tp[:, t] / positives, np.linspace(0.0, 1.0, RECALL_POINTS), side="left")
        reached = at < len(tp)
        result[reached, t] = envelope[at[reached], t]
    return result


def average_precision(matches: MatchTable, *, area: str = "all", iou: float | None = None) -> float:
    """COCO 101-point AP in 0..1, mean over IoUs and classes with ground truth; nan without any.

    Args:
        area: ``all``, ``small``, ``medium`` or ``large``.
        iou: one of .50, .55, ... .95; all ten when None.

    Raises:
        DataError: YG364 for an area range or IoU that COCO does not have.
    """
    table = class_average_precision(matches, area=area)
    if iou is not None:
        table = table[iou_index(iou)]
    defined = table[~np.isnan(table)]
    return float(defined.mean()) if defined.size else math.nan


def iou_index(iou: float) -> int:
    """Index of an IoU threshold; DataError YG364 for one that COCO does not have."""
    near = [i for i, value in enumerate(IOUS) if abs(value - iou) < 1e-6]
    if not near:
        raise DataError("YG364", f"no IoU threshold {iou}", fix="thresholds: .50, .55, ... .95")
    return near[0]


@dataclass(frozen=True, slots=True, eq=False)
class _Truth:
    """Ground truth sorted by group = image * num_classes + label, annotation order within a group."""

    group: _I64
    boxes: _F64  # [N, 4] x, y, width, height
    crowd: _Bool
    ignored: _Bool  # [4, N]

    @classmethod
    def of(cls, records: Sequence[ImageRecord], num_classes: int) -> _Truth:
        sizes = np.array([len(r.labels) for r in records], dtype=np.int64)
        label = np.concatenate([r.labels for r in records] or [np.zeros(0, np.int64)])
        group = np.repeat(np.arange(len(records), dtype=np.int64), sizes) * num_classes + label
        order = np.argsort(group, kind="stable")
        boxes = xywh(np.concatenate([r.boxes.reshape(-1, 4) for r in records] or [np.zeros((0, 4))]))
        crowd = np.concatenate([r.crowd for r in records] or [np.zeros(0, bool)]).astype(bool)
        area = np.concatenate([r.area for r in records] or [np.zeros(0)])
        return cls(group[order], boxes[order], crowd[order], (_outside(area) | crowd)[:, order])


def _outside(area: NDArray[np.float64]) -> _Bool:
    """bool [4, N]: box areas (px^2) outside each area range."""
    bounds = np.asarray(AREA_BOUNDS)
    return (area < bounds[:, :1]) | (area > bounds[:, 1:])


def _best_hundred(table: DetectionTable, num_classes: int) -> _I64:
    """Rows kept, image by image and class by class, best score first, 100 per image and class."""
    group = table.image.astype(np.int64) * num_classes + table.label
    order = np.lexsort((-table.score.astype(np.float64), group))
    return order[_rank(group[order]) < MAX_DETECTIONS]


def _rank(group: _I64) -> _I64:
    """Position of each row within its run of equal values; ``group`` is sorted."""
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    return np.arange(len(group)) - np.repeat(starts, np.diff(starts, append=len(group)))


def _match(group: _I64, boxes: _F64, truth: _Truth) -> tuple[_Bool, _Bool]:
    """COCO's greedy matching: (matched, matched to an ignored one), each bool [4, D, 10]."""
    matched = np.zeros((len(AREAS), len(group), len(IOUS)), dtype=bool)
    ignored = np.zeros_like(matched)
    first = np.searchsorted(truth.group, group, side="left")
    count = np.searchsorted(truth.group, group, side="right") - first
    taken = np.zeros((len(truth.group), len(AREAS), len(IOUS)), dtype=bool)
    for start, stop in _blocks(count):
        rows = np.arange(start, stop)
        det = np.repeat(rows, count[rows])
        gt = np.repeat(first[rows], count[rows]) + _rank(det)
        iou = pair_iou(boxes[det], truth.boxes[gt], truth.crowd[gt])
        near = iou >= IOUS[0]
        _greedy(det[near], gt[near], iou[near], group, truth, taken, matched, ignored)
    return matched, ignored


def _blocks(count: _I64) -> list[tuple[int, int]]:
    """Row ranges with a bounded number of pairs each; at least one row, so a block may exceed it."""
    total = np.cumsum(count)
    edges = [0]
    while edges[-1] < len(count):
        done = total[edges[-1] - 1] if edges[-1] else 0
        edges.append(max(int(np.searchsorted(total, done + _BLOCK_PAIRS, side="right")), edges[-1] + 1))
    return list(itertools.pairwise(edges))


def _greedy(
    det: _I64, gt: _I64, iou: _F64, group: _I64, truth: _Truth, taken: _Bool, matched: _Bool, ignored: _Bool
) -> None:
    """Match the candidate pairs (sorted by detection) in rounds: the r-th detection of every group.

    Groups are independent, so one round is one set of array operations over all of them.
    ``taken`` [N, 4, 10], ``matched`` and ``ignored`` [4, D, 10] are filled in place.
    """
    thresholds = np.minimum(np.asarray(IOUS), 1 - 1e-10)
    rows, first, count = np.unique(det, return_index=True, return_counts=True)
    turn = _rank(group[rows])
    for r in range(int(turn.max(initial=-1)) + 1):
        now = np.flatnonzero(turn == r)
        # Candidates from last to first: argmax takes the first of equals, COCO the last.
        slot = count[now][:, None] - 1 - np.arange(count[now].max())
        pair = first[now][:, None] + np.maximum(slot, 0)
        g, value = gt[pair], np.where(slot >= 0, iou[pair], -1.0)
        free = ~taken[g] | truth.crowd[g][:, :, None, None]
        open_ = free & (value[:, :, None, None] >= thresholds)
        skip = truth.ignored.T[g][:, :, :, None]
        regular = open_ & ~skip
        open_ = np.where(regular.any(axis=1, keepdims=True), regular, open_)
        best = np.where(open_, value[:, :, None, None], -1.0).argmax(axis=1)
        n, a, t = np.nonzero(open_.any(axis=1))
        chosen = g[n, best[n, a, t]]
        taken[chosen, a, t] = True
        matched[a, rows[now][n], t] = True
        ignored[a, rows[now][n], t] = truth.ignored[a, chosen]


def pair_iou(det: _F64, gt: _F64, crowd: _Bool) -> _F64:
    """IoU of x, y, width, height pairs [P]; against a crowd box intersection over detection area.

    The operations and their order are COCO's, so that a value at a threshold falls on the same side.
    """
    low = np.maximum(det[:, :2], gt[:, :2])
    high = np.minimum(det[:, :2] + det[:, 2:], gt[:, :2] + gt[:, 2:])
    side = high - low
    inter = np.where((side > 0).all(axis=1), side[:, 0] * side[:, 1], 0.0)
    area = det[:, 2] * det[:, 3]
    union = np.where(crowd, area, area + gt[:, 2] * gt[:, 3] - inter)
    return np.divide(inter, union, out=np.zeros_like(inter), where=union != 0)


_DROPPED_BITS = 13
# One step above the largest finite float32, so that every first difference is positive.
_TOP_STEP = 0x7F800000 >> _DROPPED_BITS


def _bits(score: NDArray[np.float32]) -> _I64:
    """Leading bits of non-negative float32 values; ascending values give ascending whole numbers."""
    # Adding zero turns -0.0, whose bit pattern is the largest, into 0.0.
    return (score + np.float32(0)).view(np.uint32).astype(np.int64) >> _DROPPED_BITS


def _from_bits(bits: _I64) -> NDArray[np.float32]:
    return (bits << _DROPPED_BITS).astype(np.uint32).view(np.float32)


def _small(values: NDArray[np.integer]) -> NDArray[np.integer]:
    """The same whole numbers in the smallest integer type that holds them."""
    wide = values.astype(np.int64)
    low, high = int(wide.min(initial=0)), int(wide.max(initial=0))
    return wide.astype(np.promote_types(np.min_scalar_type(low), np.min_scalar_type(high)))
