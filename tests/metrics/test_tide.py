"""The error bins against a literal reading of the paper, and what must hold of any such bins."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from random_sets import random_set, record, table_of

from yolograft.metrics import tide
from yolograft.metrics.matches import average_precision, build_match_table
from yolograft.metrics.tide import BINS, MAIN_BINS, error_bins


def overlap(a, b):
    """IoU of two xyxy boxes, as COCO computes it: from x, y, width and height."""
    (ax, ay, aw, ah), (bx, by, bw, bh) = ((v[0], v[1], v[2] - v[0], v[3] - v[1]) for v in (a, b))
    w = min(ax + aw, bx + bw) - max(ax, bx)
    h = min(ay + ah, by + bh) - max(ay, by)
    if w <= 0 or h <= 0:
        return 0.0
    return w * h / (aw * ah + bw * bh - w * h)


def share_inside(box, crowd):
    inter = max(min(box[2], crowd[2]) - max(box[0], crowd[0]), 0) * max(
        min(box[3], crowd[3]) - max(box[1], crowd[1]), 0
    )
    area = (box[2] - box[0]) * (box[3] - box[1])
    return inter / area if area else 0.0


def literal_image(index, record_, found):
    """Rows (label, score, fate, box taken or meant) of one image; fate is hit, ignored or an error name."""
    regular = [
        (k, tuple(b)) for k, b, c in zip(record_.labels, record_.boxes, record_.crowd, strict=True) if not c
    ]
    crowds = [
        (k, tuple(b)) for k, b, c in zip(record_.labels, record_.boxes, record_.crowd, strict=True) if c
    ]
    taken, rows = set(), []
    for label in sorted({k for k, _, _ in found}):
        mine = sorted((f for f in found if f[0] == label), key=lambda f: -f[1])[:100]
        for _, score, box in mine:
            best, best_iou = None, 0.5
            for g, (gt_label, gt_box) in enumerate(regular):
                if gt_label == label and g not in taken and overlap(box, gt_box) >= best_iou:
                    best, best_iou = g, overlap(box, gt_box)
            if best is not None:
                taken.add(best)
                rows.append([label, score, "hit", best, box])
            elif any(k == label and share_inside(box, c) >= 0.5 for k, c in crowds):
                rows.append([label, score, "ignored", None, box])
            else:
                rows.append([label, score, None, None, box])
    for row in rows:
        if row[2] is None:
            row[2:4] = literal_error(row[0], row[4], regular)
    return rows, regular, taken


def literal_error(label, box, regular):
    own = [(overlap(box, b), g) for g, (k, b) in enumerate(regular) if k == label]
    other = [(overlap(box, b), g) for g, (k, b) in enumerate(regular) if k != label]

    def most(pairs):
        top = max((v for v, _ in pairs), default=-1.0)
        return top, next((g for v, g in pairs if v == top), None)

    near, far = most(own), most(other)
    if 0.1 <= near[0] < 0.5:
        return "Loc", near[1]
    if far[0] >= 0.5:
        return "Cls", far[1]
    if near[0] >= 0.5:
        return "Dupe", None
    if max(near[0], far[0]) < 0.1:
        return "Bkg", None
    return "Both", None


def literal_ap(rows, positives):
    """COCO 101-point AP at one IoU of rows (label, score, hit) in score order, mean over classes."""
    values = []
    for label, count in positives.items():
        curve, true = [], 0
        mine = sorted((r for r in rows if r[0] == label), key=lambda r: -r[1])
        for n, (_, _, hit) in enumerate(mine, start=1):
            true += hit
            curve.append((true / count if count else 0, true / n))
        points = [max((p for r, p in curve if r >= q), default=0.0) for q in np.linspace(0, 1, 101)]
        values.append(sum(points) / 101 if count else 0.0)
    return sum(values) / len(values) if values else math.nan


def literal_bins(records, table, classes):
    """Counts and gains of every bin."""
    images = []
    for i, image in enumerate(records):
        here = np.flatnonzero(table.image == i)
        found = [(int(table.label[d]), float(table.score[d]), table.boxes[d].astype(float)) for d in here]
        images.append(literal_image(i, image, found))
    truth = [(i, g, k) for i, (_, regular, _) in enumerate(images) for g, (k, _) in enumerate(regular)]
    lost = [(i, g, k) for i, g, k in truth if g not in images[i][2]]
    about = {(i, r[3]) for i, (rows, _, _) in enumerate(images) for r in rows if r[2] in ("Loc", "Cls")}
    missed = [(i, g, k) for i, g, k in lost if (i, g) not in about]

    def ap(change=None, without=()):
        flat, used = [], set()
        counts = {k: 0 for k in range(classes)}
        for _, _, k in truth:
            counts[int(k)] += 1
        judged = {k: n for k, n in counts.items() if n}
        for _, _, k in without:
            judged[int(k)] -= 1
        for i, (rows, regular, taken) in enumerate(images):
            for r in sorted(rows, key=lambda r: -r[1]):
                label, score, fate, target, _ = r
                if fate == "ignored":
                    continue
                if fate == "hit" or (change != "FP" and fate != change):
                    flat.append((label, score, fate == "hit"))
                elif (
                    fate in ("Loc", "Cls")
                    and change != "FP"
                    and target not in taken
                    and (i, target) not in used
                ):
                    used.add((i, target))
                    flat.append((int(regular[target][0]), score, True))
        return literal_ap(flat, judged)

    fates = [r[2] for rows, _, _ in images for r in rows]
    before = ap()
    result = {}
    for name in BINS:
        if name in ("Miss", "FN"):
            chosen = missed if name == "Miss" else lost
            result[name] = (len(chosen), ap(without=chosen) - before)
        else:
            count = sum(f not in ("hit", "ignored") for f in fates) if name == "FP" else fates.count(name)
            result[name] = (count, ap(change=name) - before)
    return before, result


def untied(table, seed):
    """Distinct scores: the order of equal ones within a repaired class is nobody's definition."""
    score = np.random.default_rng(seed).permutation(len(table)).astype(np.float32) + 1
    return replace(table, score=score / (len(table) + 1))


