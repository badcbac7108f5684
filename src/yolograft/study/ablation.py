"""Do grafts add up? Contrasts of arm means with the interval procedure of `stats`.

Full ablation of k parts, arms of every combination S and the baseline (the empty one):

- beyond the sum:  (m(S) - m()) - sum over i in S of (m(i) - m()),  for every S of two parts or more;
- joint interaction:  sum over T in S of (-1)^(|S| - |T|) m(T),  for every S of three or more; for two
  parts it is the same number. It is the coefficient of the product term in the linear model with
  all interactions (Yates 1937, "The Design and Analysis of Factorial Experiments").

Staircase: the gain of every step over the one before it.

Standard error: sqrt(sum c_i^2 s_i^2 / K_i), s_i^2 the larger of the pooled and the arm's own variance over
seeds, degrees of freedom pooled over all arms; level Bonferroni over the contrasts shown. Scope: this
evaluation split.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats as distributions

from yolograft.study.statistics.compare import FEWEST_SEEDS, ArmScores
from yolograft.study.statistics.critical import critical_value
from yolograft.study.statistics.variance import Governing, governing_variances, sample_variance

Members = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Contrast:
    """A weighted sum of arm means. kind: ``beyond``, ``joint`` or ``step``; weights: arm label -> weight."""

    label: str
    kind: str
    weights: Mapping[str, float]


def contrasts(ablation: Mapping[str, Any], baseline: str) -> list[Contrast]:
    """The contrasts an ablation shows; ``ablation`` as `graph.ablate.Ablation.to_json` writes it.

    A contrast needs all of its arms: one whose arm was left out of the study is left out too.
    """
    arm_of: dict[Members, str] = {(): baseline}
    arm_of |= {tuple(m): label for label, m in ablation["members"].items()}
    ordered = sorted(arm_of, key=lambda m: (len(m), m))
    if ablation["cumulative"]:
        steps = itertools.pairwise(ordered)
        return [Contrast(arm_of[b], "step", {arm_of[b]: 1.0, arm_of[a]: -1.0}) for a, b in steps]
    found = []
    for members in ordered:
        for kind, weights in _of_combination(members):
            if weights.keys() <= arm_of.keys():
                named = {arm_of[m]: w for m, w in weights.items() if w}
                found.append(Contrast(arm_of[members], kind, named))
    return found


def _of_combination(members: Members) -> Iterator[tuple[str, dict[Members, float]]]:
    size = len(members)
    if size < 2:
        return
    yield "beyond", {members: 1.0, **{(i,): -1.0 for i in members}, (): size - 1.0}
    if size > 2:
        parts = (c for n in range(size + 1) for c in itertools.combinations(members, n))
        yield "joint", {part: (-1.0) ** (size - len(part)) for part in parts}


def interactions(
    ablation: Mapping[str, Any], arms: Sequence[Mapping[str, Any]], *, alpha: float = 0.05
) -> dict[str, Any]:
    """The contrasts of an ablation with their intervals, in AP points, as JSON values.

    Args:
        ablation: the manifest's entry (`graph.ablate.Ablation.to_json`).
        arms: the arms of ``results.json``: label, baseline, runs with status and ap.
        alpha: family-wise error over all contrasts shown.

    Returns:
        ``cumulative``, ``parts``, ``members``, ``df``, ``level`` and ``rows``. Of a row: ``label`` (the arm),
        ``kind``, ``found`` (difference of the arm to the baseline), ``sum`` (of its parts' differences;
        null for a step), ``value``, ``low``, ``high``, ``se``, ``p_value`` (times the number of rows) and
        ``word``: ``more than the sum``, ``less than the sum``, ``positive``, ``negative``, ``gains``,
        ``loses``, ``not shown`` or ``not enough seeds``. Unknown numbers are null.
    """
    base = next((str(arm["label"]) for arm in arms if arm["baseline"]), None)
    scores = {str(arm["label"]): _scores(arm) for arm in arms}
    wanted = contrasts(ablation, base) if base is not None else []
    shown = [c for c in wanted if c.weights.keys() <= scores.keys()]
    labels = list(scores)
    own = np.array([sample_variance(scores[label].values) for label in labels])
    noise = governing_variances(own, np.array([len(scores[label].values) for label in labels]))
    df = noise.pooled_df if (own > 0).any() else 0
    tests = max(len(shown), 1)
    return {
        "cumulative": bool(ablation["cumulative"]),
        "parts": ablation["parts"],
        "members": ablation["members"],
        "df": df,
        "level": 1 - alpha / tests,
        "rows": [_row(c, scores, noise if df else None, (alpha / tests, tests), base or "") for c in shown],
    }


def _row(
    contrast: Contrast,
    scores: Mapping[str, ArmScores],
    noise: Governing | None,
    level: tuple[float, int],
    base: str,
) -> dict[str, Any]:
    alpha, tests = level
    arms = [scores[label] for label in contrast.weights]
    counts = [len(arm.values) for arm in arms]
    mean = {arm.label: float(np.mean(arm.values)) if arm.values else math.nan for arm in scores.values()}
    value = sum(weight * mean[label] for label, weight in contrast.weights.items())
    se, df = math.nan, 0.0
    if min(counts) > 0 and noise is not None:
        places = [list(scores).index(label) for label in contrast.weights]
        weights = np.array(list(contrast.weights.values()))
        parts = weights**2 * noise.variance[places] / np.array(counts)
        se, df = math.sqrt(float(parts.sum())), float(noise.sum_df(parts, places))
    known = math.isfinite(se)
    half = critical_value(alpha / 2, df) * se if known else math.nan
    p_value = min(1.0, 2 * float(distributions.t.sf(abs(value) / se, df)) * tests) if known else math.nan
    found = mean[contrast.label] - mean[base]
    carried = min(counts) >= FEWEST_SEEDS and not any(arm.failed for arm in arms)
    numbers = {
        "found": found,
        "sum": found - value if contrast.kind == "beyond" else math.nan,
        "value": value,
        "low": value - half,
        "high": value + half,
        "se": se,
        "p_value": p_value,
    }
    return {
        "label": contrast.label,
        "kind": contrast.kind,
        **{key: number if math.isfinite(number) else None for key, number in numbers.items()},
        "word": _word(contrast.kind, value - half, value + half, carried=carried),
    }


def _word(kind: str, low: float, high: float, *, carried: bool) -> str:
    """A diverged run of any arm in the contrast withholds the word, as too few runs do."""
    if not carried or not math.isfinite(low):
        return "not enough seeds"
    if low > 0:
        return {"step": "gains", "beyond": "more than the sum"}.get(kind, "positive")
    if high < 0:
        return {"step": "loses", "beyond": "less than the sum"}.get(kind, "negative")
    return "not shown"


def _scores(arm: Mapping[str, Any]) -> ArmScores:
    done = [run for run in arm["runs"] if run["status"] == "done" and run.get("ap") is not None]
    failed = sum(run["status"] == "diverged" for run in arm["runs"])
    return ArmScores(str(arm["label"]), tuple(float(run["ap"]) for run in done), failed)
