"""Two ways of reading one detector's output: is the difference more than the luck of the images?

Both readings see the same images and the same weights, so images are the only units, and paired: with psi_i
the influence of image i on each AP (`metrics.influence`), the standard error of the difference is the sd of
psi_i(new) - psi_i(base) over root N. Images that belong together are one unit (`metrics.influence.grouped`);
without groups they count as independent. Student's t with N - 1 degrees of freedom; comparisons with one base
share the error by Bonferroni, which holds however alike they are. The interval speaks of new images like
these under these very weights: nothing here says what another training run would give.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from yolograft.study.statistics.compare import FEWEST_UNITS
from yolograft.study.statistics.critical import critical_value


class OverImages(NamedTuple):
    """A difference with its interval at ``level``, in the unit of the influences; nan where unknown."""

    delta: float
    low: float
    high: float
    se: float
    level: float


def difference_over_images(
    base: NDArray[np.float64],
    new: NDArray[np.float64],
    *,
    delta: float,
    comparisons: int = 1,
    alpha: float = 0.05,
) -> OverImages:
    """The difference ``delta`` with its interval; the interval is unknown with fewer than 20 units.

    Args:
        base, new: influences of the same images, or groups of images, [N].
        comparisons: differences that share ``alpha``.
    """
    one, units = alpha / max(comparisons, 1), len(base)
    if units < FEWEST_UNITS or not math.isfinite(delta):
        return OverImages(delta, math.nan, math.nan, math.nan, 1 - one)
    se = float(np.std(new - base, ddof=1)) / math.sqrt(units)
    half = critical_value(one / 2, units - 1) * se
    return OverImages(delta, delta - half, delta + half, se, 1 - one)
