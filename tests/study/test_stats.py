"""Seed statistics: rates by simulation, equality with scipy, and what must never be said."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as distributions

from yolograft.errors import StudyError
from yolograft.rng import stream
from yolograft.study.statistics.compare import ArmScores, compare
from yolograft.study.statistics.critical import critical_value, two_sided
from yolograft.study.statistics.power import critical_values, minimum_detectable, power_of, seeds_needed
from yolograft.study.statistics.variance import SD_FLOOR, governing_variances, two_way

WORDS = {"helps", "hurts", "no detectable difference", "not enough seeds", "not enough images"}
STUDIES = 40_000


def simulate(name, *, k, sds, deltas, alpha=0.05):
    """Many studies at once: (delta, se, df, interval half width), [studies, arms]; baseline's sd first."""
    r = stream(7, "stats", name, k)
    sds, deltas = np.asarray(sds, float), np.asarray(deltas, float)
    runs = r.normal(50 + deltas, 1.0, (STUDIES, k, len(sds)))
    runs = 50 + deltas + (runs - 50 - deltas) * sds
    noise = two_way([runs[..., arm] for arm in range(len(sds))])
    se = np.sqrt(noise.total)
    return noise.delta, se, noise.df, critical_values(len(sds) - 1, alpha, noise.df) * se


@pytest.mark.parametrize("k", [3, 5])
@pytest.mark.parametrize("sds", [(1, 1), (1, 1.5), (1, 2), (2, 1), (1, 1, 1, 2), (1, 1, 1, 1, 1)])
def test_false_verdicts_stay_below_six_percent(k, sds):
    delta, _, _, half = simulate(f"null {sds}", k=k, sds=sds, deltas=(0,) * len(sds))
    assert (np.abs(delta) > half).any(axis=1).mean() <= 0.06  # family-wise


@pytest.mark.parametrize("k", [3, 5])
@pytest.mark.parametrize("ratio", [1, 2])
def test_false_equivalence_stays_below_six_percent(k, ratio):
    margin = 1.5
    for truth in (margin, -margin):
        delta, se, df, _ = simulate(f"tost {ratio} {truth}", k=k, sds=(0.4, 0.4 * ratio), deltas=(0, truth))
        equal = np.abs(delta) + critical_values(1, 0.1, df) * se < margin
        assert equal.mean() <= 0.06


@pytest.mark.parametrize("k", [3, 5, 10])
@pytest.mark.parametrize("arms", [1, 4])
@pytest.mark.parametrize("effect", [0, 1, 2, 3])
def test_power_is_what_planning_says(k, arms, effect):
    deltas = (0, effect) + (0,) * (arms - 1)
    delta, _, _, half = simulate(f"power {arms} {effect}", k=k, sds=(1,) * (arms + 1), deltas=deltas)
    seen = (np.abs(delta[:, 0]) > half[:, 0]).mean()
    assert seen == pytest.approx(power_of(effect, 1.0, k, arms=arms), abs=0.01)


def test_planted_faults_break_the_rates():
    """The rules that guard the rate are needed: without each the six percent is passed."""
    r = stream(7, "stats", "faults")
    quiet_noisy = r.normal(0, 1, (STUDIES, 3, 6)) * np.array([1, 1, 1, 1, 1, 2])
    own = quiet_noisy.var(axis=1, ddof=1)
    delta = quiet_noisy[..., 5].mean(axis=1) - quiet_noisy[..., 0].mean(axis=1)
    only_pooled = critical_value(0.025, 12) * np.sqrt(own.mean(axis=1) * 2 / 3)
    assert (np.abs(delta) > only_pooled).mean() > 0.08
    variance = governing_variances(own, np.full(6, 3)).variance
    ours = critical_value(0.025, 12) * np.sqrt((variance[:, 0] + variance[:, 5]) / 3)
    assert (np.abs(delta) > ours).mean() < (np.abs(delta) > only_pooled).mean()
    delta, se, _, _ = simulate("wrong df", k=3, sds=(1, 1), deltas=(0, 0))
    assert (np.abs(delta) > 1.96 * se).mean() > 0.08  # normal instead of t
    delta, se, df, _ = simulate("no multiplicity", k=5, sds=(1,) * 5, deltas=(0,) * 5)
    assert (np.abs(delta) > critical_values(1, 0.05, df) * se).any(axis=1).mean() > 0.08


