"""Pooled t over seeds: is an arm's AP different from the baseline's on this evaluation split?

Everything is in AP points (0..100). One value is one finished run (one seed, last EMA weights).

The estimate. Delta = mean(arm) - mean(base). V = s0^2 / K0 + s_arm^2 / K_arm, each s^2 the larger of
the pooled variance (all arms, baseline included) and that arm's own; degrees of freedom are the pooled
sum(K_i - 1). Taking the larger one keeps the test honest when an arm is noisier than the rest, and
costs power where all are equal; planning below allows for that cost. Pooled t: Student 1908;
unequal noise and few seeds: Colas et al. 2019, arXiv 1904.06979.

Several arms against one baseline: Bonferroni, alpha / (arms tried), in intervals, tests and planning
[a multivariate t with the estimated correlations, Dunnett 1955, comes with the evidence work].

Equivalence: two one-sided tests (Schuirmann 1987): the 1 - 2 alpha interval inside the margin.

This scope sees training noise only. It says nothing about new images.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats as distributions

from yolograft.errors import StudyError
from yolograft.study.evidence import Evidence, Verdict
from yolograft.study.verdict import judge

#: No run-to-run sd below this is believed, in AP points: a third of the smallest published one (0.15 on
#: COCO). It keeps identical runs from giving an interval of length 0.
SD_FLOOR = 0.05
FEWEST_SEEDS = 3
SCOPE = "this evaluation split"
_MOST_SEEDS = 1_000_000
_CERTAIN_SHIFT = 50.0


@dataclass(frozen=True, slots=True)
class ArmScores:
    """One arm's runs: AP in points (0..100), one value per finished seed; failed: diverged runs."""

    label: str
    values: tuple[float, ...]
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """One arm against the baseline, in AP points.

    delta: mean(arm) - mean(base). low, high: interval at ``level`` for this arm, where
    1 - level = alpha / arms tried. se, df: standard error and degrees of freedom. p_value: two-sided,
    multiplied by the arms tried, at most 1. All are nan (df 0) where too few runs leave them unknown.
    verdict: ``helps``, ``hurts``, ``no detectable difference`` or ``not enough seeds``.
    sentence: the verdict in full, to print. known: what is known; never empty for a non-verdict.
    evidence: what sentence and known are made of, for another language.
    """

    label: str
    delta: float
    low: float
    high: float
    level: float
    df: int
    se: float
    p_value: float
    verdict: Verdict
    sentence: str
    known: str
    evidence: Evidence
    scope: str = SCOPE


def compare(
    base: ArmScores,
    arms: Sequence[ArmScores],
    *,
    margin: float = 0.5,
    alpha: float = 0.05,
    tried: int | None = None,
) -> list[Comparison]:
    """Judge every arm against the baseline; ``arms`` must hold every arm tried, aborted ones too.

    Args:
        base: the baseline's runs.
        arms: the candidates' runs; the number of seeds may differ between arms.
        margin: the smallest difference that matters, in AP points, fixed before the first run.
        alpha: family-wise error of false ``helps`` and ``hurts`` together.
        tried: verdicts the error is shared by, where a study has more than these; at least ``len(arms)``.

    A diverged run of the arm withholds ``helps`` and ``no detectable difference``; a diverged run of
    the baseline withholds ``hurts`` and ``no detectable difference``, because the runs that survived
    flatter their side. Where no two runs of any arm differ, the noise is unknown and no verdict falls.

    Raises:
        StudyError: YG601 for a value that is not in 0..100, a negative count, a margin or alpha out of
            range, or a label that occurs twice.
    """
    _check(base, arms, margin, alpha)
    everyone = (base, *arms)
    counts = np.array([len(arm.values) for arm in everyone])
    own = np.array([sample_variance(arm.values) for arm in everyone])
    variance, df = governing_variances(own, counts)
    group = max(len(arms), 1)
    tried = max(tried or 0, group)
    level_alpha = alpha / tried
    # All runs of every arm equal: seeds changed nothing, or everything scored 0. No noise was seen.
    seen = bool(df > 0 and (own > 0).any())
    return [
        _compare_one(
            base,
            arm,
            variances=(float(variance[0]), float(variance[i])),
            df=df if seen else 0,
            margin=margin,
            alpha=level_alpha,
            group=group,
            tried=tried,
        )
        for i, arm in enumerate(arms, start=1)
    ]


