"""How often the judge is wrong, by simulation through the judge's own code; and faults that it shows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as distributions
from simulated_studies import NULLS, World, draw, found, rate, seed_rate, sequential

from yolograft.study.statistics.looks import look_alphas
from yolograft.study.statistics.power import power_of
from yolograft.study.statistics.variance import paired, two_way

LOOKS = (3, 5, 10)
ALPHAS = look_alphas(LOOKS)
INTERACTION = next(world for world in NULLS if world.interaction)
SEEDS = next(world for world in NULLS if world.name == "seed-dominant")


def whole_pipeline(world: World, studies: int, alphas=ALPHAS) -> float:
    """Three arms, three looks, a bank of two groups: share of studies with any false verdict."""
    chunks = draw(world, studies=studies, seeds=10, arms=3, images=40, bank=(5, 5))
    return float(np.concatenate([sequential(one, LOOKS, alphas).any(axis=1) for one in chunks]).mean())


def test_false_verdicts_in_every_null_world():
    rates = [rate(world, seeds=k, studies=1000, images=50) for world in NULLS for k in LOOKS]
    assert max(rates) <= 0.06 + 3 * math.sqrt(0.05 * 0.95 / 1000)
    assert np.mean(rates) <= 0.052


#: Baseline and arm of unlike numbers of runs, or with a bank of 8 or 20 degrees of freedom.
UNLIKE = [
    ((3, 3), (5, 5)),
    ((3, 3), (5,) * 5),
    ((5, 5), (5,) * 5),
    *(((k0, k), ()) for k0, k in ((6, 3), (10, 3), (20, 3), (8, 5), (3, 10))),
]


@pytest.mark.parametrize("ratio", [1.0, 1.5, 2.0])
@pytest.mark.parametrize(("seeds", "bank"), UNLIKE)
def test_the_noisier_arm_keeps_its_level_beside_a_large_baseline(seeds, bank, ratio):
    """With the pooled degrees of freedom alone, up to 12 per cent."""
    assert seed_rate(ratio, seeds=seeds, bank=bank, studies=4000) <= 0.062 + 3 * math.sqrt(0.06 * 0.94 / 4000)


@pytest.mark.slow
@pytest.mark.parametrize("ratio", [1.0, 1.5, 2.0])
@pytest.mark.parametrize(("seeds", "bank"), UNLIKE)
def test_the_noisier_arm_to_the_full(seeds, bank, ratio):
    assert seed_rate(ratio, seeds=seeds, bank=bank, studies=60_000) <= 0.063


def test_pooled_degrees_of_freedom_for_an_arms_own_variance_are_caught():
    world = World("pooled df", 1.0, 0.0, ratio=2.0)
    (drawn,) = draw(world, studies=4000, seeds=20, images=1)
    values = drawn.values[0], drawn.values[1][:, :3]
    own = np.stack([one.var(axis=1, ddof=1) for one in values])
    pool = (19 * own[0] + 2 * own[1]) / 21
    se = np.sqrt(np.maximum(own[0], pool) / 20 + np.maximum(own[1], pool) / 3)
    delta = values[1].mean(axis=1) - values[0].mean(axis=1)
    assert (np.abs(delta) > distributions.t.isf(0.025, 21) * se).mean() > 0.1


@pytest.mark.slow
@pytest.mark.parametrize("world", NULLS, ids=lambda world: world.name)
def test_false_verdicts_to_the_full(world):
    rates = [rate(world, seeds=k, studies=5000, images=200) for k in LOOKS]
    assert max(rates) <= 0.06 and np.mean(rates) <= 0.052


def test_the_whole_pipeline():
    assert whole_pipeline(SEEDS, 1000) <= 0.06
    assert whole_pipeline(INTERACTION, 1000) <= 0.06


@pytest.mark.slow
@pytest.mark.parametrize("world", NULLS, ids=lambda world: world.name)
def test_the_whole_pipeline_to_the_full(world):
    assert whole_pipeline(world, 5000) <= 0.06


@pytest.mark.parametrize("world", [INTERACTION, SEEDS], ids=lambda world: world.name)
def test_the_paired_form_keeps_its_level(world):
    for k in (3, 5):
        (drawn,) = draw(world, studies=4000, seeds=k, images=30)
        noise = paired(*drawn.values, drawn.influences)
        cut = distributions.t.isf(0.025, noise.df)
        assert (np.abs(noise.delta) > cut * np.sqrt(noise.total)).mean() <= 0.065


def test_three_sds_are_found_at_five_seeds():
    world = World("planted", 0.6, 0.8)
    seen = [found(one.judged(5), alpha=0.05)
            for one in draw(world, studies=2000, seeds=5, effects=(3.0,), images=50)]  # fmt: skip
    assert np.concatenate(seen).mean() >= 0.95
    down = [one.judged(5) for one in draw(world, studies=200, seeds=5, effects=(-3.0,), images=50)]
    assert all((one.delta < 0).all() for one in down)


#: Power in per cent of the plain pooled t at true differences of 0.5, 1, 2, 3 sd.
PLAIN = {3: (6, 13, 46, 79), 5: (9, 26, 78, 98), 10: (18, 55, 99, 100)}


@pytest.mark.parametrize("k", LOOKS)
@pytest.mark.parametrize(("column", "effect"), list(enumerate((0.5, 1.0, 2.0, 3.0))))
def test_power(k, column, effect):
    world = World("power", 1.0, 0.0)
    (drawn,) = draw(world, studies=20_000, seeds=k, effects=(effect,), images=1)
    base, arm = drawn.values
    ours = two_way(drawn.values)
    seen = found(ours, alpha=0.05).mean()
    assert seen == pytest.approx(power_of(effect, 1.0, k), abs=0.012)
    # The reference of the note takes the pooled variance alone.
    plain = np.abs(distributions.ttest_ind(arm, base, axis=1).statistic) > distributions.t.isf(
        0.025, 2 * k - 2
    )
    exact = distributions.nct.sf(distributions.t.isf(0.025, 2 * k - 2), 2 * k - 2, effect / math.sqrt(2 / k))
    assert plain.mean() == pytest.approx(exact, abs=0.015)
    assert 100 * plain.mean() == pytest.approx(PLAIN[k][column], abs=3)


def test_planted_faults_are_caught():
    """Each of these mistakes breaks a bound that the tests above hold the judge to."""
    # Normal quantiles for Student's: wrong degrees of freedom.
    (drawn,) = draw(SEEDS, studies=2000, seeds=3, images=20)
    noise = drawn.judged(3)
    assert (np.abs(noise.delta) > 1.96 * np.sqrt(noise.total)).mean() > 0.08
    # The noise of images left out.
    (drawn,) = draw(INTERACTION, studies=2000, seeds=10, images=50)
    assert found(two_way(drawn.values), alpha=0.05).mean() > 0.15
    # Each look at the full level.
    assert whole_pipeline(SEEDS, 1000, alphas=(0.05, 0.05, 0.05)) > 0.075
    # One variance for arms of unlike noise.
    world = World("unequal", 1.0, 0.0, ratio=2.0)
    (drawn,) = draw(world, studies=4000, seeds=3, arms=5, images=1)
    pooled = np.mean([values.var(axis=1, ddof=1) for values in drawn.values], axis=0)
    t = (drawn.values[-1].mean(axis=1) - drawn.values[0].mean(axis=1)) / np.sqrt(2 * pooled / 3)
    assert (np.abs(t) > distributions.t.isf(0.025, 12)).mean() > 0.08
