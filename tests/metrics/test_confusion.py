"""The confusion matrix against a plain loop, and what its margins must add up to."""

from __future__ import annotations

import numpy as np
import pytest
from random_sets import random_set, record, table_of

from yolograft.errors import DataError
from yolograft.metrics.confusion import confusion_matrix


def overlap(one, other, *, crowd=False):
    """IoU of two xyxy boxes in float64; against a crowd box the share of `one` inside it."""
    w = min(one[2], other[2]) - max(one[0], other[0])
    h = min(one[3], other[3]) - max(one[1], other[1])
    inter = w * h if w > 0 and h > 0 else 0.0
    area = (one[2] - one[0]) * (one[3] - one[1])
    union = area if crowd else area + (other[2] - other[0]) * (other[3] - other[1]) - inter
    return inter / union if union else 0.0


def plain(records, table, classes, confidence):
    """The definition, one detection and one box at a time."""
    out = np.zeros((classes + 1, classes + 1), dtype=int)
    for i, one in enumerate(records):
        rows = [d for d in range(len(table)) if table.image[d] == i and float(table.score[d]) >= confidence]
        taken = set()
        for d in sorted(rows, key=lambda d: -float(table.score[d])):
            box, best, at = table.boxes[d].astype(float), 0.5, None
            for j in range(len(one.labels)):
                if not one.crowd[j] and j not in taken and overlap(box, one.boxes[j]) >= best:
                    best, at = overlap(box, one.boxes[j]), j
            if at is not None:
                taken.add(at)
                out[one.labels[at], table.label[d]] += 1
            elif not any(
                c and overlap(box, b, crowd=True) >= 0.5 for c, b in zip(one.crowd, one.boxes, strict=True)
            ):
                out[classes, table.label[d]] += 1
        for j in range(len(one.labels)):
            if not one.crowd[j] and j not in taken:
                out[one.labels[j], classes] += 1
    return out


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 6, 8, 9, 12])
@pytest.mark.parametrize("confidence", [0.0, 0.4])
def test_it_equals_a_plain_loop(seed, confidence):
    records, table, classes = random_set(seed)
    got = confusion_matrix(records, table, classes, confidence=confidence)
    assert got.tolist() == plain(records, table, classes, confidence).tolist()


@pytest.mark.parametrize("seed", range(1, 9))
def test_rows_sum_to_the_ground_truth_without_crowd(seed):
    records, table, classes = random_set(seed)
    got = confusion_matrix(records, table, classes, confidence=0.3)
    truth = np.concatenate([r.labels[~r.crowd] for r in records])
    assert got[:-1].sum(axis=1).tolist() == np.bincount(truth, minlength=classes).tolist()
    assert got[-1, -1] == 0
    assert got[:, :-1].sum() <= (table.score.astype(float) >= 0.3).sum()


def test_by_hand():
    """A cat called dog, a dog missed, a false cat, one detection in a crowd, one below the threshold."""
    one = record(
        0,
        [[0, 0, 10, 10], [20, 20, 30, 30], [50, 50, 90, 90]],
        [0, 1, 1],
        [False, False, True],
        [100.0, 100.0, 1600.0],
    )
    empty = record(1, [], [], [], [])
    found = table_of(
        [
            (0, 1, 0.9, 0, 0, 10, 10),
            (0, 0, 0.8, 0, 0, 10, 9),
            (0, 0, 0.7, 55, 55, 60, 60),
            (0, 1, 0.1, 20, 20, 30, 30),
            (1, 1, 0.6, 0, 0, 5, 5),
        ],
        2,
    )
    got = confusion_matrix([one, empty], found, 2, confidence=0.5)
    assert got.tolist() == [[0, 1, 0], [0, 0, 1], [1, 1, 0]]


def test_nothing_found_nothing_there_and_the_wrong_split():
    empty = record(0, [], [], [], [])
    assert not confusion_matrix([empty], table_of([], 1), 3, confidence=0.0).any()
    assert confusion_matrix([], table_of([], 0), 1, confidence=0.5).shape == (2, 2)
    with pytest.raises(DataError, match="YG363"):
        confusion_matrix([empty], table_of([], 2), 3, confidence=0.0)
