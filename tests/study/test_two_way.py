"""Seeds and images together: the formulas written out, what cannot matter, and what is said."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yolograft.errors import StudyError
from yolograft.rng import stream
from yolograft.study.statistics.compare import ArmScores, against_placebo, compare
from yolograft.study.statistics.evidence import evidence_json, evidence_of
from yolograft.study.statistics.variance import paired, two_way
from yolograft.study.statistics.verdict import judge


def arm(label, k, *, level=50.0, sd=0.4, noise=3.0, liking=0.0, units=60, failed=0, seeds=None):
    """Runs whose influences scatter by ``noise`` and hold an image effect of sd ``liking``."""
    rng = stream(3, "two-way", label, k, units)
    psi = rng.normal(0, noise, (k, units)) + rng.normal(0, liking, units)
    psi -= psi.mean(axis=1, keepdims=True)
    return ArmScores(label, tuple(level + rng.normal(0, sd, k)), failed, psi, seeds)


def by_hand(base, other):
    """V_seed, V_img, V_int, V and df of two arms, one loop a sum, seeds unpaired."""
    k0, k, n = len(base.values), len(other.values), base.influence.shape[1]
    own = [np.var(base.values, ddof=1), np.var(other.values, ddof=1)]
    df = k0 + k - 2
    pool = ((k0 - 1) * own[0] + (k - 1) * own[1]) / df
    g0, g = max(own[0], pool) / k0, max(own[1], pool) / k
    v_seed, of = g0 + g, [k - 1 if v > pool else df for v, k in zip(own, (k0, k), strict=True)]
    df = min(df, v_seed**2 / (g0**2 / of[0] + g**2 / of[1]))
    v_img = np.var(other.influence.mean(0) - base.influence.mean(0), ddof=1) / n
    parts = []
    for one in (base, other):
        rows = one.influence - one.influence.mean(0)
        parts.append(sum(np.var(row, ddof=1) for row in rows) / (len(rows) - 1) / len(rows) / n)
    beyond = v_img - sum(parts)
    total = max(v_seed + max(beyond, 0), v_img)
    scatter = v_seed**2 / df
    if beyond > 0:
        freedom = [(len(one.values) - 1) * (n - 1) for one in (base, other)]
        scatter += v_img**2 / (n - 1) + sum(p**2 / f for p, f in zip(parts, freedom, strict=True))
    if v_img > v_seed + max(beyond, 0):
        scatter = v_img**2 / (n - 1)
    return v_seed, v_img, sum(parts), total, max(total**2 / scatter, min(df, n - 1))


@pytest.mark.parametrize("liking", [0.0, 8.0])
@pytest.mark.parametrize(("k0", "k"), [(3, 3), (5, 3), (4, 10)])
def test_the_parts_are_the_formulas_written_out(k0, k, liking):
    base, other = arm("base", k0, liking=liking), arm("other", k, liking=liking)
    got = compare(base, [other])[0]
    found = got.evidence
    expected = by_hand(base, other)
    assert (found.v_seed, found.v_img, found.v_int, got.se**2, got.df) == pytest.approx(expected, rel=1e-10)
    assert got.scope == "new images like these" and got.scope in got.sentence and found.units == 60
    # What results.json keeps is enough to recompute the interval.
    kept = json.loads(json.dumps(evidence_json(found)))
    se = math.sqrt(max(kept["v_seed"] + max(kept["v_img"] - kept["v_int"], 0), kept["v_img"]))
    assert kept["low"] == pytest.approx(kept["delta"] - kept["critical"] * se, rel=1e-12)
    assert kept["v_seed"] == pytest.approx(kept["sd_base"] ** 2 / k0 + kept["sd_arm"] ** 2 / k, rel=1e-12)


def test_golden_numbers():
    """Two images as twenty: influences +-1 in ten images each, the arm's twice as large."""
    signs = np.repeat([1.0, -1.0], 10)
    base = ArmScores("base", (50.0, 52.0, 54.0), influence=np.tile(signs, (3, 1)))
    other = ArmScores("arm", (55.0, 57.0, 59.0), influence=np.tile(3 * signs, (3, 1)))
    got = compare(base, [other])[0]
    # s^2 = 4 on both sides: V_seed = 8/3. D = 2 signs, V_img = 4 (20/19) / 20; seeds do not scatter.
    assert got.evidence.v_seed == pytest.approx(8 / 3) and got.evidence.v_img == pytest.approx(4 / 19)
    assert got.evidence.v_int == pytest.approx(0, abs=1e-12)
    total = 8 / 3 + 4 / 19
    assert got.se == pytest.approx(math.sqrt(total))
    assert got.df == pytest.approx(total**2 / ((8 / 3) ** 2 / 4 + (4 / 19) ** 2 / 19))
    plain = compare(base, [other], one_split=True)[0]
    assert plain.se == pytest.approx(math.sqrt(8 / 3)) and plain.df == 4
    assert plain.scope == "this evaluation split" and math.isnan(plain.evidence.v_img)