def check(seed):
    records, table, classes = random_set(seed)
    table = untied(table, seed)
    before, expected = literal_bins(records, table, classes)
    bins = error_bins(records, table, classes)
    seen = set()
    matches = build_match_table(records, table, classes)
    assert before == pytest.approx(average_precision(matches, iou=0.5), abs=1e-9, nan_ok=True)
    for found in bins:
        count, gain = expected[found.name]
        assert found.count == count, (seed, found.name)
        assert found.gain == pytest.approx(gain, abs=1e-9, nan_ok=True), (seed, found.name)
        seen |= {found.name} if count else set()
    return seen


def test_bins_equal_a_literal_reading():
    seen = set()
    for seed in [s for s in range(60) if s % 10]:
        seen |= check(seed)
    assert seen == set(BINS)


def test_planted_faults_are_seen(monkeypatch):
    best, kinds = tide._best, tide._kinds

    def taken_too(rows, errors):
        return best(rows, replace(errors, taken=np.zeros_like(errors.taken)))

    def blind_to_others(overlap_, same):
        return kinds(np.where(same, overlap_, 0.0), same)

    for name, fault in {"_best": taken_too, "_kinds": blind_to_others}.items():
        with monkeypatch.context() as patch:
            patch.setattr(tide, name, fault)
            with pytest.raises(AssertionError):
                for seed in [s for s in range(60) if s % 10]:
                    check(seed)


def test_what_holds_of_any_bins():
    for seed in range(1, 12):
        records, table, classes = random_set(seed)  # ties and more than 100 detections of a class as well
        matches = build_match_table(records, table, classes)
        bins = {b.name: b for b in error_bins(records, table, classes, matches=matches)}
        assert tuple(bins) == BINS
        alarms = ~matches.tp[0, :, 0] & ~matches.ignored[0, :, 0]
        assert bins["FP"].count == alarms.sum()
        assert sum(bins[n].count for n in MAIN_BINS if n != "Miss") == bins["FP"].count
        assert bins["Miss"].count <= bins["FN"].count
        assert bins["FN"].count == matches.positives().sum() - matches.tp[0, :, 0].sum()
        if math.isnan(bins["FP"].gain):
            continue
        for found in bins.values():
            assert found.gain > -1e-12, found.name
            assert found.influence.shape == (len(records),)
            assert abs(found.influence.sum()) < 1e-9


def boxes_at(*xs, side=100.0):
    return [[x, 0.0, x + side, side] for x in xs]


def test_one_error_of_each_kind():
    truth = record(0, boxes_at(0, 200, 400, 600), [0, 0, 1, 0], [False] * 4, [1e4] * 4)
    rows = [
        (0, 0, 0.9, 0, 0, 100, 100),  # hit
        (0, 0, 0.8, 5, 0, 105, 100),  # the same box again
        (0, 0, 0.7, 250, 0, 350, 100),  # IoU 1/3 with the second
        (0, 0, 0.6, 400, 0, 500, 100),  # the third under another name
        (0, 0, 0.5, 450, 0, 550, 100),  # near the third, under another name
        (0, 1, 0.4, 900, 0, 990, 90),  # nothing there
    ]
    bins = {b.name: b for b in error_bins([truth, record(1, [], [], [], [])], table_of(rows, 2), 2)}
    assert {n: b.count for n, b in bins.items()} == {
        "Cls": 1, "Loc": 1, "Both": 1, "Dupe": 1, "Bkg": 1, "Miss": 1, "FP": 5, "FN": 3,
    }  # fmt: skip
    # Before: class 0 finds 1 of 3 at precision 1 (recall 1/3: 34 of 101 points), class 1 nothing.
    assert bins["Cls"].gain == pytest.approx(0.5)  # class 1 becomes perfect
    assert bins["Miss"].gain == pytest.approx((51 - 34) / 101 / 2)  # 1 of 2
    assert bins["Bkg"].gain == 0


def test_a_class_that_is_not_found_at_all():
    """Its ground truth is no longer counted, and it still counts 0 in the mean: no gain from nothing."""
    truth = record(0, boxes_at(0, 200), [0, 1], [False] * 2, [1e4] * 2)
    bins = {b.name: b for b in error_bins([truth], table_of([(0, 0, 0.9, 0, 0, 100, 100)], 1), 2)}
    assert bins["Miss"].count == 1 and bins["Miss"].gain == 0
    blind = {b.name: b for b in error_bins([truth], table_of([], 1), 2)}
    assert blind["FN"].count == 2 and blind["FN"].gain == 0 and not blind["FN"].influence.any()


def test_nothing_anywhere():
    for records in ([], [record(0, [], [], [], [])]):
        bins = error_bins(records, table_of([], len(records)), 3)
        assert all(b.count == 0 and math.isnan(b.gain) for b in bins)
    truth = record(0, boxes_at(0, 200), [0, 1], [False] * 2, [1e4] * 2)
    other = build_match_table([truth], table_of([(0, 0, 0.9, 0, 0, 1, 1)], 1), 2)
    with pytest.raises(ValueError, match="not made from"):
        error_bins([truth], table_of([], 1), 2, matches=other)
