"""Two-way pooled t: is an arm's AP different from the baseline's, on new images like the evaluation images?

Everything is in AP points (0..100). One value is one finished run (one seed, last EMA weights).

Delta = mean(arm) - mean(base). Its variance over seeds and images, and its degrees of freedom, are those of
`variance`; where runs come without the influences of their images, or with fewer than 20 images or
groups, seeds alone count and the verdict speaks of this evaluation split. Unpaired by default; a
study may declare the paired form beforehand, where the measured correlation over seeds exceeds .55.

Several arms against one baseline: critical value of the multivariate t (`critical`). Where more verdicts
share the error than these arms (other baselines, arms that never finished), the arms judged here take
their share of alpha, as Bonferroni would, and the multivariate t works inside it: valid for any
dependence, a little conservative. The paired form estimates a variance for each arm and uses Bonferroni.

Equivalence: two one-sided tests (Schuirmann 1987), each at alpha / (arms tried): the 1 - 2 alpha
interval inside the margin.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats as distributions

from yolograft.errors import StudyError
from yolograft.study.statistics.bank import Bank, pooled
from yolograft.study.statistics.critical import adjusted_p, critical_value, two_sided
from yolograft.study.statistics.evidence import NEW_IMAGES, THIS_SPLIT, Evidence, Verdict
from yolograft.study.statistics.power import FEWEST_SEEDS, Design, fewest_seeds, images_needed
from yolograft.study.statistics.variance import Noise, two_way
from yolograft.study.statistics.variance import paired as paired_noise
from yolograft.study.statistics.verdict import judge

FEWEST_UNITS = 20


@dataclass(frozen=True, slots=True)
class ArmScores:
    """One arm's runs: AP in points (0..100), one value per finished seed; failed: diverged runs.

    influence: [runs, units] in AP points, row k of values[k], over images or groups of images; None where
    unknown. seeds: of the runs, to match them in the paired form; runs without are matched in order.
    """

    label: str
    values: tuple[float, ...]
    failed: int = 0
    influence: NDArray[np.float64] | None = field(default=None, compare=False, repr=False)
    seeds: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """One arm against the baseline, in AP points.

    delta: mean(arm) - mean(base). low, high: simultaneous interval, delta +- critical value times se; alone
    it would hold at ``level``. se, df: standard error and degrees of freedom. p_value: two-sided, adjusted
    for the arms tried. All are nan (df 0) where too few runs leave them unknown. verdict: ``helps``,
    ``hurts``, ``no detectable difference``, ``not enough seeds`` or ``not enough images``. sentence: the
    verdict in full, to print. known: what is known; never empty for a non-verdict. evidence: what sentence
    and known are made of, for another language and for recomputation.
    """

    label: str
    delta: float
    low: float
    high: float
    level: float
    df: float
    se: float
    p_value: float
    verdict: Verdict
    sentence: str
    known: str
    evidence: Evidence
    scope: str = THIS_SPLIT


@dataclass(frozen=True, slots=True)
class _Question:
    """What all arms of one comparison share.

    group: arms judged here. tried: verdicts sharing ``alpha``. lent: degrees of freedom of the bank.
    """

    margin: float
    alpha: float
    group: int
    tried: int
    lent: int
    facts: Mapping[str, Any]


def compare(
    base: ArmScores,
    arms: Sequence[ArmScores],
    *,
    margin: float = 0.5,
    alpha: float = 0.05,
    tried: int | None = None,
    bank: Bank | None = None,
    paired: bool = False,
    one_split: bool = False,
    grouped: bool = False,
    seconds_per_run: float | None = None,
    bank_refused: bool = False,
) -> list[Comparison]:
    """Judge every arm against the baseline; ``arms`` must hold every arm tried, aborted ones too.

    Args:
        base: the baseline's runs.
        arms: the candidates' runs; the number of seeds may differ between arms.
        margin: the smallest difference that matters, in AP points, fixed before the first run.
        alpha: family-wise error of false ``helps`` and ``hurts`` together, of this look (`looks`).
        tried: verdicts the error is shared by, where a study has more than these; at least ``len(arms)``.
        bank: earlier baseline runs of the same spec, data, recipe, budget, precision and threads.
        paired: the paired form, declared before the first run; a bank does not serve it.
        one_split: speak of this evaluation split although influences are known.
        grouped: the units of the influences are groups of images.
        seconds_per_run: of training here, to say how long more seeds take.
        bank_refused: say that a bank was planned whose noise is not the baseline's (`bank.lendable`).

    A diverged run of the arm withholds ``helps``, one of the baseline ``hurts``, either ``no detectable
    difference``: the runs that survived flatter their side. Where no two runs of either side differ, no
    verdict falls.

    Raises:
        StudyError: YG601 for a value that is not in 0..100, a negative count, a margin or alpha out of
            range, a label that occurs twice, influences or seeds that do not fit their runs. YG608: `pooled`.
    """
    _check(base, arms, margin, alpha)
    pairs, scored = _sides(base, arms, paired=paired)
    units = 0 if one_split else _units([arm for some in scored for arm in some])
    units = units if units >= FEWEST_UNITS else 0
    lent = pooled(bank, base.values) if bank is not None and not paired else (0.0, 0)
    measured = _measured(scored, with_images=units > 0, lent=lent, paired=paired)
    group = max(len(arms), 1)
    facts = {
        "paired": paired,
        "grouped": grouped and units > 0,
        "bank_runs": bank.runs if bank is not None and lent[1] else 0,
        "bank_refused": bank_refused,
        "units": units,
        "scope": NEW_IMAGES if units else THIS_SPLIT,
        "seconds_per_run": math.nan if seconds_per_run is None else float(seconds_per_run),
    }
    question = _Question(margin, alpha, group, max(tried or 0, group), lent[1], facts)
    found = [_compare_one(one, arm, measured.get(arm.label), question) for one, arm in pairs]
    return [_of_finished(one, base, arm) for one, arm in zip(found, arms, strict=True)]


def against_placebo(
    comparison: Comparison, placebo_comparison: Comparison, *, placebo: str = "placebo"
) -> Comparison:
    """The comparison with its placebo beside it.

    Args:
        comparison: the graft against the baseline.
        placebo_comparison: the graft against its placebo, a plain convolution of about as many parameters
            at the same sites, as ``compare(placebo, [graft])`` gives it.
        placebo: label of the placebo arm.

    Where graft - placebo includes 0, or is unknown, ``helps`` reads ``helps, but not shown better than a
    plain convolution``. It is unknown where either side has fewer than three runs or a run of the placebo
    diverged: what is left of a placebo clears nothing.
    """
    beside = placebo_comparison.evidence
    known = min(beside.seeds) >= FEWEST_SEEDS and not beside.failed[0]
    evidence = replace(
        comparison.evidence,
        placebo=placebo,
        placebo_low=beside.low if known else math.nan,
        placebo_high=beside.high if known else math.nan,
        placebo_finished=beside.finished[0],
        placebo_failed=beside.failed[0],
    )
    return _said_anew(comparison, evidence)


def _said_anew(comparison: Comparison, evidence: Evidence) -> Comparison:
    verdict, sentence, said = judge(evidence)
    return replace(comparison, evidence=evidence, verdict=verdict, sentence=sentence, known=said)


def _of_finished(comparison: Comparison, base: ArmScores, arm: ArmScores) -> Comparison:
    """The paired comparison, which rests on the matched runs, with all finished ones beside the diverged."""
    finished = len(base.values), len(arm.values)
    return _said_anew(comparison, replace(comparison.evidence, finished=finished))


def _sides(
    base: ArmScores, arms: Sequence[ArmScores], *, paired: bool
) -> tuple[list[tuple[ArmScores, ArmScores]], list[list[ArmScores]]]:
    """Baseline and arm of every comparison, and the groups whose noise is measured together."""
    if paired:
        pairs = [_matched(base, arm) for arm in arms]
        return pairs, [[one, other] for one, other in pairs if one.values]
    together = [base, *(arm for arm in arms if arm.values)]
    return [(base, arm) for arm in arms], [together] if base.values else []


def _measured(
    scored: Sequence[Sequence[ArmScores]], *, with_images: bool, lent: tuple[float, int], paired: bool
) -> dict[str, tuple[Noise, int]]:
    """Label -> the noise of its group and its place there; an arm whose noise was not seen is not in it."""
    measured = {}
    for some in scored:
        # Where no two runs of any arm differ, no noise was seen.
        if len(some) > 1 and (lent[1] or any(len(set(arm.values)) > 1 for arm in some)):
            noise = _noise(some, with_images=with_images, lent=lent, paired=paired)
            measured |= {arm.label: (noise, i) for i, arm in enumerate(some[1:])}
    return measured


def _noise(arms: Sequence[ArmScores], *, with_images: bool, lent: tuple[float, int], paired: bool) -> Noise:
    values = [np.array(arm.values) for arm in arms]
    psi = [np.asarray(arm.influence, dtype=np.float64) for arm in arms] if with_images else None
    if paired:
        return paired_noise(values[0], values[1], None if psi is None else (psi[0], psi[1]))
    return two_way(values, psi, bank=lent)


def _compare_one(
    base: ArmScores, arm: ArmScores, measured: tuple[Noise, int] | None, question: _Question
) -> Comparison:
    k0, k = len(base.values), len(arm.values)
    delta = float(np.mean(arm.values) - np.mean(base.values)) if k0 and k else math.nan
    silence = _silence(base, arm)
    known = measured is not None and not silence
    numbers = _numbers(*measured, question) if known and measured else {}
    p_value = numbers.pop("p_value", math.nan)
    evidence = Evidence(
        label=arm.label,
        delta=delta,
        low=delta - numbers.get("critical", math.nan) * numbers.get("se", math.nan),
        high=delta + numbers.get("critical", math.nan) * numbers.get("se", math.nan),
        level=numbers.pop("level", 1 - question.alpha / question.tried),
        equivalence_half=numbers.pop("equivalence_half", math.nan),
        margin=question.margin,
        seeds=(k0, k),
        failed=(base.failed, arm.failed),
        finished=(k0, k),
        tried=question.tried,
        alpha=question.alpha,
        silence=silence,
        **(_plans(*measured, question) if known and measured else _no_plans(question.margin)),
        **numbers,
        **question.facts,
    )
    verdict, sentence, said = judge(evidence)
    return Comparison(
        label=arm.label,
        delta=delta,
        low=evidence.low,
        high=evidence.high,
        level=evidence.level,
        df=evidence.df if known else 0,
        se=evidence.se,
        p_value=p_value,
        verdict=verdict,
        sentence=sentence,
        known=said,
        evidence=evidence,
        scope=evidence.scope,
    )


def _numbers(noise: Noise, arm: int, question: _Question) -> dict[str, Any]:
    """The interval's parts, and p_value, level and equivalence_half."""
    df, se = float(noise.df[arm]), math.sqrt(float(noise.total[arm]))
    one = question.alpha / question.tried
    t = abs(float(noise.delta[arm])) / se
    if noise.correlation is None:
        beside: tuple[float, ...] = ()
        critical = critical_value(one / 2, df)
        p_value = 2 * float(distributions.t.sf(t, df)) * question.tried
    else:
        live = len(noise.correlation)
        beside = tuple(np.delete(noise.correlation[arm], arm).tolist())
        critical = two_sided(one * live, df, noise.correlation)
        p_value = adjusted_p(t, df, noise.correlation) * question.tried / live
    return {
        "critical": critical,
        "df": df,
        "se": se,
        "sd_base": float(noise.sd[arm, 0]),
        "sd_arm": float(noise.sd[arm, 1]),
        "v_seed": float(noise.seed[arm]),
        "v_img": float(noise.image[arm]),
        "v_int": float(noise.interaction[arm]),
        "correlations": beside,
        "p_value": min(1.0, p_value),
        "level": 1 - 2 * float(distributions.t.sf(critical, df)),
        "equivalence_half": critical_value(one, df) * se,
    }