def test_leading_axes_are_independent_studies():
    rng = stream(4, "axes")
    values = [rng.normal(50, 1, (2, 5, k)) for k in (3, 4, 6)]
    psi = [rng.normal(0, 5, (2, 5, k, 30)) for k in (3, 4, 6)]
    many = two_way(values, psi, bank=(np.full((2, 5), 0.7), 8))
    one = two_way([v[1, 2] for v in values], [p[1, 2] for p in psi], bank=(0.7, 8))
    for name in ("delta", "seed", "image", "interaction", "total", "df", "sd", "seed_df", "correlation"):
        np.testing.assert_allclose(getattr(many, name)[1, 2], getattr(one, name), rtol=1e-12)
    assert many.seed_df.shape == (2, 5, 2) and (many.seed_df <= [9 + 3 + 5, 10 + 3 + 5]).all()
    assert (np.linalg.eigvalsh(many.correlation) > 0).all()
    both = paired(values[0], values[0] + 1, (psi[0], psi[0]))
    assert both.delta.shape == (2, 5, 1) and np.allclose(both.delta, 1) and np.allclose(both.image, 0)


def test_few_units_or_a_run_without_influences_speak_of_this_split():
    base, other = arm("base", 3, units=19), arm("arm", 3, units=19)
    assert compare(base, [other])[0].scope == "this evaluation split"
    base, other = arm("base", 3, units=20), arm("arm", 3, units=20)
    assert compare(base, [other])[0].scope == "new images like these"
    plain = ArmScores("plain", (50.0, 50.5, 49.5))
    assert {c.scope for c in compare(base, [other, plain])} == {"this evaluation split"}
    dead = ArmScores("dead", (), 3)
    assert compare(base, [other, dead])[0].scope == "new images like these"


def test_the_paired_form():
    luck = stream(5, "paired").normal(0, 2, 5)
    gain = np.array([0.9, 1.1, 1.0, 0.8, 1.2])
    base = ArmScores("base", tuple(50 + luck), seeds=(0, 1, 2, 3, 4))
    other = ArmScores("arm", tuple((50 + luck + gain)[::-1]), seeds=(4, 3, 2, 1, 0))
    got = compare(base, [other], paired=True)[0]
    assert got.df == 4 and got.se == pytest.approx(math.sqrt(np.var(gain, ddof=1) / 5))
    assert got.verdict == "helps" and "5+5 paired seeds" in got.sentence and got.evidence.paired
    assert compare(base, [other])[0].verdict == "not enough seeds"
    one_lost = ArmScores("arm", tuple((50 + luck + gain)[:4]), 1, seeds=(0, 1, 2, 3))
    less = compare(base, [one_lost], paired=True)[0]
    assert less.df == 3 and less.evidence.seeds == (4, 4) and less.verdict == "not enough seeds"
    # Of five planned, each side lost another one: three pairs, and one of five lost on either side.
    first = ArmScores("base", base.values[1:], 1, seeds=(1, 2, 3, 4))
    both = compare(first, [one_lost], paired=True)[0]
    assert both.evidence.seeds == (3, 3) and both.evidence.finished == (4, 4)
    assert "1 of 5 runs of the baseline diverged, 1 of 5 runs of this arm diverged" in both.sentence
    assert "基线 5 次训练中有 1 次发散，本组 5 次训练中有 1 次发散" in judge(both.evidence, lang="zh")[1]
    with pytest.raises(StudyError, match="YG601"):
        compare(ArmScores("base", base.values), [ArmScores("arm", other.values[:4])], paired=True)


def test_noise_of_images_alone_asks_for_images():
    base = arm("base", 5, sd=0.1, noise=1.0, liking=20.0)
    got = compare(base, [arm("arm", 5, sd=0.1, noise=1.0, liking=20.0)], margin=0.5)[0]
    assert got.verdict == "not enough images" and got.evidence.images_needed > 60
    assert f"not enough images (needs >= {got.evidence.images_needed} images)" in got.sentence
    assert "on these 60 images no number of seeds would see 0.5 AP" in got.known
    grouped = compare(base, [arm("arm", 5, sd=0.1, noise=1.0, liking=20.0)], grouped=True)[0]
    assert "groups of images)" in grouped.sentence
    assert "组）" in judge(grouped.evidence, lang="zh")[1]
    # The word for more seeds stays where few seeds are the reason.
    few = compare(arm("base", 3, sd=3.0, noise=1.0), [arm("arm", 3, sd=3.0, noise=1.0)])[0]
    assert few.verdict == "not enough seeds"