def test_compare_is_the_simulated_procedure():
    runs = stream(1, "stats", "same").normal(40, 1, (4, 5))
    own = runs.var(axis=1, ddof=1)
    variance = np.maximum(own, own.mean())
    arms = [ArmScores(f"arm {i}", tuple(row)) for i, row in enumerate(runs)]
    for i, got in enumerate(compare(arms[0], arms[1:]), start=1):
        se = math.sqrt((variance[0] + variance[i]) / 5)
        of = [4 if own[j] > own.mean() else 16 for j in (0, i)]
        df = (variance[0] + variance[i]) ** 2 / (variance[0] ** 2 / of[0] + variance[i] ** 2 / of[1])
        df = min(df, 16)
        assert got.se == pytest.approx(se, rel=1e-12) and got.df == pytest.approx(df, rel=1e-12)
        noise = two_way([row[None] for row in runs])
        critical = two_sided(0.05, df, noise.correlation[0])
        assert critical_value(0.025, df) < critical < critical_value(0.05 / 6, df)
        assert (got.high - got.low) / 2 == pytest.approx(critical * se, rel=1e-9)
        assert got.level == pytest.approx(1 - 2 * distributions.t.sf(critical, df))
        assert noise.total[0, i - 1] == pytest.approx(se**2, rel=1e-12)
        assert (got.p_value < 0.05) == (got.low > 0 or got.high < 0)


def test_two_arms_of_equal_variance_are_scipys_pooled_t():
    base = (40.1, 41.3, 39.2, 40.4)
    arm = tuple(82.2 - value for value in base)  # mirrored: the same sample variance
    got = compare(ArmScores("base", base), [ArmScores("arm", arm)])[0]
    reference = distributions.ttest_ind(arm, base, equal_var=True)
    interval = reference.confidence_interval(0.95)
    assert got.df == reference.df == 6
    assert got.p_value == pytest.approx(reference.pvalue, rel=1e-9)
    assert (got.low, got.high) == pytest.approx((interval.low, interval.high), rel=1e-9)


def test_unequal_seeds_pool_by_degrees_of_freedom():
    base, arm = (50.0, 51.0, 52.0, 50.5, 51.5), (50.9, 51.1, 51.0)
    got = compare(ArmScores("base", base), [ArmScores("arm", arm)])[0]
    v0, v1 = np.var(base, ddof=1), np.var(arm, ddof=1)
    pooled = (4 * v0 + 2 * v1) / 6
    g0, g1 = max(v0, pooled) / 5, max(v1, pooled) / 3
    assert v0 > pooled > v1 and got.se == pytest.approx(math.sqrt(g0 + g1))
    assert got.df == pytest.approx(min(6, (g0 + g1) ** 2 / (g0**2 / 4 + g1**2 / 6)))


def test_neither_bank_nor_large_baseline_outweighs_the_arm():
    """Weights of the pool are at most three times the smaller degrees of freedom; a dead arm costs nobody."""
    rng = stream(2, "stats", "weights")
    base, arm, lost = (tuple(rng.normal(50, 1, k)) for k in (20, 3, 2))
    noise = two_way([np.array(base), np.array(arm)])
    pool = (6 * np.var(base, ddof=1) + 2 * np.var(arm, ddof=1)) / 8
    assert noise.sd[0].tolist() == pytest.approx(
        [math.sqrt(max(np.var(one, ddof=1), pool)) for one in (base, arm)]
    )
    assert noise.seed_df[0] <= 8
    lent = two_way([np.array(arm), np.array(lost)[:1] + np.arange(3)], bank=(1.0, 60))
    assert lent.seed_df[0] <= 3 * 2 + 2
    rows = [rng.normal(50, 1, 10) for _ in range(3)]
    beside = two_way([*rows, np.array(lost)])
    counts = np.array([10, 10, 10, 2])
    own = np.array([np.var(row, ddof=1) for row in (*rows, lost)])
    assert governing_variances(own, counts, judged=(0, 1)).pooled_df == 28
    assert governing_variances(own, counts, judged=(0, 3)).pooled_df == 10
    assert beside.seed_df[2] <= 10