def _plans(noise: Noise, arm: int, question: _Question) -> dict[str, Any]:
    """Seeds and images a next study takes.

    The sd is its 80 % upper bound: what is planned with too small an sd ends without a verdict.
    """
    paired = noise.correlation is None
    governing, df = float(np.nanmean(noise.sd[arm] ** 2)), float(noise.seed_df[arm])
    sd = math.sqrt(governing * df / float(distributions.chi2.ppf(0.2, df)))
    beyond = float(noise.image[arm] - noise.interaction[arm])
    beyond = max(beyond, 0.0) if math.isfinite(beyond) else 0.0
    # The noise is pooled over this group, whatever other verdicts take their share of alpha.
    alpha = question.alpha * question.group / question.tried
    units = question.facts["units"]
    design = Design(question.group, alpha, beyond, units, question.lent, paired)
    wide = 4 * question.margin
    images = images_needed(question.margin, beyond, units, arms=question.group, alpha=alpha)
    return {
        "needed": max(fewest_seeds(question.margin, sd, design), FEWEST_SEEDS),
        "wide": wide,
        "wide_needed": fewest_seeds(wide, sd, design),
        "images_needed": images,
    }


def _no_plans(margin: float) -> dict[str, Any]:
    return {"needed": FEWEST_SEEDS, "wide": 4 * margin, "wide_needed": 0}