def test_helps_beside_a_placebo():
    base, placebo = ArmScores("base", (50.0, 50.2, 49.9)), ArmScores("plain", (54.9, 55.1, 55.0))
    graft = ArmScores("arm", (55.0, 55.2, 54.9))
    found = compare(base, [graft])[0]
    beside = against_placebo(found, compare(placebo, [graft])[0], placebo="plain")
    assert beside.verdict == "helps"
    assert beside.sentence.endswith("-> helps, but not shown better than a plain convolution")
    better = against_placebo(found, compare(base, [graft])[0], placebo="plain")
    assert better.sentence == found.sentence
    worse = against_placebo(found, compare(graft, [replace(base, label="arm2")])[0], placebo="plain")
    assert worse.sentence.endswith("helps, but less than a plain convolution")
    lost = against_placebo(found, compare(ArmScores("plain", (), 3), [graft])[0], placebo="plain")
    assert "not shown better than a plain convolution (3 of 3 runs of plain diverged)" in lost.sentence
    # Two runs, or three of which one was lost, clear nothing however far they lie below.
    for values, failed in (((40.0, 40.1), 0), ((40.0, 40.1, 40.2), 1)):
        low = against_placebo(found, compare(ArmScores("plain", values, failed), [graft])[0], placebo="plain")
        assert "not shown better" in low.sentence and math.isnan(low.evidence.placebo_low)
        assert ("1 of 4 runs of plain diverged" in low.sentence) == bool(failed)
    assert "未显示优于普通卷积（plain 3 次训练中有 3 次发散）" in judge(lost.evidence, lang="zh")[1]


def test_silent_pairs_are_never_equal():
    base, still = ArmScores("base", (0.0,) * 3), ArmScores("still", (0.0,) * 3)
    noisy = ArmScores("noisy", (0.0, 0.1, 0.2))
    got = compare(base, [still, noisy])[0]
    assert got.verdict == "not enough seeds" and "every run scored AP 0" in got.sentence and got.df == 0
    frozen = compare(ArmScores("base", (40.0,) * 3), [ArmScores("a", (40.0,) * 3), noisy])[0]
    assert frozen.verdict == "not enough seeds" and "no two runs of either arm differ" in frozen.known


def test_time_is_said_where_it_is_known():
    base, other = ArmScores("base", (50.0, 53.0, 47.0)), ArmScores("arm", (51.0, 54.0, 48.5))
    got = compare(base, [other], seconds_per_run=228.0)[0]
    minutes = round(2 * got.evidence.wide_needed * 228 / 60)
    assert f"({minutes // 60} h {minutes % 60} min here) would see 2 AP" in got.known
    assert "min here" not in compare(base, [other])[0].known


@pytest.mark.parametrize("shape", [(2, 30), (3, 30, 1), (3,)])
def test_influences_that_do_not_fit_are_refused(shape):
    base = ArmScores("base", (50.0, 51.0, 52.0), influence=np.zeros((3, 30)))
    with pytest.raises(StudyError, match="YG601"):
        compare(base, [ArmScores("arm", (50.0, 51.0, 52.0), influence=np.zeros(shape))])
    for wrong in (np.full((3, 30), np.nan), np.zeros((3, 31))):
        with pytest.raises(StudyError, match="YG601"):
            compare(base, [ArmScores("arm", (50.0, 51.0, 52.0), influence=wrong)])


def test_results_of_an_older_version_are_read():
    new = evidence_json(compare(arm("base", 3), [arm("arm", 3)])[0].evidence)
    first = list(new)[: list(new).index("critical")]
    old = evidence_of({key: new[key] for key in first} | {"scope": "this evaluation split"})
    assert old is not None and math.isnan(old.v_seed) and judge(old)[1] and judge(old, lang="zh")[1]
    assert evidence_of({key: new[key] for key in first[1:]}) is None


@settings(max_examples=8, deadline=None)
@given(
    shift=st.floats(-20, 20), scale=st.floats(0.5, 2.0), order=st.permutations([0, 1, 2]), k=st.integers(3, 5)
)
def test_what_cannot_matter_does_not(shift, scale, order, k):
    """The level of all scores, the order of arms and of seeds; scores and influences scaled scale all."""
    base, arms = arm("base", k, sd=2.0), [arm(f"arm {i}", 3 + i, sd=2.0, level=51 + i) for i in range(3)]
    reference = {c.label: c for c in compare(base, arms)}

    def moved(one):
        rows = stream(6, "order", k).permutation(len(one.values))
        values = tuple(50 + shift + scale * (one.values[i] - 50) for i in rows)
        return ArmScores(one.label, values, influence=scale * one.influence[rows])

    for got in compare(moved(base), [moved(arms[i]) for i in order]):
        was = reference[got.label]
        assert (got.delta, got.se) == pytest.approx((scale * was.delta, scale * was.se), rel=1e-9, abs=1e-9)
        assert got.df == pytest.approx(was.df, rel=1e-6)
        assert got.evidence.critical == pytest.approx(was.evidence.critical, abs=2e-3)
