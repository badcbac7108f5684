"""Our matcher, pycocotools and faster-coco-eval agree to 1e-9 on random sets."""

from __future__ import annotations

import contextlib
import io
import math
import time

import numpy as np
import pytest
from random_sets import random_set, record, table_of

from yolograft.errors import DataError
from yolograft.metrics import matches as matching
from yolograft.metrics.coco import evaluate_coco, xywh
from yolograft.metrics.detections import DetectionTable
from yolograft.metrics.matches import (
    MatchTable,
    average_precision,
    build_match_table,
    class_average_precision,
)


def pycocotools_precision(records, table, classes):
    coco_module = pytest.importorskip("pycocotools.coco")
    from pycocotools.cocoeval import COCOeval

    annotations = []
    for i, image in enumerate(records):
        for box, label, crowd, area in zip(
            xywh(image.boxes).tolist(), image.labels, image.crowd, image.area, strict=True
        ):
            annotations.append(
                dict(
                    id=len(annotations) + 1,
                    image_id=i + 1,
                    category_id=int(label) + 1,
                    bbox=box,
                    area=float(area),
                    iscrowd=int(crowd),
                )
            )
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco_module.COCO()
        truth.dataset = dict(
            info={},
            images=[dict(id=i + 1) for i in range(len(records))],
            categories=[dict(id=k + 1, name=str(k)) for k in range(classes)],
            annotations=annotations,
        )
        truth.createIndex()
        found = [
            dict(image_id=int(i) + 1, category_id=int(k) + 1, bbox=box, score=float(s))
            for i, k, s, box in zip(
                table.image, table.label, table.score, xywh(table.boxes).tolist(), strict=True
            )
        ]
        result = truth.loadRes(found) if found else coco_module.COCO()
        if not found:
            result.dataset = dict(truth.dataset, annotations=[])
            result.createIndex()
        evaluator = COCOeval(truth, result, "bbox")
        evaluator.evaluate()
        evaluator.accumulate()
    return evaluator.eval["precision"][..., -1]


def mean_or_nan(values):
    return float(values[values > -1].mean()) if (values > -1).any() else math.nan


def same(a, b):
    return (math.isnan(a) and math.isnan(b)) or abs(a - b) < 1e-9


def check_seed(seed):
    records, table, classes = random_set(seed)
    names = [f"c{k}" for k in range(classes)]
    matches = build_match_table(records, table, classes)
    scores = evaluate_coco(records, table, names)
    reference = pycocotools_precision(records, table, classes)
    for a, area in enumerate(matching.AREAS):
        ours = class_average_precision(matches, area=area)
        for k in range(classes):
            for t in range(10):
                assert same(ours[t, k], mean_or_nan(reference[t, :, k, a])), (seed, area, k, t)
        assert same(average_precision(matches, area=area), mean_or_nan(reference[..., a]))
    for value, area, iou in (
        (scores.ap, "all", None),
        (scores.ap50, "all", 0.5),
        (scores.ap75, "all", 0.75),
        (scores.ap_small, "small", None),
        (scores.ap_medium, "medium", None),
        (scores.ap_large, "large", None),
    ):
        assert same(average_precision(matches, area=area, iou=iou), value), (seed, area, iou)
    table_per_class = class_average_precision(matches)
    for k, row in enumerate(scores.per_class):
        assert row.name == names[k]
        assert row.count == matches.positives()[k]
        assert same(row.ap50, table_per_class[0, k])


@pytest.mark.parametrize("start", range(0, 200, 20))
def test_ap_equals_both_references(start):
    for seed in range(start, start + 20):
        check_seed(seed)


def test_planted_faults_are_seen(monkeypatch):
    """Each wrong rule changes AP on the very sets above, so the parity test would fail."""
    plain_iou, best_hundred = matching.pair_iou, matching._best_hundred
    faults = {
        "crowd as plain IoU": ("pair_iou", lambda d, g, c: plain_iou(d, g, np.zeros_like(c))),
        "no limit of 100": ("MAX_DETECTIONS", 10**6),
        "area bounds exclusive": (
            "_outside",
            lambda area: np.stack([(area <= low) | (area >= high) for low, high in matching.AREA_BOUNDS]),
        ),
        "ties reversed": (
            "_best_hundred",
            lambda table, classes: (
                best_hundred(
                    DetectionTable(
                        table.image[::-1],
                        table.label[::-1],
                        table.score[::-1],
                        table.boxes[::-1],
                        table.images,
                    ),
                    classes,
                )
                * -1
                + len(table)
                - 1
            ),
        ),
    }
    for fault, (name, replacement) in faults.items():
        with monkeypatch.context() as patch:
            patch.setattr(matching, name, replacement)
            with pytest.raises(AssertionError):
                for seed in range(0, 120, 3 if "area" in fault else 5):
                    check_seed(seed)


