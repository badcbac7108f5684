"""The levels of looks, and earlier runs that lend their variance."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as distributions

from yolograft.errors import StudyError
from yolograft.rng import stream
from yolograft.study.statistics.bank import Bank, agreement, pooled
from yolograft.study.statistics.compare import ArmScores, compare
from yolograft.study.statistics.looks import look_alphas

BASE = ArmScores("base", (50.0, 51.0, 52.0))
ARM = ArmScores("arm", (52.6, 53.6, 54.6))


def test_planned_looks_and_no_others():
    assert look_alphas([5]) == (0.05,) and look_alphas([3, 5, 10]) == (0.01, 0.02, 0.028)
    for plan in ([], [3, 5], [3, 4, 5, 6, 7], [10, 5, 3], [0]):
        with pytest.raises(StudyError, match="YG607"):
            look_alphas(plan)


def test_a_bank_adds_degrees_of_freedom_to_the_baseline():
    bank = Bank(((40.0, 41.0, 42.0, 43.0), (60.0, 61.0), (33.0,)))
    variance, df = pooled(bank, BASE.values)
    assert df == 4 and bank.runs == 6
    assert variance == pytest.approx((3 * np.var([40, 41, 42, 43], ddof=1) + 0.5) / 4)
    alone, helped = compare(BASE, [ARM])[0], compare(BASE, [ARM], bank=bank)[0]
    assert (alone.df, helped.df) == (4, 8) and helped.delta == alone.delta
    base_variance = (2 * 1.0 + 4 * variance) / 6
    assert helped.evidence.sd_base**2 == pytest.approx(max(base_variance, (6 * base_variance + 2) / 8))
    assert helped.high - helped.low < alone.high - alone.low
    assert helped.evidence.bank_runs == 6 and alone.evidence.bank_runs == 0
    assert pooled(Bank(()), BASE.values) == (0.0, 0)


def test_a_bank_of_another_kind_is_refused():
    quiet = Bank(((40.0, 40.001, 40.002, 39.999), (41.0, 41.001, 40.999)))
    with pytest.raises(StudyError, match="YG608"):
        compare(BASE, [ARM], bank=quiet)
    with pytest.raises(StudyError, match="YG608"):
        pooled(Bank(((40.0, 40.0, 40.0), (41.0, 42.0, 43.0))), ())
    with pytest.raises(StudyError, match="YG601"):
        pooled(Bank(((40.0, float("nan")),)), ())


def test_agreement_holds_its_level_where_chi_square_does_not():
    degrees = (2, 2, 2, 2)
    drawn = stream(2, "bank test").chisquare(2, (20_000, 4)) / 2
    assert (agreement(drawn, degrees) < 0.01).mean() == pytest.approx(0.01, abs=0.003)
    # Two groups are the two-sided F test.
    f = np.array([30.0])
    two = agreement(np.stack([f, np.ones(1)], axis=-1), (4, 4))
    assert two[0] == pytest.approx(2 * distributions.f.sf(30.0, 4, 4), abs=0.002)
