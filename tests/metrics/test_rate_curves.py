"""P, R and F1 over confidence, and precision over recall, against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from random_sets import random_set, record, table_of

from yolograft.metrics.coco import evaluate_coco
from yolograft.metrics.matches import average_precision, build_match_table
from yolograft.metrics.scores import CONFIDENCES, best_f1, precision_over_recall, rates_at

SEEDS = [1, 2, 3, 4, 5, 6, 8, 9, 10]


def table(seed):
    records, found, classes = random_set(seed)
    return build_match_table(records, found, classes), records, found, classes


@pytest.mark.parametrize("seed", SEEDS)
def test_the_mean_height_of_precision_over_recall_is_ap50(seed):
    matches, records, found, classes = table(seed)
    curve = precision_over_recall(matches)
    assert curve.shape == (101,)
    assert curve.mean() == pytest.approx(average_precision(matches, iou=0.5), abs=1e-12, nan_ok=True)
    coco = evaluate_coco(records, found, [str(k) for k in range(classes)])
    assert curve.mean() == pytest.approx(coco.ap50, abs=1e-9, nan_ok=True)
    assert (np.diff(curve) <= 1e-12).all() or np.isnan(curve).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_rates_at_a_confidence_count_what_is_at_or_above_it(seed):
    matches = table(seed)[0]
    labels = np.flatnonzero(matches.positives())
    if not len(labels):
        assert np.isnan(rates_at(matches, CONFIDENCES).f1).all()
        return
    got = rates_at(matches, CONFIDENCES)
    for i in range(0, 101, 10):
        cut, expected = CONFIDENCES[i], []
        for label in labels:
            rows = (matches.label == label) & (matches.score.astype(float) >= cut)
            tp = int((matches.tp[0, :, 0] & rows).sum())
            fp = int((~matches.tp[0, :, 0] & ~matches.ignored[0, :, 0] & rows).sum())
            p = tp / (tp + fp) if tp + fp else 0.0
            r = tp / int(matches.positives()[label])
            expected.append((p, r, 2 * p * r / (p + r) if p + r else 0.0))
        assert (got.precision[i], got.recall[i], got.f1[i]) == pytest.approx(
            np.mean(expected, axis=0), abs=1e-12
        )
    assert (np.diff(got.recall) <= 1e-12).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_best_f1_is_the_rates_at_its_own_confidence_and_no_point_beats_it(seed):
    matches = table(seed)[0]
    best = best_f1(matches)
    if not best.f1 > 0:
        return
    there = rates_at(matches, np.array([best.confidence]))
    assert (there.precision[0], there.recall[0], there.f1[0]) == (best.precision, best.recall, best.f1)
    assert rates_at(matches, CONFIDENCES).f1.max() <= best.f1 + 1e-12


def test_a_split_without_boxes_and_a_detector_that_finds_nothing():
    empty, one = record(0, [], [], [], []), record(0, [[0, 0, 9, 9]], [0], [False], [81.0])
    assert np.isnan(precision_over_recall(build_match_table([empty], table_of([], 1), 2))).all()
    silent = build_match_table([one], table_of([], 1), 2)
    assert not precision_over_recall(silent).any() and not rates_at(silent, CONFIDENCES).f1.any()
