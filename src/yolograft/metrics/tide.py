"""Which errors cost AP: the bins of TIDE, each as the AP that mending all its errors would give.

TIDE: A General Toolbox for Identifying Object Detection Errors, Bolya et al. 2020, arXiv 2008.08115. At
IoU .5 every false alarm falls into one bin; IoU is the largest with ground truth of that kind, t_b = .1:

    Loc   .1 <= IoU < .5 with its own class                    mended: becomes a hit
    Cls   IoU >= .5 with another class                         mended: becomes a hit of that class
    Dupe  IoU >= .5 with its own class, taken by a better one  mended: dropped
    Bkg   IoU < .1 with everything                             mended: dropped
    Both  what is left: .1 <= IoU < .5 with another class      mended: dropped
    Miss  ground truth nobody took and no Loc or Cls is about  mended: not counted

The first that applies is taken, in the order above, which is that of the authors' tool (MIT). Where several
Loc or Cls errors are about one box the best score becomes the hit and the rest are dropped, all of them where
the box is taken. Two further bins: FP drops every false alarm, FN stops counting every box not taken.

Deviations: matching, crowd boxes and the 100 detections per image *and class* are COCO's, as everywhere
here (their tool takes 100 per image). A class that loses all its ground truth counts 0, as it did before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from yolograft.data.records import ImageRecord
from yolograft.metrics.coco import MAX_DETECTIONS, xywh
from yolograft.metrics.detections import DetectionTable
from yolograft.metrics.influence import influence
from yolograft.metrics.matches import (
    MatchTable,
    average_precision,
    build_match_table,
    pair_iou,
)

TIDE_IOU = 0.5
BACKGROUND_IOU = 0.1
MAIN_BINS = ("Cls", "Loc", "Both", "Dupe", "Bkg", "Miss")
BINS = (*MAIN_BINS, "FP", "FN")
_LOC, _CLS, _DUPE, _BKG, _BOTH = range(5)
_NAMES = ("Loc", "Cls", "Dupe", "Bkg", "Both")
# Area range "all" and IoU .5 are the first of their kind.
_A = _T = 0

_F64 = NDArray[np.float64]
_I64 = NDArray[np.int64]
_Bool = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class ErrorBin:
    """One kind of error: how many, and what mending them all would add to AP50 (COCO 101 points), 0..1.

    influence: float64 [images], of that difference, by the weight of each image; sum 0.
    table: the match table after the repair, mended at area range ``all`` and IoU .5 only; None once stored.
    """

    name: str
    count: int
    gain: float
    influence: _F64
    table: MatchTable | None


def error_bins(
    records: Sequence[ImageRecord],
    table: DetectionTable,
    num_classes: int,
    *,
    matches: MatchTable | None = None,
) -> tuple[ErrorBin, ...]:
    """The bins ``BINS`` of one evaluation, in order; gains and influences are nan without ground truth.

    Args:
        matches: the table's own match table, where it is at hand already.

    Raises:
        DataError: YG363 when the table and the records are not of the same split or class list.
    """
    if matches is None:
        matches = build_match_table(records, table, num_classes)
    errors = _errors(records, table, matches)
    value, psi = average_precision(matches, iou=TIDE_IOU), influence(matches, iou=TIDE_IOU)
    classes = int(np.count_nonzero(matches.positives()))
    made = []
    for name in BINS:
        mended = _mended(matches, errors, name)
        # Averaged over the classes there were: one left without ground truth adds 0 to the sum.
        kept = int(np.count_nonzero(mended.positives()))
        share = kept / classes if classes else 1.0
        after = average_precision(mended, iou=TIDE_IOU) * share if kept or not classes else 0.0
        moved = influence(mended, iou=TIDE_IOU) * share if kept or not classes else np.zeros_like(psi)
        made.append(ErrorBin(name, errors.count(name), after - value, moved - psi, mended))
    return tuple(made)


@dataclass(frozen=True, slots=True, eq=False)
class _Errors:
    """Every row of a match table and every uncrowded box of the records, with its error.

    kind: int64 [D], index into ``_NAMES``, -1 where the row is no false alarm.
    target: int64 [D], the box a Loc or Cls is about, -1 elsewhere. exact: float64 [D], unrounded scores.
    box_image, box_label: int64 [G]. taken, covered: bool [G], by a hit, by a Loc or Cls.
    """

    kind: _I64
    target: _I64
    exact: _F64
    box_image: _I64
    box_label: _I64
    taken: _Bool
    covered: _Bool

    def count(self, name: str) -> int:
        if name == "FP":
            return int(np.count_nonzero(self.kind >= 0))
        if name in ("Miss", "FN"):
            return int(np.count_nonzero(self.lost(name)))
        return int(np.count_nonzero(self.kind == _NAMES.index(name)))

    def lost(self, name: str) -> _Bool:
        """The boxes a repair stops counting, bool [G]."""
        return ~self.taken if name == "FN" else ~self.taken & ~self.covered


def _errors(records: Sequence[ImageRecord], table: DetectionTable, matches: MatchTable) -> _Errors:
    rows = _detection_rows(table, matches)
    boxes = xywh(table.boxes[rows])
    hit = matches.tp[_A, :, _T]
    false = ~hit & ~matches.ignored[_A, :, _T]
    regular = [~record.crowd for record in records]
    first = np.cumsum([0, *(int(keep.sum()) for keep in regular)])
    kind, target = np.full(len(rows), -1), np.full(len(rows), -1)
    taken, covered = np.zeros(first[-1], dtype=bool), np.zeros(first[-1], dtype=bool)
    by_image = np.argsort(matches.image, kind="stable")
    borders = np.searchsorted(matches.image[by_image], np.arange(len(records) + 1))
    for index, (record, keep) in enumerate(zip(records, regular, strict=True)):
        # Stable: rows of one class stay best score first, which is the order boxes were taken in.
        here = by_image[borders[index] : borders[index + 1]]
        labels, own = record.labels[keep], slice(first[index], first[index + 1])
        overlap = _overlap(boxes[here], xywh(record.boxes[keep]))
        same = matches.label[here][:, None] == labels
        taken[own] = _taken(np.where(same, overlap, -1.0)[hit[here]], len(labels))
        wrong = here[false[here]]
        found, about = _kinds(overlap[false[here]], same[false[here]])
        kind[wrong], target[wrong] = found, np.where(about >= 0, about + first[index], -1)
    covered[target[target >= 0]] = True
    count = np.diff(first)
    label = np.concatenate([r.labels[keep] for r, keep in zip(records, regular, strict=True)] or [kind[:0]])
    image = np.repeat(np.arange(len(records)), count)
    return _Errors(kind, target, table.score[rows].astype(np.float64), image, label, taken, covered)


def _detection_rows(table: DetectionTable, matches: MatchTable) -> _I64:
    """The detection behind each row of the match table: its order, on the exact scores."""
    order = np.lexsort((-table.score.astype(np.float64), table.image, table.label))
    group = np.stack([table.label[order], table.image[order]])
    starts = np.flatnonzero(np.any(np.diff(group, axis=1, prepend=-1), axis=0))
    rank = np.arange(len(order)) - np.repeat(starts, np.diff(starts, append=len(order)))
    order = order[rank < MAX_DETECTIONS]
    order = order[np.lexsort((-table.score[order].astype(np.float64), table.label[order]))]
    if not np.array_equal(table.image[order], matches.image):
        raise ValueError("the match table was not made from this detection table")
    return order


def _overlap(found: _F64, truth: _F64) -> _F64:
    """IoU [D, G] of x, y, width, height boxes."""
    pairs = np.repeat(found, len(truth), axis=0), np.tile(truth, (len(found), 1))
    return pair_iou(*pairs, np.zeros(len(pairs[0]), dtype=bool)).reshape(len(found), len(truth))


def _taken(overlap: _F64, boxes: int) -> _Bool:
    """Boxes taken by the hits of one image, bool [G]; ``overlap`` [hits, G] is -1 with other classes."""
    free = np.ones(boxes, dtype=bool)
    for row in overlap:
        best = np.where(free, row, -1.0)
        # Of equal overlaps COCO takes the last.
        free[boxes - 1 - int(best[::-1].argmax())] = False
    return ~free


def _kinds(overlap: _F64, same: _Bool) -> tuple[_I64, _I64]:
    """The error of each false alarm of one image, and the box a Loc or Cls is about, else -1; [F], [F]."""
    if not overlap.shape[1]:
        return np.full(len(overlap), _BKG), np.full(len(overlap), -1)
    own, other = np.where(same, overlap, -1.0), np.where(same, -1.0, overlap)
    near, far = own.max(axis=1), other.max(axis=1)
    cases = [
        (near >= BACKGROUND_IOU) & (near < TIDE_IOU),
        far >= TIDE_IOU,
        near >= TIDE_IOU,
        np.maximum(near, far) < BACKGROUND_IOU,
    ]
    kind = np.select(cases, [_LOC, _CLS, _DUPE, _BKG], _BOTH)
    about = np.select([kind == _LOC, kind == _CLS], [own.argmax(axis=1), other.argmax(axis=1)], -1)
    return kind, about


def _mended(matches: MatchTable, errors: _Errors, name: str) -> MatchTable:
    """The table after one repair; dropped rows are ignored, so that the row count stays."""
    if name in ("Miss", "FN"):
        return _without(matches, errors, errors.lost(name))
    rows = np.flatnonzero(errors.kind >= 0 if name == "FP" else errors.kind == _NAMES.index(name))
    tp, ignored, label = matches.tp.copy(), matches.ignored.copy(), matches.label.copy()
    ignored[_A, rows, _T] = True
    if name in ("Loc", "Cls"):
        best = _best(rows, errors)
        tp[_A, best, _T], ignored[_A, best, _T] = True, False
        label[best] = errors.box_label[errors.target[best]]
    # As the table sorts: class, exact score, then image; rows of one image keep their order.
    order = np.lexsort((matches.image, -errors.exact, label))
    return replace(
        matches,
        image=matches.image[order],
        label=label[order],
        score=matches.score[order],
        tp=tp[:, order],
        ignored=ignored[:, order],
    )


def _best(rows: _I64, errors: _Errors) -> _I64:
    """Of the errors about one free box the one of best score."""
    open_ = rows[~errors.taken[errors.target[rows]]]
    open_ = open_[np.argsort(-errors.exact[open_], kind="stable")]
    return open_[np.unique(errors.target[open_], return_index=True)[1]]


def _without(matches: MatchTable, errors: _Errors, lost: _Bool) -> MatchTable:
    """The table with fewer boxes to find."""
    key = errors.box_image * matches.num_classes + errors.box_label
    pairs = matches.gt_image.astype(np.int64) * matches.num_classes + matches.gt_label
    counts = matches.gt_count.copy()
    np.subtract.at(counts[:, _A], np.searchsorted(pairs, key[lost]), 1)
    return replace(matches, gt_count=counts)
