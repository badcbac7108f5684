"""Evaluation images in three groups by how crowded they are: few, some, many boxes; little, much overlap.

The borders are the terciles of the split itself, so they are stated with every group. Equal values stay
together: groups may differ in size, and where most images are alike there are two or one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from yolograft.data.records import ImageRecord
from yolograft.metrics.coco import xywh
from yolograft.metrics.matches import MatchTable, area_index, pair_iou

_F64 = NDArray[np.float64]
_TERCILES = (1 / 3, 2 / 3)


@dataclass(frozen=True, slots=True, eq=False)
class Stratum:
    """A group of images: bool [images]. low, high: least and largest value in it."""

    low: float
    high: float
    images: NDArray[np.bool_]


def boxes_per_image(matches: MatchTable) -> _F64:
    """Ground-truth boxes of every image, crowd excluded, [images]."""
    weights = matches.gt_count[:, area_index("all")].astype(np.float64)
    return np.bincount(matches.gt_image, weights=weights, minlength=matches.images).astype(np.float64)


def closest_overlap(records: Sequence[ImageRecord]) -> _F64:
    """Largest IoU of two boxes of an image, whatever their class, crowd excluded, [images]; 0 below two."""
    return np.array([_closest(record.boxes[~record.crowd]) for record in records], dtype=np.float64)


def strata(values: _F64) -> tuple[Stratum, ...]:
    """Images by the terciles of ``values`` [images], lowest first; empty groups are left out."""
    if not len(values):
        return ()
    borders = np.quantile(values, _TERCILES, method="inverted_cdf")
    group = np.searchsorted(borders, values, side="left")
    members = [group == g for g in np.unique(group)]
    return tuple(Stratum(float(values[m].min()), float(values[m].max()), m) for m in members)


def only(matches: MatchTable, images: NDArray[np.bool_]) -> MatchTable:
    """The table with what happened on some images; all images are still counted.

    So an influence on it stays [images], with 0 for the others, and its variance that of drawing images anew.
    """
    rows, pairs = images[matches.image], images[matches.gt_image]
    return MatchTable(
        image=matches.image[rows],
        label=matches.label[rows],
        score=matches.score[rows],
        tp=matches.tp[:, rows],
        ignored=matches.ignored[:, rows],
        gt_image=matches.gt_image[pairs],
        gt_label=matches.gt_label[pairs],
        gt_count=matches.gt_count[pairs],
        images=matches.images,
        num_classes=matches.num_classes,
        fingerprint=matches.fingerprint,
    )


def _closest(boxes: _F64) -> float:
    one, two = np.triu_indices(len(boxes), 1)
    if not len(one):
        return 0.0
    sides = xywh(boxes)
    return float(pair_iou(sides[one], sides[two], np.zeros(len(one), dtype=bool)).max())