def test_nothing_anywhere():
    empty = record(0, [], [], [], [])
    one = record(1, [[10, 10, 60, 60]], [0], [False], [2500.0])
    none = table_of([], 2)
    scores = evaluate_coco([empty, one], none, ["a", "b"])
    assert scores.ap == 0.0 and math.isnan(scores.ap_small) and math.isnan(scores.per_class[1].ap)
    assert average_precision(build_match_table([empty, one], none, 2)) == 0.0
    lonely = table_of([(0, 1, 0.9, 1, 1, 5, 5)], 1)
    assert math.isnan(evaluate_coco([empty], lonely, ["a", "b"]).ap)
    assert math.isnan(average_precision(build_match_table([empty], lonely, 2)))
    assert math.isnan(evaluate_coco([], table_of([], 0), ["a"]).ap)
    assert math.isnan(average_precision(build_match_table([], table_of([], 0), 1)))


def test_perfect_detections_score_one():
    one = record(0, [[10, 10, 60, 60], [5, 5, 15, 15]], [0, 1], [False, False], [2500.0, 100.0])
    found = table_of([(0, 0, 0.9, 10, 10, 60, 60), (0, 1, 0.8, 5, 5, 15, 15)], 1)
    scores = evaluate_coco([one], found, ["a", "b"])
    assert scores.ap == pytest.approx(1.0, abs=1e-12)
    assert average_precision(build_match_table([one], found, 2)) == pytest.approx(1.0, abs=1e-12)


def test_evaluation_prints_nothing(capfd):
    records, table, classes = random_set(7)
    evaluate_coco(records, table, [str(k) for k in range(classes)])
    out = capfd.readouterr()
    assert out.out == "" and out.err == ""


def test_a_table_of_another_split_is_refused():
    one = record(0, [], [], [], [])
    with pytest.raises(DataError, match="YG363"):
        build_match_table([one], table_of([], 2), 1)
    with pytest.raises(DataError, match="YG363"):
        evaluate_coco([one], table_of([(0, 3, 0.5, 0, 0, 4, 4)], 1), ["a"])
    matches = build_match_table([one], table_of([], 1), 1)
    with pytest.raises(DataError, match="YG364"):
        average_precision(matches, area="tiny")
    with pytest.raises(DataError, match="YG364"):
        average_precision(matches, iou=0.52)


def same_tables(a: MatchTable, b: MatchTable):
    for name in ("image", "label", "score", "tp", "ignored", "gt_image", "gt_label", "gt_count"):
        left, right = getattr(a, name), getattr(b, name)
        assert left.dtype == right.dtype and np.array_equal(left, right), name
    assert (a.images, a.num_classes, a.fingerprint) == (b.images, b.num_classes, b.fingerprint)


@pytest.mark.parametrize("seed", [0, 1, 12, 40])
def test_match_table_survives_the_disk(seed, tmp_path):
    records, table, classes = random_set(seed)
    matches = build_match_table(records, table, classes)
    matches.save(tmp_path / "m.npz")
    same_tables(matches, MatchTable.load(tmp_path / "m.npz"))
    assert [p.name for p in tmp_path.iterdir()] == ["m.npz"]


def test_block_size_changes_nothing(monkeypatch):
    records, table, classes = random_set(10)
    whole = build_match_table(records, table, classes)
    monkeypatch.setattr(matching, "_BLOCK_PAIRS", 7)
    same_tables(whole, build_match_table(records, table, classes))


def test_order_of_exact_scores_is_kept_by_rounded_ones():
    one = record(0, [[10, 10, 60, 60]], [0], [False], [2500.0])
    close = np.nextafter(np.float32(0.7), np.float32(1))
    found = table_of([(0, 0, 0.7, 0, 0, 5, 5), (0, 0, close, 10, 10, 60, 60)], 1)
    matches = build_match_table([one], found, 1)
    assert matches.score[0] == matches.score[1] and matches.tp[0, :, 0].tolist() == [True, False]
    assert abs(matches.score[0] / 0.7 - 1) < 1 / 1024
    assert average_precision(matches) == pytest.approx(1.0, abs=1e-12)


def test_a_whole_split_is_small_and_fast(tmp_path):
    records, table, classes = random_set(1, images=87, classes=3, per_image=300)
    start = time.process_time()
    matches = build_match_table(records, table, classes)
    for area in matching.AREAS:
        average_precision(matches, area=area)
    spent = time.process_time() - start
    matches.save(tmp_path / "m.npz")
    assert len(matches) > 15_000
    assert spent < 1.0
    assert (tmp_path / "m.npz").stat().st_size < 60_000
