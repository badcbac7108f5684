"""One run taken apart: AP by class, by box size, by crowding, and what each kind of error costs it.

Every part has a value and the influence of every image on it, as AP itself has, so that a difference of
two arms in any part gets its interval the same way.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from yolograft.metrics.influence import influence
from yolograft.metrics.matches import (
    AREAS,
    IOUS,
    RECALL_POINTS,
    MatchTable,
    area_index,
    average_precision,
    interpolated_precision,
)
from yolograft.metrics.tide import ErrorBin
from yolograft.study.where.crowding import Stratum, only

CLASS, SIZE, CROWDING, OVERLAP, ERROR = "class", "size", "crowding", "overlap", "error"
KINDS = (CLASS, SIZE, CROWDING, OVERLAP, ERROR)


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One part of one run, in AP points (0..100).

    kind, name: what it is a part of, and which. value: COCO AP; of an error, the AP50 that mending it adds.
    influence: float64 [images], sum 0. boxes: ground truth in the part. holding: bool [images], those
    with such ground truth. errors: how many of that kind the run made; None elsewhere.
    """

    kind: str
    name: str
    value: float
    influence: NDArray[np.float64]
    boxes: int
    holding: NDArray[np.bool_]
    errors: int | None = None


def parts_of(
    matches: MatchTable,
    *,
    names: Sequence[str],
    crowding: Mapping[str, Sequence[Stratum]] | None = None,
    bins: Sequence[ErrorBin] = (),
) -> list[Part]:
    """Every part of a run that holds ground truth, kind by kind; the same parts for every run of a split.

    Args:
        names: of the classes, in order; a class beyond them goes by its number.
        crowding: groups of images under ``crowding`` (boxes) and ``overlap`` (IoU); one group alone is none.
        bins: `metrics.tide.error_bins` of the run.
    """
    names = [*names, *map(str, range(len(names), matches.num_classes))]
    parts = [_class(matches, k, names[k]) for k in np.flatnonzero(matches.positives()).tolist()]
    parts += [_whole(matches, SIZE, area, area=area) for area in AREAS[1:]]
    for kind, groups in (crowding or {}).items():
        if len(groups) > 1:
            parts += [_whole(only(matches, g.images), kind, _range(kind, g)) for g in groups]
    truth = _holding(matches, area="all")
    boxes = int(matches.positives().sum())
    for found in bins:
        # Rounding may leave a bin without errors a hair below 0.
        value, psi = 100 * max(found.gain, 0.0), 100 * found.influence
        parts.append(Part(ERROR, found.name, value, psi, boxes, truth, found.count))
    return [part for part in parts if part.boxes and math.isfinite(part.value)]


def _class(matches: MatchTable, label: int, name: str) -> Part:
    ap = interpolated_precision(matches, label).sum() / (RECALL_POINTS * len(IOUS))
    psi = influence(matches, labels=[label])
    holding = _holding(matches, area="all", label=label)
    return Part(CLASS, str(name), 100 * float(ap), 100 * psi, int(matches.positives()[label]), holding)


def _whole(matches: MatchTable, kind: str, name: str, *, area: str = "all") -> Part:
    value, psi = average_precision(matches, area=area), influence(matches, area=area)
    boxes = int(matches.positives(area).sum())
    return Part(kind, name, 100 * value, 100 * psi, boxes, _holding(matches, area=area))


def _holding(matches: MatchTable, *, area: str, label: int | None = None) -> NDArray[np.bool_]:
    counted = matches.gt_count[:, area_index(area)] > 0
    if label is not None:
        counted &= matches.gt_label == label
    holding = np.zeros(matches.images, dtype=bool)
    holding[matches.gt_image[counted]] = True
    return holding


def _range(kind: str, group: Stratum) -> str:
    """The values of a group in words: ``3-7`` boxes, ``.12-.40`` IoU."""
    digits = 0 if kind == CROWDING else 2
    low, high = (f"{value:.{digits}f}" for value in (group.low, group.high))
    return low if low == high else f"{low}-{high}"
