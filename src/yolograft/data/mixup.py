"""Blending two training samples into one.

Source: Zhang et al. 2018, "mixup: Beyond Empirical Risk Minimization" (arXiv 1710.09412), in the form
detectors use since Zhang et al. 2019, "Bag of Freebies for Training Object Detection Neural Networks"
(arXiv 1902.04103): pixels are blended, the boxes of both samples are kept. Deviations: both samples have
network size already (neither is padded to the larger of the two), and a box counts fully whatever its
image's share of the pixels, because the share is drawn close to one half.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from yolograft.data.images import Image

# Both shape parameters of the beta distribution of the share: mean 1/2, standard deviation 0.062.
BETA = 32.0


class Partner(NamedTuple):
    """The second image of a blend, by position, and the first one's share of the pixels (0 .. 1)."""

    image: int
    share: float


def draw_partner(
    rng: np.random.Generator, *, probability: float, index: int, pool: NDArray[np.int64]
) -> Partner | None:
    """Draw whether image `index` is blended and with what: any other image of `pool`, a position each.

    None where chance says so or `pool` holds no other image.
    """
    if rng.random() >= probability:
        return None
    others = pool[pool != index]
    if not len(others):
        return None
    return Partner(int(others[rng.integers(len(others))]), float(rng.beta(BETA, BETA)))


def blend(image: Image, second: Image, *, share: float) -> None:
    """Make uint8 `image` share * image + (1 - share) * second, rounded, in place; equal shapes."""
    cv2.addWeighted(image, share, second, 1 - share, 0, dst=image)
