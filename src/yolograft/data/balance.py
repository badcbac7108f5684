"""Which images an epoch shows when rare classes are to be seen more often.

Source: the idea of repeat-factor sampling, Gupta et al. 2019, "LVIS: A Dataset for Large Vocabulary
Instance Segmentation" (arXiv 1908.03195), section 4: an image repeats as often as its rarest class asks,
and a class c asks in proportion to 1 / sqrt(f_c), f_c being the fraction of images that show it.
Deviations: there is no threshold above which all classes count alike but a strength b, the exponent of the
weight; and weights are normalised, so that an epoch keeps its number of steps and frequent classes give
way to rare ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def image_weights(labels: Sequence[NDArray[np.int64]], *, strength: float) -> NDArray[np.float64]:
    """Weight of every image, float64 [N], summing to 1.

    w_i is proportional to (max over the classes c in image i of 1 / sqrt(f_c)) ** strength. An image
    without boxes gets the smallest weight any image with boxes has, so where all classes are equally
    common nothing changes.

    Args:
        labels: classes of each image's boxes, int64 [boxes of image i].
        strength: 0 weighs all images alike, 1 is the full correction.
    """
    shown = [np.unique(each) for each in labels]
    if not any(len(classes) for classes in shown):
        return np.full(len(shown), 1 / len(shown))
    frequency = np.bincount(np.concatenate(shown)) / len(shown)
    # The rarest class of an image is the one that asks for most.
    rarest = np.array([frequency[classes].min() if len(classes) else np.nan for classes in shown])
    rarest[np.isnan(rarest)] = np.nanmax(rarest)
    weights = rarest ** (-strength / 2)
    return weights / weights.sum()


def balanced_order(
    weights: NDArray[np.float64], *, slots: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Positions int64 [slots] in random order: image i comes floor or ceil of slots * weights[i] times.

    The whole parts are given, the fractions drawn by systematic sampling (one random number, evenly
    spaced points) over the images in random order, so every image's expected count is exact.
    """
    expected = slots * weights
    whole = np.floor(expected)
    shuffled = rng.permutation(len(weights))
    ends = np.cumsum((expected - whole)[shuffled])
    points = rng.random() + np.arange(slots - int(whole.sum()))
    chosen = np.searchsorted(ends, points, side="right").clip(max=len(weights) - 1)
    counts = whole.astype(np.int64)
    np.add.at(counts, shuffled[chosen], 1)
    return rng.permutation(np.repeat(np.arange(len(weights)), counts))
