"""Planning: which difference a budget sees, how many seeds or images a difference takes.

The judge of `compare` takes the larger of pooled and own variance, with degrees of freedom that depend on
which of them governs. Under equal normal noise both depend on nothing but the shares that the arms have in
the total sum of squares, and the shares are independent of the total: the power is the mean, over the
shares, of noncentral t tails of the total's degrees of freedom beyond the judge's critical value.
At K = 3, 5, 10 that sees 3.38, 2.17, 1.39 sd with probability 0.8; plain pooling 3.07, 2.02, 1.32.
Noise of images, V_img - V_int, adds to the variance however many seeds there are.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import interpolate, special
from scipy import stats as distributions

from yolograft.errors import StudyError
from yolograft.study.statistics.critical import critical_value, equal_correlation, two_sided
from yolograft.study.statistics.variance import SD_FLOOR, governing_variances

FEWEST_SEEDS = 3
MOST_SEEDS = 1_000_000
_CERTAIN_SHIFT = 50.0
_ENDLESS = 1e6
_NODES = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 11.0, 16.0, 26.0, 60.0, 200.0, _ENDLESS)

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Design:
    """What a budget is planned for, beside the seeds.

    arms: candidates that share one baseline. alpha: their family-wise error. image_variance: squared AP
    points that images add to the variance of the difference (V_img - V_int, on this evaluation split);
    units: how many images or groups that was measured on. bank_df: degrees of freedom lent by
    earlier baseline runs. paired: the paired form, where ``sd`` is that of the differences.
    """

    arms: int = 1
    alpha: float = 0.05
    image_variance: float = 0.0
    units: int = 0
    bank_df: int = 0
    paired: bool = False


def minimum_detectable(
    sd: float, k: int, *, arms: int = 1, alpha: float = 0.05, power: float = 0.8, design: Design | None = None
) -> float:
    """The true difference (AP points) that ``k`` seeds per arm find with probability ``power``.

    ``sd`` is the run-to-run sd of every arm. ``arms`` candidates share one baseline of ``k`` runs:
    df = (arms + 1)(k - 1), critical value of the multivariate t; where these are some of t verdicts, give
    alpha * arms / t. ``design``, if given, stands for ``arms`` and ``alpha``. Infinite below three seeds,
    where no verdict is given.
    """
    plan = _checked(sd, design or Design(arms, alpha), power)
    if k < FEWEST_SEEDS:
        return math.inf
    sd = max(sd, SD_FLOOR)
    return sd * _detectable_sds(k, _in_sds(plan, sd), power)


def seeds_needed(
    difference: float,
    sd: float,
    *,
    arms: int = 1,
    alpha: float = 0.05,
    power: float = 0.8,
    design: Design | None = None,
) -> int:
    """Fewest seeds per arm whose ``minimum_detectable`` is at most ``difference`` (AP points).

    Raises:
        StudyError: YG602 when the difference is not positive or would take over a million seeds, as it
            does where the images alone are too noisy (`images_needed`).
    """
    plan = _checked(sd, design or Design(arms, alpha), power)
    if not (math.isfinite(difference) and difference > 0):
        raise StudyError("YG602", f"a difference to detect must be positive, got {difference}")
    needed = fewest_seeds(difference, sd, plan, power=power)
    if not needed:
        raise StudyError("YG602", f"seeing {difference:g} AP at sd {sd:g} takes over a million seeds")
    return needed


def power_of(
    difference: float,
    sd: float,
    k: int,
    *,
    arms: int = 1,
    alpha: float = 0.05,
    design: Design | None = None,
) -> float:
    """Probability that ``k`` seeds per arm give an interval without 0, at a true ``difference``."""
    plan = _checked(sd, design or Design(arms, alpha), 0.5)
    if k < 2:
        raise StudyError("YG602", f"power needs at least two seeds, got {k}")
    sd = max(sd, SD_FLOOR)
    return _power(difference / sd, k, _in_sds(plan, sd))


def images_needed(
    difference: float,
    image_variance: float,
    units: int,
    *,
    arms: int = 1,
    alpha: float = 0.05,
    power: float = 0.8,
) -> int:
    """Fewest images (or groups) with which endless seeds would see ``difference`` AP points.

    Args:
        image_variance: V_img - V_int in squared AP points, measured on ``units`` images or groups; it falls
            as one over their number.

    More than ``units`` says that no number of seeds sees the difference on these images.
    """
    _checked(0.0, Design(arms, alpha), power)
    if not (math.isfinite(difference) and difference > 0 and image_variance >= 0 and units >= 0):
        got = f"difference {difference}, image variance {image_variance}, units {units}"
        raise StudyError("YG602", f"cannot plan with {got}")
    reach = _critical(arms, alpha, _ENDLESS) + float(distributions.norm.ppf(power))
    needed = units * image_variance * (reach / difference) ** 2
    return math.ceil(min(needed, 1e12) - 1e-9)


def fewest_seeds(difference: float, sd: float, design: Design, *, power: float = 0.8) -> int:
    """Fewest seeds per arm that see ``difference``; 0 where a million do not."""
    sd = max(sd, SD_FLOOR)
    goal, plan = difference / sd, _in_sds(design, sd)
    # With the noise exactly known; the truth is a little more, so few steps find it.
    reach = _critical(plan.arms, plan.alpha, _ENDLESS) + float(distributions.norm.ppf(power))
    left = (goal / reach) ** 2 - plan.image_variance
    of_one_seed = 1.0 if plan.paired else 2.0
    if left <= of_one_seed / MOST_SEEDS:
        return 0
    guess, step = max(math.ceil(of_one_seed / left), FEWEST_SEEDS), 1
    low = high = guess
    if _power(goal, guess, plan) < power:
        while _power(goal, high, plan) < power:
            if high >= MOST_SEEDS:
                return 0
            low, high, step = high, min(high + step, MOST_SEEDS), 2 * step
    else:
        while low >= FEWEST_SEEDS and _power(goal, low, plan) >= power:
            low, high, step = max(low - step, FEWEST_SEEDS - 1), low, 2 * step
    while high - low > 1:
        middle = (low + high) // 2
        if _power(goal, middle, plan) < power:
            low = middle
        else:
            high = middle
    return high


def _in_sds(design: Design, sd: float) -> Design:
    scaled = design.image_variance / sd**2
    return Design(design.arms, design.alpha, scaled, design.units, design.bank_df, design.paired)


def _power(effect: float, k: int, plan: Design) -> float:
    """``effect`` and ``plan.image_variance`` in units of the run-to-run sd."""
    if plan.paired:
        judged = _Judged(k - 1.0, np.ones(1), np.full(1, k - 1.0))
        of_seeds, arms, alpha = 1 / k, 1, plan.alpha / plan.arms
    else:
        judged, of_seeds, arms, alpha = _judged(k, plan.arms, plan.bank_df), 2 / k, plan.arms, plan.alpha
    seeds, variance = of_seeds * judged.stretch, of_seeds + plan.image_variance
    df = float(_with_images(np.array(of_seeds), np.array(judged.total_df), plan))
    cut = critical_values(arms, alpha, _with_images(seeds, judged.df, plan))
    cut = cut * np.sqrt((seeds + plan.image_variance) / variance)
    shift = abs(effect) / math.sqrt(variance)
    if shift > _CERTAIN_SHIFT * float(cut.max()):
        return 1.0
    tails = distributions.nct.sf(cut, df, shift)
    if shift < 5:
        # The other tail: below 1e-6 beyond, and nan from scipy's series where it is next to nothing.
        tails = tails + np.nan_to_num(distributions.nct.cdf(-cut, df, shift), nan=0.0)
    return float(tails.mean())


def _with_images(of_seeds: Array, df: Array, plan: Design) -> Array:
    """Degrees of freedom of the seeds' variance and the images' together, as `variance` has them."""
    if not plan.image_variance or plan.units < 2:
        return df
    scatter = of_seeds**2 / df + plan.image_variance**2 / (plan.units - 1)
    return np.maximum((of_seeds + plan.image_variance) ** 2 / scatter, np.minimum(df, plan.units - 1.0))


def critical_values(arms: int, alpha: float, df: Array) -> Array:
    """Critical values at many degrees of freedom; for several arms between nodes, to about 1e-3,
    5e-3 where alpha is shared down to .002."""
    if arms == 1:
        return special.stdtrit(df, 1 - alpha / 2)
    nodes = np.array(_NODES)
    logarithms = np.log([_critical(arms, alpha, node) for node in _NODES])
    # Smooth in 1 / df.
    spline = interpolate.CubicSpline(1 / nodes[::-1], logarithms[::-1])
    return np.exp(spline(1 / np.clip(df, _NODES[0], _NODES[-1])))


@functools.lru_cache(maxsize=4096)
def _critical(arms: int, alpha: float, df: float) -> float:
    if arms == 1:
        return critical_value(alpha / 2, df)
    return two_sided(alpha, df, equal_correlation(arms))


@dataclass(frozen=True, slots=True)
class _Judged:
    """What the judge finds in equally likely studies of equal normal noise.

    total_df: degrees of freedom of the total sum of squares. stretch: V_seed over its true value, were the
    total what it is on average. df: that the judge gives V_seed.
    """

    total_df: float
    stretch: Array
    df: Array


@functools.lru_cache(maxsize=512)
def _judged(k: int, arms: int, bank_df: int) -> _Judged:
    """For k runs per arm.

    Sums of squares of baseline, arm and the rest, divided by their total, are Dirichlet with half their
    degrees of freedom each. Midpoint rule on the quantiles of the shares.
    """
    of_arm, of_base = k - 1, k - 1 + bank_df
    of_rest = (arms - 1) * of_arm
    total = of_base + of_arm + of_rest
    both = np.ones(1)
    if arms > 1:
        both = distributions.beta.ppf((np.arange(8) + 0.5) / 8, (of_arm + of_base) / 2, of_rest / 2)
    split = distributions.beta.ppf((np.arange(32) + 0.5) / 32, of_base / 2, of_arm / 2)
    base, arm = np.outer(both, split).ravel(), np.outer(both, 1 - split).ravel()
    # How the other arms differ among themselves matters to nobody: each has their mean.
    rest = np.repeat(((1 - base - arm) / max(of_rest, 1))[:, None], arms - 1, axis=1)
    own = total * np.column_stack([base / of_base, arm / of_arm, rest])
    found = governing_variances(own, np.array([of_base, *[of_arm] * arms]) + 1, judged=(0, 1))
    parts = found.variance[:, :2]
    stretch, df = parts.mean(axis=-1), found.sum_df(parts, (0, 1))
    stretch.setflags(write=False)
    df.setflags(write=False)
    return _Judged(float(total), stretch, df)


@functools.lru_cache(maxsize=4096)
def _detectable_sds(k: int, plan: Design, power: float) -> float:
    """The detectable difference in units of the run-to-run sd."""
    low, high = 0.0, 1.0
    while _power(high, k, plan) < power:
        low, high = high, high * 2
    while high - low > 1e-6 * high:
        middle = (low + high) / 2
        if _power(middle, k, plan) < power:
            low = middle
        else:
            high = middle
    return high


def _checked(sd: float, plan: Design, power: float) -> Design:
    noise = math.isfinite(sd) and sd >= 0 and math.isfinite(plan.image_variance) and plan.image_variance >= 0
    if not (
        noise and plan.arms >= 1 and plan.bank_df >= 0 and 0 < plan.alpha < 0.5 and plan.alpha < power < 1
    ):
        got = f"sd {sd}, arms {plan.arms}, alpha {plan.alpha}, power {power}"
        raise StudyError("YG602", f"cannot plan with {got}", fix="sd >= 0, arms >= 1, alpha < power < 1")
    return plan