def governing_variances(
    own: NDArray[np.float64], counts: NDArray[np.integer]
) -> tuple[NDArray[np.float64], int]:
    """The variance each arm is judged with, [..., arms], and the pooled degrees of freedom.

    Args:
        own: sample variances (ddof 1), [..., arms]; leading axes are independent studies.
        counts: finished runs per arm, [arms]; an arm with fewer than two adds nothing to the pool.
    """
    weight = np.maximum(np.asarray(counts) - 1, 0)
    df = int(weight.sum())
    usable = np.where(weight > 0, own, 0.0)
    pooled = (usable * weight).sum(axis=-1, keepdims=True) / max(df, 1)
    return np.maximum(np.maximum(usable, pooled), SD_FLOOR**2), df


@functools.lru_cache(maxsize=1024)
def critical_value(alpha: float, df: int) -> float:
    """Upper ``alpha`` point of Student's t."""
    return float(distributions.t.ppf(1 - alpha, df))


def minimum_detectable(sd: float, k: int, *, arms: int = 1, alpha: float = 0.05, power: float = 0.8) -> float:
    """The true difference (AP points) that ``k`` seeds per arm find with probability ``power``.

    ``sd`` is the run-to-run sd of every arm. ``arms`` candidates share one baseline of ``k`` runs:
    df = (arms + 1)(k - 1), level alpha / arms; where these are some of t verdicts, give alpha * arms / t.
    Infinite below three seeds, where no verdict is given.
    """
    _check_plan(sd, arms, alpha, power)
    if k < FEWEST_SEEDS:
        return math.inf
    return max(sd, SD_FLOOR) * _detectable_sds(k, arms, alpha, power)


def seeds_needed(
    difference: float, sd: float, *, arms: int = 1, alpha: float = 0.05, power: float = 0.8
) -> int:
    """Fewest seeds per arm whose ``minimum_detectable`` is at most ``difference`` (AP points).

    Raises:
        StudyError: YG602 when the difference is not positive or would take over a million seeds.
    """
    _check_plan(sd, arms, alpha, power)
    if not (math.isfinite(difference) and difference > 0):
        raise StudyError("YG602", f"a difference to detect must be positive, got {difference}")
    needed = _fewest(difference / max(sd, SD_FLOOR), arms, alpha, power)
    if needed > _MOST_SEEDS:
        raise StudyError("YG602", f"seeing {difference:g} AP at sd {sd:g} takes over a million seeds")
    return needed


def power_of(difference: float, sd: float, k: int, *, arms: int = 1, alpha: float = 0.05) -> float:
    """Probability that ``k`` seeds per arm give an interval without 0, at a true ``difference``.

    Noncentral t with the critical value stretched by sqrt(f), f being V over its pooled form: V takes
    the larger of pooled and own variances. Under equal normal noise f is independent of the pooled
    variance, so the power is the mean of noncentral t tails over f (see ``_stretch``).
    """
    _check_plan(sd, arms, alpha, 0.5)
    if k < 2:
        raise StudyError("YG602", f"power needs at least two seeds, got {k}")
    return _power(difference / max(sd, SD_FLOOR), k, arms, alpha)


def _power(effect: float, k: int, arms: int, alpha: float) -> float:
    df = (arms + 1) * (k - 1)
    cut = critical_value(alpha / arms / 2, df) * np.sqrt(_stretch(k, arms))
    shift = abs(effect) / math.sqrt(2 / k)
    if shift > _CERTAIN_SHIFT * float(cut.max()):
        return 1.0
    tails = distributions.nct.sf(cut, df, shift)
    if shift < 5:
        # The other tail: below 1e-6 beyond, and nan from scipy's series where it is next to nothing.
        tails = tails + np.nan_to_num(distributions.nct.cdf(-cut, df, shift), nan=0.0)
    return float(tails.mean())


def _fewest(goal: float, arms: int, alpha: float, power: float) -> int:
    """Fewest seeds per arm that see ``goal`` sds; one more than the most we look at if none do."""
    low, high = FEWEST_SEEDS - 1, FEWEST_SEEDS
    while _power(goal, high, arms, alpha) < power:
        if high > _MOST_SEEDS:
            return _MOST_SEEDS + 1
        low, high = high, min(high * 2, _MOST_SEEDS + 1)
    while high - low > 1:
        middle = (low + high) // 2
        if _power(goal, middle, arms, alpha) < power:
            low = middle
        else:
            high = middle
    return high


@functools.lru_cache(maxsize=512)
def _stretch(k: int, arms: int) -> NDArray[np.float64]:
    """Equally likely values of f = V / pooled V for k runs per arm and equal normal noise.

    Sums of squares of baseline, arm and the rest, divided by their total, are Dirichlet with k - 1
    halves each; the total is independent of them. Midpoint rule on the quantiles of the two shares.
    """
    half = (k - 1) / 2
    both = np.ones(1)
    if arms > 1:
        both = distributions.beta.ppf((np.arange(12) + 0.5) / 12, 2 * half, (arms - 1) * half)
    split = distributions.beta.ppf((np.arange(32) + 0.5) / 32, half, half)
    one, two = np.outer(both, split).ravel(), np.outer(both, 1 - split).ravel()
    factor = (np.maximum(1, (arms + 1) * one) + np.maximum(1, (arms + 1) * two)) / 2
    factor.setflags(write=False)
    return factor