@pytest.mark.parametrize(("group", "verdicts"), [(1, 4), (2, 4)])
def test_planning_for_one_of_several_groups(group, verdicts):
    """Alpha is shared by all verdicts, noise is pooled over the group alone."""
    alpha = 0.05 * group / verdicts
    effect = minimum_detectable(1.0, 3, arms=group, alpha=alpha)
    deltas = (0, effect) + (0,) * (group - 1)
    delta, _, _, half = simulate(f"group {group}", k=3, sds=(1,) * (group + 1), deltas=deltas, alpha=alpha)
    assert (np.abs(delta[:, 0]) > half[:, 0]).mean() == pytest.approx(0.8, abs=0.01)
    # As if all verdicts shared one baseline, and its degrees of freedom.
    claimed = minimum_detectable(1.0, 3, arms=verdicts)
    assert claimed < effect * 0.95


def test_the_seeds_a_group_needs_are_those_its_own_noise_takes():
    values = (50.0, 51.0, 52.0), (50.5, 51.5, 52.5)
    got = compare(ArmScores("base", values[0]), [ArmScores("arm", values[1])], tried=4)[0]
    sd = math.sqrt(got.df / distributions.chi2.ppf(0.2, got.df))
    assert got.df == 4 and got.evidence.tried == 4
    assert got.evidence.wide_needed == seeds_needed(2.0, sd, arms=1, alpha=0.05 / 4)


def test_planning_is_consistent():
    assert power_of(minimum_detectable(0.7, 4, arms=3), 0.7, 4, arms=3) == pytest.approx(0.8, abs=1e-4)
    for difference, sd in ((0.5, 0.3), (1.0, 1.0), (2.0, 1.0), (0.5, 2.4)):
        n = seeds_needed(difference, sd)
        assert minimum_detectable(sd, n) <= difference
        assert n == 3 or minimum_detectable(sd, n - 1) > difference
    # Noncentral t with the pooled variance alone is the lower bound; the price of the larger-of rule
    # fades with the number of seeds.
    for k, plain in ((3, 3.07), (5, 2.02), (10, 1.32), (30, 0.74)):
        assert plain < minimum_detectable(1.0, k) < plain * (1 + 0.33 / k + 0.04)
    assert minimum_detectable(1.0, 2) == math.inf
    assert minimum_detectable(1.0, 3, arms=5) > minimum_detectable(1.0, 3)
    assert seeds_needed(50, 0.1) == 3
    with pytest.raises(StudyError, match="YG602"):
        seeds_needed(1e-4, 5.0)
    with pytest.raises(StudyError, match="YG602"):
        seeds_needed(0.0, 1.0)
    with pytest.raises(StudyError, match="YG602"):
        minimum_detectable(-1.0, 3)


def base_of(*values, failed=0):
    return ArmScores("base", values, failed)


def one(base, *values, failed=0, **options):
    return compare(base, [ArmScores("arm", values, failed)], **options)[0]


def test_the_four_words():
    base = base_of(50.0, 50.2, 49.9)
    helps = one(base, 55.0, 55.2, 54.9)
    assert helps.verdict == "helps" and helps.low > 0 and helps.known == ""
    assert "-> helps" in helps.sentence and "this evaluation split" in helps.sentence
    assert one(base, 45.0, 45.2, 44.9).verdict == "hurts"
    small = one(base, 55.0, 55.2, 54.9, margin=20.0)
    assert small.verdict == "helps" and small.sentence.endswith("helps, smaller than your margin")
    same = one(base, 50.1, 50.0, 50.0)
    assert same.verdict == "no detectable difference"
    assert "no detectable difference (|Delta| < 0.5)" in same.sentence and same.known
    open_ = one(base_of(50.0, 53.0, 47.0), 51.0, 54.0, 48.5)
    assert open_.verdict == "not enough seeds" and "not enough seeds (needs >= " in open_.sentence
    assert "ruled out at 95 %" in open_.known and "would see 2 AP" in open_.known


@pytest.mark.parametrize("counts", [(1, 1), (2, 2), (3, 2), (2, 3), (3, 1), (1, 5), (3, 0), (0, 3)])
def test_below_three_seeds_there_is_no_verdict(counts):
    base, arm = ((level + 0.1 * i for i in range(n)) for level, n in zip((30, 60), counts, strict=True))
    got = one(base_of(*base, failed=1), *arm, failed=1)
    assert got.verdict == "not enough seeds" and got.known
    assert int(got.sentence.split("needs >= ")[1].split(")")[0]) >= 3