def _silence(base: ArmScores, arm: ArmScores) -> str:
    """Why these runs say nothing: they all scored 0, or seeds changed nothing on either side."""
    both = (*base.values, *arm.values)
    if min(len(base.values), len(arm.values)) < 1:
        return ""
    if not any(both):
        return "zero"
    sides = (set(base.values), set(arm.values))
    several = max(len(base.values), len(arm.values)) > 1
    return "still" if several and all(len(side) == 1 for side in sides) else ""


def _matched(base: ArmScores, arm: ArmScores) -> tuple[ArmScores, ArmScores]:
    """Both arms with the seeds they share, in the same order."""
    if base.seeds is None or arm.seeds is None:
        if len(base.values) != len(arm.values):
            cause = f"arm '{arm.label}' has {len(arm.values)} runs to pair with {len(base.values)}"
            raise StudyError("YG601", cause, fix="say which seed each run had")
        return base, arm
    shared = sorted(set(base.seeds) & set(arm.seeds))
    return _chosen(base, shared), _chosen(arm, shared)


def _chosen(arm: ArmScores, seeds: Sequence[int]) -> ArmScores:
    rows = [(arm.seeds or ()).index(seed) for seed in seeds]
    psi = None if arm.influence is None else arm.influence[rows]
    return replace(arm, values=tuple(arm.values[i] for i in rows), seeds=tuple(seeds), influence=psi)


