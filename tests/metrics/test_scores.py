"""P, R and F1 at best F1 against a plain loop."""

from __future__ import annotations

import math

import numpy as np
import pytest
from random_sets import random_set, record, table_of

from yolograft.metrics.matches import build_match_table
from yolograft.metrics.scores import best_f1


def plain(matches):
    """The definition, one confidence and one class at a time."""
    best = (0.0, 0.0, 0.0, 0.0)
    positives = matches.positives()
    for cut in sorted(set(matches.score.tolist()), reverse=True):
        rows = []
        for label in np.flatnonzero(positives):
            tp = fp = 0
            for i in range(len(matches)):
                if matches.label[i] == label and matches.score[i] >= cut and not matches.ignored[0, i, 0]:
                    tp, fp = tp + matches.tp[0, i, 0], fp + (not matches.tp[0, i, 0])
            p, r = tp / (tp + fp) if tp + fp else 0.0, tp / positives[label]
            rows.append((p, r, 2 * p * r / (p + r) if p + r else 0.0))
        p, r, f1 = np.mean(rows, axis=0)
        if f1 > best[2] + 1e-12:
            best = (p, r, f1, cut)
    return best


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5, 6, 8, 9])
def test_best_f1_equals_a_plain_loop(seed):
    records, table, classes = random_set(seed)
    matches = build_match_table(records, table, classes)
    if not matches.positives().sum():
        pytest.skip("this random set has no ground truth")
    got = best_f1(matches)
    assert (got.precision, got.recall, got.f1, got.confidence) == pytest.approx(plain(matches), abs=1e-12)


def test_a_case_by_hand():
    """Two boxes, found at .9 and .3, a false alarm at .5: cutting at .3 gives P 2/3, R 1, F1 .8."""
    one = record(0, [[0, 0, 50, 50], [100, 100, 150, 150]], [0, 0], [False, False], [2500.0, 2500.0])
    found = table_of(
        [(0, 0, 0.9, 0, 0, 50, 50), (0, 0, 0.5, 300, 300, 350, 350), (0, 0, 0.3, 100, 100, 150, 150)], 1
    )
    got = best_f1(build_match_table([one], found, 1))
    assert (got.precision, got.recall, got.f1) == pytest.approx((2 / 3, 1.0, 0.8))
    assert got.confidence == pytest.approx(0.3, rel=1e-3)


def test_nothing_found_and_nothing_to_find():
    one = record(0, [[0, 0, 50, 50]], [0], [False], [2500.0])
    got = best_f1(build_match_table([one], table_of([], 1), 2))
    assert (got.precision, got.recall, got.f1, got.confidence) == (0, 0, 0, 0)
    wrong = table_of([(0, 0, 0.9, 200, 200, 250, 250)], 1)
    assert best_f1(build_match_table([one], wrong, 2)).f1 == 0
    empty = record(0, [], [], [], [])
    assert math.isnan(best_f1(build_match_table([empty], wrong, 2)).f1)
