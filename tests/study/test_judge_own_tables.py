"""`judge` on the detections that our own runs store."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from yolograft.data.shapes import shapes
from yolograft.data.source import open_dataset
from yolograft.errors import StudyError
from yolograft.metrics.coco import evaluate_coco
from yolograft.metrics.detections import DetectionTable
from yolograft.study.judge.asked import Asked
from yolograft.study.judge.from_predictions import judge_predictions


def test_detections_npz_with_the_dataset_as_ground_truth(tmp_path: Path) -> None:
    data = open_dataset(shapes(train=8, val=4, size=64).root)
    records, mark = data.split("val"), data.fingerprint("val")
    files, expected = [], []
    for k in range(4):
        g = np.random.default_rng(k)
        boxes = np.concatenate([r.boxes for r in records])
        table = DetectionTable(
            image=np.repeat(np.arange(len(records)), [len(r.labels) for r in records]).astype(np.int32),
            label=np.concatenate([r.labels for r in records]).astype(np.int32),
            score=g.uniform(0.001, 1, len(boxes)).astype(np.float32),
            boxes=(boxes + g.normal(0, 2, boxes.shape)).astype(np.float32),
            images=len(records),
            fingerprint=mark,
        )
        table.save(tmp_path / f"{k}.npz")
        files.append(tmp_path / f"{k}.npz")
        expected.append(100 * evaluate_coco(records, table, data.names).ap)
    judged = judge_predictions(files[:2], {"new": files[2:]}, Asked(gt=data.root))
    found = [run["ap"] for arm in judged.document["arms"] for run in arm["runs"]]
    assert found == pytest.approx(expected, abs=1e-9)
    other = dataclasses.replace(DetectionTable.load(files[0]), fingerprint="another")
    other.save(tmp_path / "other.npz")
    with pytest.raises(StudyError, match="YG663"):
        judge_predictions(files[:2], {"new": [tmp_path / "other.npz"]}, Asked(gt=data.root))
