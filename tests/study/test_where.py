"""Differences by part: the numbers of a part are those of AP on it, intervals hold, images add up."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from yolograft.data.records import ImageRecord
from yolograft.errors import DataError
from yolograft.metrics.detections import DetectionTable
from yolograft.metrics.influence import area_ap, image_shares
from yolograft.metrics.matches import average_precision, build_match_table, class_average_precision
from yolograft.metrics.tide import BINS, error_bins
from yolograft.rng import stream
from yolograft.study.statistics.critical import critical_value
from yolograft.study.statistics.variance import two_way
from yolograft.study.where.crowding import boxes_per_image, closest_overlap, only, strata
from yolograft.study.where.image_gains import best_and_worst, image_gains, shares_of
from yolograft.study.where.kept_parts import PARTS, keep_parts, read_parts
from yolograft.study.where.parts import CROWDING, OVERLAP, parts_of
from yolograft.study.where.tables import where

CLASSES = ("cup", "plate", "nobody")


def split(images=60, seed=0):
    """Images of 0 to 7 boxes of two of the three classes."""
    r = stream(seed, "where truth")
    records = []
    for i in range(images):
        count = int(r.integers(0, 8))
        side = np.exp(r.uniform(math.log(12), math.log(220), (count, 2)))
        low = r.uniform(0, 300, (count, 2))
        boxes = np.concatenate([low, low + side], axis=1)
        area = (side[:, 0] * side[:, 1]).reshape(-1)
        labels, crowd = r.integers(0, 2, count), np.zeros(count, dtype=bool)
        records.append(
            ImageRecord(f"{i}.jpg", Path(f"{i}.jpg"), 640, 640, boxes, labels, crowd, area, count, ())
        )
    return tuple(records)


def detections(records, seed, *, skill=0.6, better=-1):
    """A run of one detector: it finds a share of the boxes, more of class ``better``, and false alarms."""
    r = stream(seed, "where run")
    image, label, score, boxes = [], [], [], []
    for i, record in enumerate(records):
        for box, k in zip(record.boxes, record.labels, strict=True):
            if r.random() < skill + (0.3 if k == better else 0.0):
                image.append(i)
                label.append(int(k) if r.random() < 0.92 else 1 - int(k))
                score.append(r.beta(4, 2))
                boxes.append(box + r.normal(0, 0.06, 4) * np.tile(box[2:] - box[:2], 2))
        for _ in range(int(r.integers(0, 3))):
            corner = r.uniform(0, 500, 2)
            image.append(i)
            label.append(int(r.integers(0, 2)))
            score.append(r.beta(2, 4))
            boxes.append(np.concatenate([corner, corner + r.uniform(10, 90, 2)]))
    return DetectionTable(
        np.array(image, dtype=np.int32),
        np.array(label, dtype=np.int32),
        np.array(score, dtype=np.float32),
        np.array(boxes, dtype=np.float32).reshape(-1, 4),
        len(records),
    )


def parts(records, table):
    matches = build_match_table(records, table, len(CLASSES))
    crowding = {CROWDING: strata(boxes_per_image(matches)), OVERLAP: strata(closest_overlap(records))}
    bins = error_bins(records, table, len(CLASSES), matches=matches)
    return matches, parts_of(matches, names=CLASSES, crowding=crowding, bins=bins)


@pytest.fixture(scope="module")
def study():
    """(records, label -> match tables, label -> parts): ``graft`` finds more cups, ``same`` is a baseline."""
    records = split()
    skills = {"baseline": (100, -1), "graft": (200, 0), "same": (300, -1)}
    found = {
        label: [parts(records, detections(records, first + k, better=better)) for k in range(3)]
        for label, (first, better) in skills.items()
    }
    tables = {label: [matches for matches, _ in runs] for label, runs in found.items()}
    return records, tables, {label: [own for _, own in runs] for label, runs in found.items()}


def test_parts_are_ap_on_a_part(study):
    records, tables, parts = study
    matches, own = tables["graft"][0], {(p.kind, p.name): p for p in parts["graft"][0]}
    per_class = 100 * class_average_precision(matches).mean(axis=0)
    assert own["class", "cup"].value == pytest.approx(per_class[0], abs=1e-9)
    assert ("class", "nobody") not in own  # no ground truth, no row
    assert own["size", "small"].value == pytest.approx(100 * average_precision(matches, area="small"))
    crowded = [p for p in parts["graft"][0] if p.kind == CROWDING]
    assert len(crowded) == 3 and sum(p.boxes for p in crowded) == sum(len(r.labels) for r in records)
    for part in own.values():
        assert part.influence.shape == (len(records),)
        assert abs(part.influence.sum()) < 1e-6, (part.kind, part.name)
    assert [p.name for p in parts["graft"][0] if p.kind == "error"] == list(BINS)


def test_a_group_of_images_is_those_images_alone(study):
    records, tables, _ = study
    table = detections(records, 200, better=0)
    groups = strata(boxes_per_image(tables["graft"][0]))
    assert sum(g.images.sum() for g in groups) == len(records)
    assert all(a.high < b.low for a, b in itertools.pairwise(groups))
    for group in groups:
        chosen = np.flatnonzero(group.images)
        rows = np.isin(table.image, chosen)
        alone = DetectionTable(
            np.searchsorted(chosen, table.image[rows]).astype(np.int32),
            table.label[rows], table.score[rows], table.boxes[rows], len(chosen),
        )  # fmt: skip
        matches = build_match_table([records[i] for i in chosen], alone, len(CLASSES))
        part = only(tables["graft"][0], group.images)
        assert average_precision(part) == pytest.approx(average_precision(matches), abs=1e-12)
        assert not image_shares(part)[~group.images].any()


def test_strata_keep_equal_values_together():
    assert strata(np.zeros(0)) == ()
    (all_alike,) = strata(np.full(7, 3.0))
    assert all_alike.images.all() and (all_alike.low, all_alike.high) == (3, 3)
    many_zero = strata(np.array([0, 0, 0, 0, 0, 0.2, 0.3]))
    assert [g.images.sum() for g in many_zero] == [5, 2]


def test_closest_overlap_of_odd_images():
    empty, one = split(images=1)[0], split(images=1)[0]
    empty = replace(empty, boxes=np.zeros((0, 4)), labels=np.zeros(0, int), crowd=np.zeros(0, bool))
    two = np.array([[0, 0, 10, 10], [0, 5, 10, 15], [0, 0, 10, 10.0]])
    crowded = replace(one, boxes=two, labels=np.zeros(3, int), crowd=np.array([False, False, True]))
    np.testing.assert_allclose(closest_overlap([empty, crowded]), [0, 1 / 3])


def test_rows_are_two_way_intervals(study):
    _, _, parts = study
    tables = where("baseline", parts)
    assert json.loads(json.dumps(tables, allow_nan=False)) == tables
    kinds = [(t["arm"], t["kind"]) for t in tables]
    assert kinds == [
        (a, k) for k in ("class", "size", "crowding", "overlap", "error") for a in ("graft", "same")
    ]
    for table in tables:
        assert table["head"].startswith("exploratory") and table["rule"] == "Bonferroni"
        assert table["over"] == len(table["rows"]) and table["level"] == 0.95
        for row in table["rows"]:
            assert "verdict" not in row
            assert row["delta"] == pytest.approx(row["value"] - row["base"])
            if row["low"] is None:  # a kind of error that costs no run anything: no noise to see
                assert table["kind"] == "error" and row["delta"] == 0
            else:
                assert row["low"] < row["delta"] < row["high"]
    row = tables[0]["rows"][0]
    assert row["name"] == "cup"
    sides = [parts[label] for label in ("baseline", "graft", "same")]
    noise = two_way(
        [np.array([run[0].value for run in side]) for side in sides],
        [np.stack([run[0].influence for run in side]) for side in sides],
    )
    half = critical_value(0.05 / 2 / 2, float(noise.df[0])) * math.sqrt(noise.total[0])
    assert row["high"] - row["delta"] == pytest.approx(half)
    assert row["scope"] == "new images like these"


def test_the_planted_class_is_found(study):
    _, _, parts = study
    found = {
        (t["arm"], r["name"]): r for t in where("baseline", parts) if t["kind"] == "class" for r in t["rows"]
    }
    assert found["graft", "cup"]["low"] > 0 and found["graft", "cup"]["p_value"] < 0.05
    for quiet in (("graft", "plate"), ("same", "cup"), ("same", "plate")):
        assert found[quiet]["low"] < 0 < found[quiet]["high"]
    errors = {
        (t["arm"], r["name"]): r for t in where("baseline", parts) if t["kind"] == "error" for r in t["rows"]
    }
    miss = errors["graft", "Miss"]
    assert miss["delta"] < 0 and miss["errors"][1] < miss["errors"][0]


def test_more_rows_ask_for_more(study):
    """Planted: the rows of a table each at the full level."""
    _, _, parts = study
    one = {label: [[p for p in run if p.name == "cup"] for run in runs] for label, runs in parts.items()}
    (alone, _), (among, *_) = where("baseline", one), where("baseline", parts)
    alone, among = alone["rows"][0], among["rows"][0]
    assert among["high"] - among["low"] > 1.1 * (alone["high"] - alone["low"])
    assert among["p_value"] == pytest.approx(min(1, 2 * alone["p_value"]))


def test_groups_and_too_few_images(study):
    records, _, parts = study
    images = len(records)
    each = where("baseline", parts, groups=np.arange(images))
    plain = where("baseline", parts)
    assert each[0]["rows"][0]["high"] == pytest.approx(plain[0]["rows"][0]["high"])
    few = where("baseline", parts, groups=[f"video {i % 5}" for i in range(images)])
    assert {row["scope"] for t in few for row in t["rows"]} == {"this evaluation split"}
    seeds = where("baseline", parts, groups=np.zeros(images))
    assert seeds[0]["rows"][0]["se"] == few[0]["rows"][0]["se"]


def test_what_cannot_be_told_is_null(study):
    _, _, parts = study
    one_run = {label: runs[:1] for label, runs in parts.items()}
    row = where("baseline", one_run)[0]["rows"][0]
    assert math.isfinite(row["delta"]) and row["low"] is None and row["p_value"] is None
    twice = {"baseline": [parts["baseline"][0]] * 3, "graft": [parts["graft"][0]] * 3}
    assert where("baseline", twice)[0]["rows"][0]["low"] is None  # no noise was seen
    assert where("baseline", {"baseline": [], "graft": parts["graft"]}) == []
    assert where("baseline", {"baseline": parts["baseline"], "graft": []}) == []
    other = {"baseline": parts["baseline"], "graft": [run[1:] for run in parts["graft"]]}
    assert where("baseline", other) == []


def test_gains_of_images_add_up(study):
    _, tables, _ = study
    base, arm = shares_of(tables["baseline"]), shares_of(tables["graft"])
    gains = image_gains(base, arm)
    delta = 100 * np.mean([area_ap(m) for m in tables["graft"]])
    delta -= 100 * np.mean([area_ap(m) for m in tables["baseline"]])
    assert sum(g.gain for g in gains) == pytest.approx(delta, abs=1e-9)
    assert [g.gain for g in gains] == sorted((g.gain for g in gains), reverse=True)
    top = gains[0]
    pairs = [arm[k, top.image] - base[j, top.image] > 0 for k in range(3) for j in range(3)]
    assert top.agree == pytest.approx(np.mean(pairs))
    shown = best_and_worst(gains, most=2)
    assert [g["image"] for g in shown["best"]] == [g.image for g in gains[:2]]
    assert [g["image"] for g in shown["worst"]] == [gains[-1].image, gains[-2].image]
    assert image_gains(base, arm[:0]) == [] and best_and_worst([]) == {"best": [], "worst": []}
    same = image_gains(base, base.copy())
    assert best_and_worst(same) == {"best": [], "worst": []}


def test_kept_parts_come_back(tmp_path, study):
    records, tables, _ = study
    table = detections(records, 200, better=0)
    assert read_parts(tmp_path, images=60) is None
    keep_parts(tmp_path, records, table, tables["graft"][0])
    kept = read_parts(tmp_path, images=60)
    assert kept is not None
    for ours, fresh in zip(kept.bins, error_bins(records, table, 3), strict=True):
        assert (ours.name, ours.count, ours.gain) == (fresh.name, fresh.count, fresh.gain)
        np.testing.assert_allclose(ours.influence, fresh.influence, atol=1e-6)
    np.testing.assert_allclose(kept.overlap, closest_overlap(records), atol=1e-7)
    with pytest.raises(DataError, match="YG362"):
        read_parts(tmp_path, images=59)
    whole = (tmp_path / PARTS).read_bytes()
    (tmp_path / PARTS).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="YG362"):
        read_parts(tmp_path, images=60)


def test_parts_of_a_split_without_boxes(tmp_path):
    records = [replace(r, boxes=np.zeros((0, 4)), labels=np.zeros(0, int), crowd=np.zeros(0, bool),
                       area=np.zeros(0)) for r in split(images=3)]  # fmt: skip
    table = detections(records, 1)
    matches = build_match_table(records, table, 3)
    keep_parts(tmp_path, records, table, matches)
    kept = read_parts(tmp_path, images=3)
    assert kept is not None and all(math.isnan(b.gain) for b in kept.bins)
    groups = {CROWDING: strata(boxes_per_image(matches)), OVERLAP: strata(kept.overlap)}
    assert parts_of(matches, names=CLASSES, crowding=groups, bins=kept.bins) == []
