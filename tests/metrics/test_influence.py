"""The influence of images on AP: finite differences, its sum, and the bootstrap it stands for."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_sets import random_set, record, table_of

from yolograft.errors import DataError
from yolograft.metrics import influence as closed_form
from yolograft.metrics.influence import area_ap, grouped, image_shares, influence
from yolograft.metrics.matches import AREAS, IOUS, MatchTable, average_precision, build_match_table
from yolograft.rng import stream


def weighted_area_ap(matches, weight, *, area="all", labels=None, iou=None):
    """Area AP with image weights, written down literally: one detection after the other."""
    a, values = AREAS.index(area), []
    for label in range(matches.num_classes) if labels is None else labels:
        truth = matches.gt_label == label
        if not matches.gt_count[truth, a].sum():
            continue
        positives = (matches.gt_count[truth, a] * weight[matches.gt_image[truth]]).sum()
        rows = np.flatnonzero(matches.label == label)
        for t in range(len(IOUS)):
            if iou is not None and abs(IOUS[t] - iou) > 1e-6:
                continue
            precision, gains, true, found = [], [], 0.0, 0.0
            for row in rows:
                w = weight[matches.image[row]]
                hit = bool(matches.tp[a, row, t])
                true += w * hit
                found += w * (hit or not matches.ignored[a, row, t])
                precision.append(true / found if found else 0.0)
                gains.append(w * hit)
            best, area_under = 0.0, 0.0
            for value, gain in zip(reversed(precision), reversed(gains), strict=True):
                best = max(best, value)
                area_under += gain * best
            values.append(area_under / positives)
    return float(np.mean(values)) if values else math.nan


def one_sided(matches, image, step, **which):
    weight = np.ones(matches.images)
    weight[image] += step
    change = weighted_area_ap(matches, weight, **which) - weighted_area_ap(
        matches, np.ones_like(weight), **which
    )
    return matches.images * change / step


def check_against_differences(matches, **which):
    """psi is the derivative; at a kink it lies between the derivatives of the two sides."""
    ap = area_ap(matches, **which)
    literal = weighted_area_ap(matches, np.ones(matches.images), **which)
    assert ap == pytest.approx(literal, abs=1e-12, nan_ok=True)
    psi = influence(matches, **which)
    if math.isnan(literal):
        assert np.isnan(psi).all()
        return 0
    assert abs(psi.sum()) < 1e-9
    smooth, step = 0, 1e-6
    scale = max(np.abs(psi).max(), 1e-3)
    for i in range(matches.images):
        sides = sorted(one_sided(matches, i, s, **which) for s in (-step, step))
        assert sides[0] - 1e-5 * scale <= psi[i] <= sides[1] + 1e-5 * scale, (i, sides, psi[i])
        if sides[1] - sides[0] < 1e-6 * scale:
            central = (one_sided(matches, i, step, **which) + one_sided(matches, i, -step, **which)) / 2
            assert psi[i] == pytest.approx(central, rel=1e-5, abs=1e-5 * scale)
            smooth += 1
    return smooth


def set_of(seed, **size):
    records, table, classes = random_set(seed, **size)
    return build_match_table(records, table, classes)


def test_finite_differences_of_the_weighted_area():
    smooth = 0
    for seed in range(1, 15):  # crowd, ignored, ties, empty classes and images
        smooth += check_against_differences(set_of(seed, images=7, per_image=9))
    assert smooth > 40


@pytest.mark.parametrize(
    "which",
    [dict(area="small"), dict(area="medium"), dict(area="large"), dict(labels=[0, 2]), dict(iou=0.75)],
    ids=str,
)
def test_finite_differences_of_a_part(which):
    for seed in (2, 3, 8):
        check_against_differences(set_of(seed, images=5, classes=3, per_image=8), **which)


def test_misses_have_influence(monkeypatch):
    """Planted: the derivative on a fixed recall grid, where a missed box has no weight."""
    frozen = closed_form._parts

    def without_truth(matches, **which):
        added, _ = frozen(matches, **which)
        return added, np.full_like(added, added.sum() / len(added))

    records = [record(i, [[0, 0, 10, 10]], [0], [False], [100.0]) for i in range(6)]
    found = table_of([(i, 0, 0.9, 0, 0, 10, 10) for i in range(3)], 6)
    matches = build_match_table(records, found, 1)
    # AP = 3/6 whatever the order, P = 6: d(3 / P) / dw is 1/6 - 3/36 for a hit, -3/36 for a miss.
    np.testing.assert_allclose(influence(matches), [0.5] * 3 + [-0.5] * 3, atol=1e-12)
    monkeypatch.setattr(closed_form, "_parts", without_truth)
    with pytest.raises(AssertionError):
        for seed in range(1, 6):
            check_against_differences(set_of(seed, images=5, per_image=8))


def test_false_alarms_weigh_on_the_hits_behind_them(monkeypatch):
    """Planted: the part of a detection in the precision of others is left out."""
    kept = closed_form._curves

    def alone(tp, counted):
        curves = kept(tp, counted)
        return replace(curves, others=np.zeros_like(curves.others))

    monkeypatch.setattr(closed_form, "_curves", alone)
    with pytest.raises(AssertionError):
        for seed in range(1, 6):
            check_against_differences(set_of(seed, images=5, per_image=8))


def test_area_is_close_to_the_101_points():
    for seed in range(20):
        matches = set_of(seed, images=30, classes=1, per_image=12)
        for area in AREAS:
            grid, whole = average_precision(matches, area=area), area_ap(matches, area=area)
            assert (math.isnan(grid) and math.isnan(whole)) or abs(grid - whole) < 0.02


def test_shares_add_up_and_leave_empty_images_alone():
    for seed in range(1, 8):
        matches = set_of(seed, images=9, per_image=10)
        shares = image_shares(matches)
        assert shares.sum() == pytest.approx(area_ap(matches), abs=1e-12)
        quiet = np.setdiff1d(np.arange(9), np.r_[matches.image, matches.gt_image])
        assert not shares[quiet].any() and not influence(matches)[quiet].any()


def test_nothing_to_find_nothing_found():
    empty = build_match_table([record(i, [], [], [], []) for i in range(3)], table_of([], 3), 2)
    assert math.isnan(area_ap(empty)) and np.isnan(influence(empty)).all()
    blind = build_match_table(
        [record(0, [[0, 0, 9, 9]], [1], [False], [81.0]), record(1, [], [], [], [])], table_of([], 2), 2
    )
    assert area_ap(blind) == 0 and not influence(blind).any()
    alarms = build_match_table(
        [record(0, [[0, 0, 9, 9]], [1], [False], [81.0]), record(1, [], [], [], [])],
        table_of([(1, 1, 0.5, 0, 0, 9, 9), (1, 0, 0.5, 0, 0, 9, 9)], 2),
        2,
    )
    assert area_ap(alarms) == 0 and not influence(alarms).any()
    nobody = build_match_table([], table_of([], 0), 1)
    assert math.isnan(area_ap(nobody)) and influence(nobody).shape == (0,)
    with pytest.raises(DataError, match="YG364"):
        influence(blind, area="tiny")


def test_groups_are_units():
    psi = np.stack([influence(set_of(seed, images=9, classes=2, per_image=10)) for seed in (1, 2)])
    alone = grouped(psi, np.arange(9))
    np.testing.assert_allclose(alone, psi)
    names = ["b", "a", "b", "c", "a", "a", "b", "c", "c"]
    by_name = grouped(psi, names)
    assert by_name.shape == (2, 3)
    for column, name in enumerate("abc"):
        members = [i for i, n in enumerate(names) if n == name]
        np.testing.assert_allclose(by_name[:, column], psi[:, members].sum(axis=1) / 3)
    np.testing.assert_allclose(by_name.sum(axis=1), 0, atol=1e-9)
    with pytest.raises(ValueError, match="groups of 3 images"):
        grouped(psi, [0, 1, 2])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 3))
def test_sums_to_zero_and_repeats_change_nothing(seed, images, classes):
    """Every image twice over leaves AP nearly alone; the order of the images leaves it exactly alone."""
    records, table, _ = random_set(seed * 4 + 1, images=images, classes=classes, per_image=8)
    matches = build_match_table(records, table, classes)
    psi = influence(matches)
    if np.isnan(psi).any():
        return
    assert abs(psi.sum()) < 1e-9
    turned = replace(
        matches, image=images - 1 - matches.image, gt_image=images - 1 - matches.gt_image
    )  # the same rows under other image numbers
    np.testing.assert_allclose(influence(turned), psi[::-1], atol=1e-12)


def detector(seed, *, images, classes, boxes, skill, alarms):
    """A table of ``boxes`` in all and, per image, false alarms; quality varies from image to image."""
    r = stream(seed, "influence detector")
    gt_image, gt_label = np.sort(r.integers(0, images, boxes)), r.integers(0, classes, boxes)
    ease = np.clip(skill + 0.1 * r.standard_normal(images), 0, 1)
    found = r.random(boxes) < ease[gt_image]
    false = r.integers(0, images, round(alarms * images))
    image = np.r_[gt_image[found], false]
    label = np.r_[gt_label[found], r.integers(0, classes, len(false))]
    hits = found.sum()
    score = np.r_[r.beta(4, 2, hits), r.beta(2, 4, len(false))]
    iou = np.r_[0.5 + 0.5 * r.beta(4 * skill, 1.2, hits), np.zeros(len(false))]
    order = np.lexsort((-score, label))
    tp = (iou[order, None] >= np.asarray(IOUS))[None]
    pairs, counts = np.unique(gt_image * classes + gt_label, return_counts=True)
    return MatchTable(
        image=image[order].astype(np.int32),
        label=label[order].astype(np.int32),
        score=score[order].astype(np.float32),
        tp=np.repeat(tp, len(AREAS), axis=0),
        ignored=np.zeros((len(AREAS), len(order), len(IOUS)), dtype=bool),
        gt_image=(pairs // classes).astype(np.int32),
        gt_label=(pairs % classes).astype(np.int32),
        gt_count=np.repeat(counts[:, None], len(AREAS), axis=1).astype(np.int32),
        images=images,
        num_classes=classes,
    )


def drawn(matches, weight):
    """COCO 101-point AP of a draw of images, image i taken ``weight[i]`` times."""
    values, grid = [], np.linspace(0, 1, 101)
    for label in range(matches.num_classes):
        truth = matches.gt_label == label
        positives = (matches.gt_count[truth, 0] * weight[matches.gt_image[truth]]).sum()
        if not positives:
            continue
        rows = matches.rows(label)
        times = weight[matches.image[rows]][:, None]
        tp = np.cumsum(matches.tp[0, rows] * times, axis=0)
        counted = np.cumsum((matches.tp[0, rows] | ~matches.ignored[0, rows]) * times, axis=0)
        precision = np.maximum.accumulate((tp / np.maximum(counted, 1))[::-1], axis=0)[::-1]
        for t in range(len(IOUS)):
            at = np.searchsorted(tp[:, t] / positives, grid)
            inside = at < len(tp)
            values.append(precision[at[inside], t].sum() / 101)
    return np.mean(values)


WORLDS = {
    "messy": dict(images=300, classes=3, boxes=900, skill=0.6, alarms=6),
    "near perfect": dict(images=300, classes=2, boxes=900, skill=0.96, alarms=0.3),
    "P divides 100": dict(images=200, classes=1, boxes=400, skill=0.7, alarms=3),
    "many classes": dict(images=400, classes=30, boxes=2400, skill=0.7, alarms=8),
}


def check_bootstrap(name, *, replicates, tolerance):
    matches = detector(7, **WORLDS[name])
    n = matches.images
    draws = stream(11, "influence bootstrap").multinomial(n, np.full(n, 1 / n), size=replicates)
    bootstrap = np.std([drawn(matches, w) for w in draws], ddof=1)
    psi = influence(matches)
    closed = math.sqrt(np.var(psi) / n)  # the bootstrap draws from these very images: no n - 1
    assert closed == pytest.approx(bootstrap, rel=tolerance), (name, closed, bootstrap)


@pytest.mark.parametrize("name", ["messy", "near perfect", "P divides 100"])
def test_standard_error_of_a_short_bootstrap(name):
    # 200 replicates: the bootstrap's own error is 5 %.
    check_bootstrap(name, replicates=200, tolerance=0.15)


@pytest.mark.slow
@pytest.mark.parametrize("name", WORLDS)
def test_standard_error_of_a_bootstrap(name):
    check_bootstrap(name, replicates=1000, tolerance=0.10)