def test_diverged_runs_withhold_what_survivors_flatter():
    base, better, worse, equal = (
        (50.0, 50.2, 49.9),
        (55.0, 55.2, 54.9),
        (45.0, 45.2, 44.9),
        (50.0, 50.1, 50.0),
    )
    got = one(base_of(*base), *better, failed=1)
    assert got.verdict == "not enough seeds"
    assert '"helps" is withheld: 1 of 4 runs of this arm diverged' in got.sentence and got.known
    assert one(base_of(*base), *equal, failed=1).verdict == "not enough seeds"
    hurts = one(base_of(*base), *worse, failed=1)
    assert hurts.verdict == "hurts" and "1 of 4 runs of this arm diverged" in hurts.sentence
    assert one(base_of(*base, failed=2), *worse).verdict == "not enough seeds"
    helps = one(base_of(*base, failed=2), *better)
    assert helps.verdict == "helps" and "2 of 5 runs of the baseline diverged" in helps.sentence


def test_identical_runs_are_no_certainty():
    nothing = one(base_of(0.0, 0.0, 0.0), 0.0, 0.0, 0.0)  # all failed to learn: that is not equality
    assert nothing.verdict == "not enough seeds" and math.isnan(nothing.se) and "AP 0" in nothing.known
    assert one(base_of(50.1, 50.1, 50.1), 60.1, 60.1, 60.1).verdict == "not enough seeds"
    almost = one(base_of(50.0, 50.0, 50.0 + 1e-9), 50.0, 50.0, 50.0)
    assert almost.se == pytest.approx(SD_FLOOR * math.sqrt(2 / 3))
    assert almost.high - almost.low > 0.1


def test_every_arm_tried_counts():
    base, good = base_of(50.0, 50.9, 49.4), (52.0, 53.1, 51.6)
    alone = one(base, *good)
    others = [ArmScores(f"dead {i}", (), 3) for i in range(9)]
    among = compare(base, [ArmScores("arm", good), *others])[0]
    assert alone.df == among.df and among.level == pytest.approx(0.995)
    assert among.low < alone.low and among.p_value == pytest.approx(10 * alone.p_value)
    assert "tried 10" in among.sentence and compare(base, []) == []


@pytest.mark.parametrize("value", [math.nan, math.inf, -0.1, 100.1])
def test_wrong_values_are_refused(value):
    with pytest.raises(StudyError, match="YG601"):
        one(base_of(50.0, 51.0, 52.0), 50.0, value, 51.0)
    with pytest.raises(StudyError, match="YG601"):
        one(base_of(value), 50.0)


def test_wrong_questions_are_refused():
    base = base_of(50.0, 51.0, 52.0)
    for options in ({"margin": 0.0}, {"margin": math.nan}, {"alpha": 0.0}, {"alpha": 0.7}):
        with pytest.raises(StudyError, match="YG601"):
            one(base, 50.0, **options)
    with pytest.raises(StudyError, match="occurs twice"):
        compare(base, [ArmScores("base", (1.0,))])
    with pytest.raises(StudyError, match="YG601"):
        one(base, 50.0, failed=-1)


runs = st.lists(st.floats(0, 100), max_size=6).map(tuple)


@settings(max_examples=40, deadline=None)
@given(base=runs, arm=runs, other=runs, failed=st.integers(0, 2), margin=st.sampled_from([0.01, 0.5, 3.0]))
def test_whatever_the_runs_the_answer_is_whole(base, arm, other, failed, margin):
    arms = [ArmScores("arm", arm, failed), ArmScores("other", other)]
    for got in compare(ArmScores("base", base), arms, margin=margin):
        assert got.verdict in WORDS and got.verdict in got.sentence
        assert got.verdict in ("helps", "hurts") or got.known
        assert got.scope == "this evaluation split"
        if got.verdict == "helps":
            assert got.low > 0 and min(len(base), len(arm)) >= 3
        if got.df:
            assert got.se > 0 and got.low < got.delta < got.high and 0 <= got.p_value <= 1


@settings(max_examples=30, deadline=None)
@given(
    base=st.lists(st.floats(10, 90), min_size=3, max_size=5),
    arm=st.lists(st.floats(10, 90), min_size=3, max_size=5),
)
def test_swapping_the_sides_swaps_the_answer(base, arm):
    there = compare(ArmScores("a", tuple(base)), [ArmScores("b", tuple(arm))])[0]
    back = compare(ArmScores("b", tuple(arm)), [ArmScores("a", tuple(base))])[0]
    mirror = {"helps": "hurts", "hurts": "helps"}
    assert back.verdict == mirror.get(there.verdict, there.verdict)
    assert back.delta == pytest.approx(-there.delta, abs=1e-9)
