"""Earlier baseline runs lend their variance: a bank of noise.

A study of three seeds knows its noise badly, and pays with a wide interval. Runs of the same spec, data,
recipe, budget, precision and threads (the caller sees to that) have the same variance, so it is
pooled, group by group around each group's own mean. Whether the groups agree is tested with Bartlett's
statistic (1937) at 1 %; its chi-square form is off at three runs a group, so the null distribution is
that of fixed draws of normal noise with the very same degrees of freedom.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from yolograft.errors import StudyError
from yolograft.rng import stream
from yolograft.study.statistics.variance import sample_variance

Array = NDArray[np.float64]

REFUSED_BELOW = 0.01
_DRAWS = 20_000


@dataclass(frozen=True, slots=True)
class Bank:
    """AP in points of earlier baseline runs, one tuple a study they come from."""

    values: tuple[tuple[float, ...], ...]

    @property
    def runs(self) -> int:
        """How many runs lend their variance; a group of one has none."""
        return sum(len(group) for group in self.values if len(group) > 1)


def pooled(bank: Bank, base: Sequence[float]) -> tuple[float, int]:
    """Variance of the bank in squared AP points, and its degrees of freedom; (0, 0) of an empty one.

    Args:
        bank: groups of earlier baseline runs.
        base: the study's own baseline runs, which must agree with them.

    Raises:
        StudyError: YG601 for a value outside 0..100; YG608 when the variances of the groups, this study's
            among them, differ at 1 %.
    """
    wrong = [v for group in bank.values for v in group if not (math.isfinite(v) and 0 <= v <= 100)]
    if wrong:
        raise StudyError("YG601", f"a bank run has AP {wrong[0]}", fix="AP is in points, 0..100")
    groups = [group for group in bank.values if len(group) > 1]
    if not groups:
        return 0.0, 0
    tested = [*groups, *([tuple(base)] if len(base) > 1 else [])]
    degrees = tuple(len(group) - 1 for group in tested)
    variances = np.array([sample_variance(group) for group in tested])
    if len(tested) > 1 and float(agreement(variances, degrees)) < REFUSED_BELOW:
        sds = ", ".join(f"{math.sqrt(v):.2f}" for v in variances[:8])
        cause = f"the noise of these baseline runs differs: sd {sds} AP{' ...' if len(variances) > 8 else ''}"
        raise StudyError("YG608", cause, fix="judge without --bank: they are not runs of one kind")
    df = np.array(degrees[: len(groups)])
    return float((variances[: len(groups)] * df).sum() / df.sum()), int(df.sum())


def lendable(bank: Bank | None, base: Sequence[float]) -> Bank | None:
    """The bank, or None where its noise is not that of the study's own baseline runs.

    Raises:
        StudyError: YG601 for a value outside 0..100.
    """
    if bank is None:
        return None
    try:
        pooled(bank, base)
    except StudyError as refusal:
        if refusal.code != "YG608":
            raise
        return None
    return bank


def agreement(variances: Array, degrees: tuple[int, ...]) -> Array:
    """p-value of equal variances [..., groups] -> [...], exact under normal noise but for 20,000 draws."""
    null = _null(degrees)
    above = len(null) - np.searchsorted(null, _bartlett(variances, degrees), side="left")
    return (above + 1) / (len(null) + 1)


def _bartlett(variances: Array, degrees: tuple[int, ...]) -> Array:
    """Bartlett's statistic without its constant; a group without variance is infinitely unlike the others."""
    df = np.asarray(degrees, float)
    mean = (variances * df).sum(axis=-1) / df.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        found = df.sum() * np.log(mean) - (df * np.log(variances)).sum(axis=-1)
    # No noise anywhere is no disagreement.
    return np.where(mean > 0, found, -np.inf)


@functools.lru_cache(maxsize=32)
def _null(degrees: tuple[int, ...]) -> Array:
    df = np.asarray(degrees, float)
    drawn = stream(0, "bank", *degrees).chisquare(df, (_DRAWS, len(df))) / df
    return np.sort(_bartlett(drawn, degrees))
