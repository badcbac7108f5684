"""What each image does to AP: the influence function of the area under the precision envelope, closed form.

Give image i the weight w_i. With the detections of a class in score order, T_l and n_l the weighted true
positives and counted detections up to l, and P the weighted ground truth,

    AP(w) = (1/P) sum_j w_j tp_j env_j,    env_j = max_{l >= j} T_l / n_l,    attained at l(j).

The derivative by the weight of detection m is tp_m env_m + tp_m S0(m) - S1(m), times 1/P, where S0(m) sums
tp_j / n_l(j) and S1(m) sums tp_j env_j / n_l(j) over the j with l(j) >= m; an ignored detection has none.
Its first part is what m adds itself, the rest what it does to the precision of others. Summed over an
image, minus AP P_i / P, and times the number of images N, this is the influence psi_i = N dAP/dw_i: it sums
to 0, and var_i(psi) / N estimates the variance of AP over draws of N images (delta method; Hampel 1974,
"The influence curve and its role in robust estimation", JASA 69; Efron 1982, the infinitesimal jackknife).

Why the area and not COCO's 101 points: the derivative on a fixed recall grid freezes the recall index, so
that a miss would have no influence at all. The two values differ by the grid's rounding only, which
hardly depends on the images drawn.

Where two points of a precision curve are exactly equal the derivative has two sides, and the one of the
earlier point is taken; it lies between them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from yolograft.metrics.matches import MatchTable, area_index, iou_index

_F64 = NDArray[np.float64]
_I64 = NDArray[np.int64]
_Bool = NDArray[np.bool_]


def area_ap(
    matches: MatchTable, *, area: str = "all", labels: Sequence[int] | None = None, iou: float | None = None
) -> float:
    """Area under the precision envelope, 0..1, mean over IoUs and classes with ground truth; nan without.

    Args:
        area: ``all``, ``small``, ``medium`` or ``large``.
        labels: classes to average over, all when None; those without ground truth are left out.
        iou: one of .50, .55, ... .95; all ten when None.

    Raises:
        DataError: YG364 for an area range or IoU that COCO does not have.
    """
    shares = image_shares(matches, area=area, labels=labels, iou=iou)
    return float(shares.sum()) if len(shares) else math.nan


def influence(
    matches: MatchTable, *, area: str = "all", labels: Sequence[int] | None = None, iou: float | None = None
) -> _F64:
    """N dAP/dw_i of ``area_ap`` by the weight of each image, float64 [images], 0..1 units, sum 0.

    An image with neither counted detections nor ground truth has 0. All nan where AP is. Arguments and
    errors: see ``area_ap``.
    """
    added, expected = _parts(matches, area=area, labels=labels, iou=iou)
    return matches.images * (added - expected)


def image_shares(
    matches: MatchTable, *, area: str = "all", labels: Sequence[int] | None = None, iou: float | None = None
) -> _F64:
    """The part of ``area_ap`` that is due to each image, float64 [images], 0..1 units, sum = ``area_ap``.

    A correct detection adds its precision; what it and a false alarm do to the precision of detections on
    other images is booked here too, so an image may be below 0. An image on which nothing is counted has 0.
    All nan where AP is. Arguments and errors: see ``area_ap``.
    """
    return _parts(matches, area=area, labels=labels, iou=iou)[0]


def grouped(psi: _F64, groups: ArrayLike) -> _F64:
    """Influences of groups of images (a video, a folder): [..., G] from [..., images].

    ``groups`` [images] names each image's group by number or text; the result follows the sorted names.
    G / N times the sum over each group, so that var_g / G is the variance with groups as the units drawn.
    """
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    if psi.shape[-1:] != index.shape:
        raise ValueError(f"groups of {index.size} images, influences of {psi.shape[-1]}")
    order = np.argsort(index, kind="stable")
    starts = np.searchsorted(index[order], np.arange(len(names)))
    if not len(names):
        return psi.copy()
    return np.add.reduceat(psi[..., order], starts, axis=-1) * (len(names) / index.size)


def _parts(
    matches: MatchTable, *, area: str, labels: Sequence[int] | None, iou: float | None
) -> tuple[_F64, _F64]:
    """(added, expected), each [images], both summing to AP: influence is N times their difference."""
    a, positives = area_index(area), matches.positives(area)
    thresholds = slice(None) if iou is None else slice(iou_index(iou), iou_index(iou) + 1)
    asked = range(matches.num_classes) if labels is None else sorted(set(labels))
    judged = [k for k in asked if positives[k]]
    if not judged:
        return np.full(matches.images, math.nan), np.full(matches.images, math.nan)
    worth = np.zeros(len(matches))
    price = np.zeros(matches.num_classes)
    for label in judged:
        rows = matches.rows(label)
        if rows.start == rows.stop:
            continue
        tp = np.ascontiguousarray(matches.tp[a, rows, thresholds].T)
        out = np.ascontiguousarray(matches.ignored[a, rows, thresholds].T)
        one = _curves(tp, tp | ~out)
        worth[rows] = _row_worth(tp, one) / (len(tp) * positives[label])
        price[label] = one.envelope.sum() / (len(tp) * positives[label] ** 2)
    added = np.bincount(matches.image, weights=worth, minlength=matches.images)
    truth = matches.gt_count[:, a] * price[matches.gt_label]
    expected = np.bincount(matches.gt_image, weights=truth, minlength=matches.images)
    return added / len(judged), expected / len(judged)


@dataclass(frozen=True, slots=True, eq=False)
class _Curves:
    """Precision curves of one class over its true positives only: a maximum of precision is always at one.

    envelope [T, K + 1]: env_j of the j-th true positive at each of T IoUs, 0 behind the last.
    own, others [T, K + 1]: S0 and S1 there; a false alarm has those of the true positive that follows it.
    before: int64 [T, D], true positives above each row; counted: bool [T, D].
    """

    envelope: _F64
    own: _F64
    others: _F64
    before: _I64
    counted: _Bool


def _curves(tp: _Bool, counted: _Bool) -> _Curves:
    """The curves of one class; ``tp`` and ``counted`` bool [T, D] in score order."""
    reached = np.cumsum(tp, axis=1, dtype=np.int64)
    ranks = np.cumsum(counted, axis=1, dtype=np.int64)
    most = int(reached[:, -1].max())
    t, row = np.nonzero(tp)
    j = reached[t, row] - 1
    # One column behind the last true positive, where nothing more is found.
    size, precision = np.ones((len(tp), most + 1)), np.zeros((len(tp), most + 1))
    size[t, j] = ranks[t, row]
    precision[t, j] = (j + 1) / size[t, j]
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    place = np.broadcast_to(np.arange(most + 1), envelope.shape)
    attains = precision == envelope
    at = np.where(attains, place, most)
    at = np.minimum.accumulate(at[:, ::-1], axis=1)[:, ::-1]
    pull = np.where(envelope > 0, 1 / np.take_along_axis(size, at, axis=1), 0.0)
    # All detections between two attaining points lie before the same of them: sums start where the run does.
    start = np.zeros_like(at)
    start[:, 1:] = np.where(attains[:, :-1], place[:, 1:], 0)
    start = np.maximum.accumulate(start, axis=1)
    own, others = (
        np.take_along_axis(np.cumsum(part[:, ::-1], axis=1)[:, ::-1], start, axis=1)
        for part in (pull, pull * envelope)
    )
    return _Curves(envelope, own, others, reached - tp, counted)


def _row_worth(tp: _Bool, curves: _Curves) -> _F64:
    """The derivative of P AP by the weight of each row, summed over the IoUs, [D]."""
    hit = np.take_along_axis(curves.envelope + curves.own, curves.before, axis=1)
    cost = np.take_along_axis(curves.others, curves.before, axis=1)
    return (tp * hit - curves.counted * cost).sum(axis=0)
