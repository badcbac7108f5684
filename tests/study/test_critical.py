"""Critical values for several arms: against scipy's integral, a table of Dunnett's, bounds and order."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as distributions

from yolograft.rng import stream
from yolograft.study.statistics.critical import (
    adjusted_p,
    critical_value,
    equal_correlation,
    exceeds,
    two_sided,
)
from yolograft.study.statistics.power import Design, images_needed, minimum_detectable, power_of, seeds_needed
from yolograft.study.statistics.variance import two_way


def from_one_baseline(arms: int) -> np.ndarray:
    """Correlations of differences to one baseline, arms of unlike noise, and some of images."""
    rng = stream(8, "critical", arms)
    covariance = 0.5 + np.diag(np.linspace(0.3, 2, arms))
    shared = rng.normal(size=(arms, 3 * arms)) / 3
    covariance = covariance + 0.1 * shared @ shared.T
    scale = np.sqrt(np.diag(covariance))
    return covariance / np.outer(scale, scale)


@pytest.mark.parametrize(
    ("arms", "df", "value"),
    # Two-sided 5 % points of Dunnett's table (1964), correlation one half.
    [(2, 5, 3.03), (3, 5, 3.29), (2, 10, 2.57), (4, 10, 2.89), (9, 20, 2.95), (5, 60, 2.58)],
)
def test_dunnetts_table(arms, df, value):
    assert two_sided(0.05, df, equal_correlation(arms)) == pytest.approx(value, abs=0.006)


@pytest.mark.parametrize("arms", [2, 3, 5, 10])
@pytest.mark.parametrize("df", [4.0, 12.5, 200.0])
def test_scipys_integral_agrees(arms, df):
    matrix = from_one_baseline(arms)
    critical = two_sided(0.05, df, matrix)
    ends = np.full(arms, critical)
    reference = distributions.multivariate_t(np.zeros(arms), matrix, df=df, seed=1)
    outside = 1 - reference.cdf(ends, lower_limit=-ends, maxpts=100_000)
    # d P / d c is about 0.1 here: 1e-4 in the probability are 1e-3 in c.
    assert outside == pytest.approx(0.05, abs=2e-4)
    assert adjusted_p(critical, df, matrix) == pytest.approx(0.05, abs=1e-4)
    assert critical_value(0.025, df) < critical < critical_value(0.025 / arms, df)


def test_one_arm_is_students_t_and_twins_are_one_arm():
    one = np.ones((1, 1))
    assert two_sided(0.05, 7, one) == pytest.approx(distributions.t.isf(0.025, 7))
    assert adjusted_p(-2.5, 7, one) == pytest.approx(2 * distributions.t.sf(2.5, 7))
    assert two_sided(0.05, 7, np.ones((2, 2))) == pytest.approx(distributions.t.isf(0.025, 7), abs=0.03)


def test_many_studies_are_decided_as_one_is():
    rng = stream(9, "critical", "many")
    noise = two_way([rng.normal(50, 1, (100, 4)) for _ in range(4)])
    t = noise.delta / np.sqrt(noise.total)
    got = exceeds(t, noise.df, noise.correlation, alpha=0.05)
    one = [
        [abs(t[i, j]) > two_sided(0.05, noise.df[i, j], noise.correlation[i]) for j in range(3)]
        for i in range(100)
    ]
    assert (got == np.array(one)).all() and 0 < got.sum() < 30


def test_planning_with_images_bank_and_pairs():
    assert minimum_detectable(1.0, 3, design=Design()) == minimum_detectable(1.0, 3)
    lent = Design(bank_df=20)
    # The bank lends, but not more than the judge lets it weigh.
    assert 2.8 < minimum_detectable(1.0, 3, design=lent) < 3.0 < minimum_detectable(1.0, 3)
    loud = Design(image_variance=0.09, units=500)
    assert minimum_detectable(1.0, 5, design=loud) > minimum_detectable(1.0, 5)
    # Endless seeds see (1.96 + 0.84) * 0.3 AP on these images, nothing less.
    assert minimum_detectable(0.1, 10_000, design=loud) == pytest.approx(2.8016 * 0.3, rel=0.01)
    assert images_needed(0.5, 0.09, 500) == pytest.approx(500 * 0.09 * (2.8016 / 0.5) ** 2, abs=1)
    assert seeds_needed(1.0, 1.0, design=loud) > seeds_needed(1.0, 1.0)
    # Paired t of three pairs, differences of sd sqrt(2): EVIDENCE's 4.6 and, at a correlation of .5, 3.3.
    assert minimum_detectable(2**0.5, 3, design=Design(paired=True)) == pytest.approx(4.6, abs=0.06)
    assert minimum_detectable(1.0, 3, design=Design(paired=True)) == pytest.approx(3.27, abs=0.06)
    # 8,000 simulated studies give 1.1 per cent.
    assert power_of(0.0, 1.0, 5, arms=3) == pytest.approx(0.0105, abs=0.002)