def _units(arms: Sequence[ArmScores]) -> int:
    """Images or groups behind the influences; 0 where a run comes without."""
    psi = [arm.influence for arm in arms if arm.values]
    return psi[0].shape[1] if psi and psi[0] is not None and all(one is not None for one in psi) else 0


def _check(base: ArmScores, arms: Sequence[ArmScores], margin: float, alpha: float) -> None:
    labels = [arm.label for arm in (base, *arms)]
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise StudyError("YG601", f"label '{twice[0]}' occurs twice", fix="give each arm its own label")
    for arm in (base, *arms):
        _check_arm(arm)
    widths = {arm.influence.shape[1] for arm in (base, *arms) if arm.influence is not None and arm.values}
    if len(widths) > 1:
        cause = f"the arms were evaluated on {' and '.join(map(str, sorted(widths)))} images"
        raise StudyError("YG601", cause, fix="judge runs of one evaluation split")
    if not (math.isfinite(margin) and margin > 0):
        raise StudyError("YG601", f"the margin must be positive AP points, got {margin}")
    if not 0 < alpha < 0.5:
        raise StudyError("YG601", f"alpha must lie between 0 and 0.5, got {alpha}")


def _check_arm(arm: ArmScores) -> None:
    wrong = [value for value in arm.values if not (math.isfinite(value) and 0 <= value <= 100)]
    if wrong:
        fix = "count a diverged run in `failed`; AP is in points, 0..100"
        raise StudyError("YG601", f"arm '{arm.label}' has AP {wrong[0]}", fix=fix)
    if arm.failed < 0:
        raise StudyError("YG601", f"arm '{arm.label}' has {arm.failed} failed runs")
    runs = len(arm.values)
    if arm.seeds is not None and (len(arm.seeds) != runs or len(set(arm.seeds)) != runs):
        raise StudyError("YG601", f"arm '{arm.label}' has {runs} runs and seeds {list(arm.seeds)[:9]}")
    psi = arm.influence
    if psi is not None and not (psi.ndim == 2 and len(psi) == runs and np.isfinite(psi).all()):
        cause = (
            f"influences of arm '{arm.label}' are {list(psi.shape)}, with all finite: {runs} runs by images"
        )
        raise StudyError("YG601", cause)
