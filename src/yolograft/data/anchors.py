"""Anchors for a dataset: box sizes clustered by the ratio of their sides, then refined by mutation.

The measure is the one the YOLOv5 family publishes: an anchor fits a box by the smallest of the ratios
between their widths and between their heights; a box can be recalled if its best anchor fits it better than
1 / 4. Clustering box sizes goes back to YOLO9000, Redmon and Farhadi 2016, arXiv 1612.08242. Deviation:
k-means runs on logarithms, where a ratio is a distance.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from yolograft import rng
from yolograft.data.images import fitted_size
from yolograft.data.records import ImageRecord
from yolograft.errors import DataError

Sizes = NDArray[np.float64]
# Sides of a box and of its anchor differ by less than this factor.
RATIO = 4.0
GENERATIONS = 1000
# A mutation changes each side with this probability, by this much at most (sd of its logarithm).
CHANGED, STEP = 0.9, 0.1
# Refinement looks at no more boxes than this; the result is judged on all.
MOST_REFINED = 10_000


@dataclass(frozen=True, slots=True)
class AnchorFit:
    """How anchors suit a set of boxes.

    recall: best possible recall, the share of boxes that any anchor fits. fitness: mean over the boxes of how
    well the best anchor fits, 0 for those beyond recall.
    """

    recall: float
    fitness: float


def input_sizes(records: Sequence[ImageRecord], *, imgsz: tuple[int, int]) -> Sizes:
    """(width, height) [M, 2] of the boxes trained on, in pixels of the letterboxed input (H, W)."""
    sizes = [np.zeros((0, 2))]
    for record in records:
        boxes = record.boxes[~record.crowd]
        height, width = fitted_size((record.height, record.width), imgsz)
        scale = np.array((width / record.width, height / record.height))
        sizes.append((boxes[:, 2:] - boxes[:, :2]) * scale)
    return np.concatenate(sizes)


def anchor_fit(sizes: Sizes, anchors: Sequence[float], *, ratio: float = RATIO) -> AnchorFit:
    """Recall and fitness of anchors, flat (width, height) pairs, on box sizes [M, 2] of the same unit.

    Raises:
        DataError: there is no box (YG357).
    """
    return _fit(_logarithms(sizes, least=1), np.log(np.reshape(anchors, (-1, 2))), ratio)


def cluster_anchors(
    sizes: Sizes,
    *,
    levels: int = 3,
    per_level: int = 3,
    start: Sequence[float] = (),
    seed: int = 0,
) -> tuple[float, ...]:
    """Anchors for box sizes [M, 2] in input pixels: flat, by area, the smallest on the first level.

    A pure function of its arguments. start: anchors in use; they come back unless others are better in
    fitness and no worse in recall.

    Raises:
        DataError: fewer boxes than anchors (YG357).
    """
    count = levels * per_level
    logs = _logarithms(sizes, least=count)
    draw = rng.stream(seed, "anchors", count)
    few = logs if len(logs) <= MOST_REFINED else draw.choice(logs, MOST_REFINED, replace=False)
    found = _rounded(_clusters(few, count, draw))
    given = np.log(np.reshape(start, (-1, 2)))
    if len(given) and not _better(_fit(few, found), _fit(few, given)):
        found = given
    found = _refined(few, found, draw)
    if len(given) and not _better(_fit(logs, found), _fit(logs, given)):
        return tuple(float(side) for side in start)
    sides = np.round(np.exp(found), 1)
    return tuple(float(side) for side in sides[np.argsort(sides.prod(1), kind="stable")].ravel())


def _logarithms(sizes: Sizes, *, least: int) -> Sizes:
    real = np.asarray(sizes, dtype=np.float64).reshape(-1, 2)
    real = real[(real > 0).all(1)]
    if len(real) < least:
        cause = f"{len(real)} boxes of any width and height, at least {least} to choose or judge anchors by"
        raise DataError("YG357", cause, fix="leave out --anchors")
    return np.log(real)


def _fit(sizes: Sizes, anchors: Sizes, ratio: float = RATIO) -> AnchorFit:
    """Both as logarithms, [M, 2] and [K, 2]."""
    wide = np.abs(sizes[:, :1] - anchors[:, 0])
    best = np.exp(-np.maximum(wide, np.abs(sizes[:, 1:] - anchors[:, 1])).min(1))
    fits = best > 1 / ratio
    return AnchorFit(float(fits.mean()), float((best * fits).mean()))


def _better(a: AnchorFit, b: AnchorFit) -> bool:
    return a.fitness > b.fitness and a.recall >= b.recall


def _clusters(logs: Sizes, count: int, draw: np.random.Generator) -> Sizes:
    from scipy.cluster.vq import kmeans2

    distinct = np.unique(logs, axis=0)
    if len(distinct) <= count:
        return np.resize(distinct, (count, 2))
    with warnings.catch_warnings():
        # A cluster that loses all its boxes keeps its centre; refinement moves it to use.
        warnings.simplefilter("ignore", UserWarning)
        return kmeans2(logs, count, iter=30, minit="++", rng=draw)[0]


def _refined(logs: Sizes, anchors: Sizes, draw: np.random.Generator) -> Sizes:
    best = _fit(logs, anchors)
    for _ in range(GENERATIONS):
        change = (draw.random(anchors.shape) < CHANGED) * draw.normal(0, STEP, anchors.shape) * draw.random()
        child = _rounded(anchors + change)
        fit = _fit(logs, child)
        if _better(fit, best):
            anchors, best = child, fit
    return anchors


def _rounded(anchors: Sizes) -> Sizes:
    """To a tenth of a pixel, as they are written down: what is judged is what is used."""
    return np.log(np.maximum(np.round(np.exp(anchors), 1), 0.1))
