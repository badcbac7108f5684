"""Planning: which difference a budget sees, how many seeds or images a difference takes.

Noncentral t with the critical value of the judge: `stats.compare` takes the larger of pooled and own
variance, so the critical value is stretched by sqrt(f), f being V_seed over its pooled form; under equal
normal noise f is independent of the pooled variance, and the power is the mean of noncentral t tails over
f. At K = 3, 5, 10 that sees 3.38, 2.17, 1.39 sd with probability 0.8; plain pooling 3.07, 2.02, 1.32.
Noise of images, V_img - V_int, adds to the variance however many seeds there are.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats as distributions

from yolograft.errors import StudyError
from yolograft.study.statistics.critical import critical_value, equal_correlation, two_sided
from yolograft.study.statistics.variance import SD_FLOOR

FEWEST_SEEDS = 3
MOST_SEEDS = 1_000_000
_CERTAIN_SHIFT = 50.0
_ENDLESS = 1e6


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
        df, of_seeds, stretch = k - 1.0, 1 / k, np.ones(1)
    else:
        df, of_seeds = (plan.arms + 1.0) * (k - 1) + plan.bank_df, 2 / k
        stretch = _stretch(k, plan.arms, plan.bank_df)
    variance = of_seeds + plan.image_variance
    if plan.image_variance and plan.units > 1:
        scatter = of_seeds**2 / df + plan.image_variance**2 / (plan.units - 1)
        df = max(variance**2 / scatter, min(df, plan.units - 1.0))
    one = plan.alpha / plan.arms if plan.paired else plan.alpha
    critical = _critical(1 if plan.paired else plan.arms, one, df)
    cut = critical * np.sqrt((of_seeds * stretch + plan.image_variance) / variance)
    shift = abs(effect) / math.sqrt(variance)
    if shift > _CERTAIN_SHIFT * float(cut.max()):
        return 1.0
    tails = distributions.nct.sf(cut, df, shift)
    if shift < 5:
        # The other tail: below 1e-6 beyond, and nan from scipy's series where it is next to nothing.
        tails = tails + np.nan_to_num(distributions.nct.cdf(-cut, df, shift), nan=0.0)
    return float(tails.mean())


@functools.lru_cache(maxsize=4096)
def _critical(arms: int, alpha: float, df: float) -> float:
    if arms == 1:
        return critical_value(alpha / 2, df)
    return two_sided(alpha, df, equal_correlation(arms))


@functools.lru_cache(maxsize=512)
def _stretch(k: int, arms: int, bank_df: int) -> NDArray[np.float64]:
    """Equally likely values of f = V_seed / its pooled form for k runs per arm and equal normal noise.

    Sums of squares of baseline, arm and the rest, divided by their total, are Dirichlet with half their
    degrees of freedom each; the total is independent of them. Midpoint rule on the quantiles of the shares.
    """
    of_arm, of_base = k - 1, k - 1 + bank_df
    total = arms * of_arm + of_base
    both = np.ones(1)
    if arms > 1:
        rest = (arms - 1) * of_arm / 2
        both = distributions.beta.ppf((np.arange(8) + 0.5) / 8, (of_arm + of_base) / 2, rest)
    split = distributions.beta.ppf((np.arange(24) + 0.5) / 24, of_base / 2, of_arm / 2)
    base, arm = np.outer(both, split).ravel(), np.outer(both, 1 - split).ravel()
    factor = (np.maximum(1, total * base / of_base) + np.maximum(1, total * arm / of_arm)) / 2
    factor.setflags(write=False)
    return factor


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