@functools.lru_cache(maxsize=4096)
def _detectable_sds(k: int, arms: int, alpha: float, power: float) -> float:
    """The detectable difference in units of the run-to-run sd."""
    low, high = 0.0, 1.0
    while _power(high, k, arms, alpha) < power:
        low, high = high, high * 2
    while high - low > 1e-6 * high:
        middle = (low + high) / 2
        if _power(middle, k, arms, alpha) < power:
            low = middle
        else:
            high = middle
    return high


def _compare_one(
    base: ArmScores,
    arm: ArmScores,
    *,
    variances: tuple[float, float],
    df: int,
    margin: float,
    alpha: float,
    group: int,
    tried: int,
) -> Comparison:
    k0, k = len(base.values), len(arm.values)
    delta = float(np.mean(arm.values) - np.mean(base.values)) if k0 and k else math.nan
    se = math.sqrt(variances[0] / k0 + variances[1] / k) if k0 and k and df else math.nan
    known = math.isfinite(se)  # else a side has no run, or the noise is unknown
    half = critical_value(alpha / 2, df) * se if known else math.nan
    p_value = min(1.0, 2 * float(distributions.t.sf(abs(delta) / se, df)) * tried) if known else math.nan
    needed, wide, wide_needed = FEWEST_SEEDS, 4 * margin, 0
    if known:
        # 80 % upper bound of the sd: what is planned with too small an sd ends without a verdict.
        sd = math.sqrt(sum(variances) / 2 * df / float(distributions.chi2.ppf(0.2, df)))
        # The noise is pooled over this group, whatever other verdicts take their share of alpha.
        needed, wide_needed = (_fewest(d / sd, group, alpha * group, 0.8) for d in (margin, wide))
    evidence = Evidence(
        label=arm.label,
        delta=delta,
        low=delta - half,
        high=delta + half,
        level=1 - alpha,
        equivalence_half=critical_value(alpha, df) * se if known else math.nan,
        margin=margin,
        seeds=(k0, k),
        failed=(base.failed, arm.failed),
        tried=tried,
        needed=max(needed, FEWEST_SEEDS),
        wide=wide,
        wide_needed=wide_needed,
        scope=SCOPE,
    )
    verdict, sentence, said = judge(evidence)
    return Comparison(
        label=arm.label,
        delta=delta,
        low=evidence.low,
        high=evidence.high,
        level=evidence.level,
        df=df if known else 0,
        se=se,
        p_value=p_value,
        verdict=verdict,
        sentence=sentence,
        known=said,
        evidence=evidence,
    )


def sample_variance(values: tuple[float, ...]) -> float:
    """Sample variance (ddof 1); 0 below two different values."""
    # Rounding in the mean would give equal values a variance near 1e-34 instead of none.
    return float(np.var(values, ddof=1)) if len(set(values)) > 1 else 0.0


def _check(base: ArmScores, arms: Sequence[ArmScores], margin: float, alpha: float) -> None:
    labels = [arm.label for arm in (base, *arms)]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise StudyError("YG601", f"label '{twice[0]}' occurs twice", fix="give each arm its own label")
    for arm in (base, *arms):
        wrong = [value for value in arm.values if not (math.isfinite(value) and 0 <= value <= 100)]
        if wrong:
            fix = "count a diverged run in `failed`; AP is in points, 0..100"
            raise StudyError("YG601", f"arm '{arm.label}' has AP {wrong[0]}", fix=fix)
        if arm.failed < 0:
            raise StudyError("YG601", f"arm '{arm.label}' has {arm.failed} failed runs")
    if not (math.isfinite(margin) and margin > 0):
        raise StudyError("YG601", f"the margin must be positive AP points, got {margin}")
    if not 0 < alpha < 0.5:
        raise StudyError("YG601", f"alpha must lie between 0 and 0.5, got {alpha}")


def _check_plan(sd: float, arms: int, alpha: float, power: float) -> None:
    if not (math.isfinite(sd) and sd >= 0 and arms >= 1 and 0 < alpha < 0.5 and alpha < power < 1):
        got = f"sd {sd}, arms {arms}, alpha {alpha}, power {power}"
        raise StudyError("YG602", f"cannot plan with {got}", fix="sd >= 0, arms >= 1, alpha < power < 1")
