"""The images on which an arm gains and loses most, and how sure the seeds are of each.

An image's gain is the difference of its shares in AP (`metrics.influence.image_shares`), mean over the seeds
of both sides: over all images the gains add up to the difference in AP (area under the envelope). A
difference of influences would rank alike images by how many boxes they hold, for it measures every image
against the average one; an image that both arms treat alike has a gain of nearly 0 here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yolograft.metrics.influence import image_shares
from yolograft.metrics.matches import MatchTable

MOST = 6


@dataclass(frozen=True, slots=True)
class ImageGain:
    """image: its index in the evaluation split. gain: AP points, its part of the arm's whole difference.

    agree: share of all pairs (a baseline run, an arm's run) whose difference has the gain's sign, 0..1.
    """

    image: int
    gain: float
    agree: float


def shares_of(runs: Sequence[MatchTable]) -> NDArray[np.float64]:
    """Shares of every image in every run's AP, float64 [K, images], AP points; 0 without ground truth."""
    images = runs[0].images if runs else 0
    stacked = [100 * image_shares(matches) for matches in runs]
    return np.nan_to_num(np.stack(stacked)) if stacked else np.zeros((0, images))


def image_gains(base: NDArray[np.float64], arm: NDArray[np.float64]) -> list[ImageGain]:
    """Every image's gain, largest first; of equals the first image. ``base``, ``arm``: shares [K, images]."""
    if not len(base) or not len(arm):
        return []
    gain = arm.mean(axis=0) - base.mean(axis=0)
    pairs = np.sign(arm[:, None] - base[None])
    agree = (pairs == np.sign(gain)).mean(axis=(0, 1))
    order = np.argsort(-gain, kind="stable")
    return [ImageGain(int(i), float(gain[i]), float(agree[i])) for i in order]


def best_and_worst(gains: Sequence[ImageGain], *, most: int = MOST) -> dict[str, list[dict[str, Any]]]:
    """As JSON values: up to ``most`` images that gain (``best``) and that lose (``worst``), largest first."""
    best = [gain for gain in gains if gain.gain > 0][:most]
    worst = [gain for gain in reversed(gains) if gain.gain < 0][:most]
    return {"best": [asdict(gain) for gain in best], "worst": [asdict(gain) for gain in worst]}
