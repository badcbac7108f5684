"""`judge` on detection tables of strangers, and a caution that only warns where something is wrong."""

from __future__ import annotations

import json
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from judge_inputs import ground_truth, predictions, write

from yolograft.errors import MAX_LINE, DataError, StudyError, YolograftError
from yolograft.metrics.detections import DetectionTable
from yolograft.study.judge.asked import Asked
from yolograft.study.judge.from_predictions import judge_predictions
from yolograft.study.judge.predictions import read_predictions

ABOUT: dict[str, Any] = {
    "kind": "detections", "version": 1, "images": 40, "settings": {}, "fingerprint": "",
}  # fmt: skip


def arrays(rows: int = 5) -> dict[str, Any]:
    boxes = np.tile(np.array([1, 1, 20, 20], np.float32), (rows, 1))
    whole = np.zeros(rows, np.int32)
    return {"image": whole, "label": whole.copy(), "score": np.full(rows, 0.5, np.float32), "boxes": boxes}


def table(path: Path, about: object = ABOUT, **changes: Any) -> Path:
    kept = {name: value for name, value in (arrays() | changes).items() if value is not None}
    np.savez_compressed(path, about=np.array([json.dumps(about)]), **kept)
    return path


@pytest.mark.parametrize(
    ("about", "changes"),
    [
        ({"kind": "detections", "version": 1}, {}),
        ([1], {}),
        (7, {}),
        (ABOUT | {"images": "40"}, {}),
        (ABOUT | {"images": 10**30}, {}),
        (ABOUT | {"settings": None}, {}),
        (ABOUT, {"image": None}),
        (ABOUT, {"image": np.full(5, -1, np.int32)}),
        (ABOUT, {"label": np.full(5, 0.5)}),
        (ABOUT, {"label": np.full(5, 2**40)}),
        (ABOUT, {"score": np.full(5, 7, np.float32)}),
        (ABOUT, {"score": np.full(5, np.nan, np.float32)}),
        (ABOUT, {"score": np.array(["x"] * 5)}),
        (ABOUT, {"boxes": np.tile(np.array([20, 20, 1, 1], np.float32), (5, 1))}),
        (ABOUT, {"boxes": np.ones((5, 3), np.float32)}),
        (ABOUT, {"label": np.zeros(2, np.int32)}),
    ],
    ids=str,
)
def test_hostile_tables_are_one_line(tmp_path: Path, about: object, changes: dict[str, Any]) -> None:
    with pytest.raises(YolograftError) as caught:
        read_predictions(table(tmp_path / "t.npz", about, **changes))
    assert caught.value.code in ("YG361", "YG362", "YG662") and len(caught.value.line()) <= MAX_LINE
    assert len(read_predictions(table(tmp_path / "good.npz"))) == 5


def test_a_small_file_does_not_take_a_gigabyte(tmp_path: Path) -> None:
    bomb = table(tmp_path / "bomb.npz", image=np.zeros(100_000_000, np.int32))
    assert bomb.stat().st_size < 1_000_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError, match=r"YG362.*unpacks"):
        DetectionTable.load(bomb)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_tables_come_back_writable_and_of_their_types(tmp_path: Path) -> None:
    back = DetectionTable.load(table(tmp_path / "t.npz", label=np.zeros(5, np.int64)))
    assert back.label.dtype == np.int32 and back.boxes.flags.writeable
    empty = DetectionTable.load(table(tmp_path / "e.npz", **arrays(0)))
    assert len(empty) == 0 and empty.images == 40


@pytest.mark.parametrize(("boxes", "images", "warns"), [(9, 24, False), (60, 24, True), (60, 1, False)])
def test_a_limit_of_the_tool_is_high_and_met_often(
    tmp_path: Path, boxes: int, images: int, warns: bool
) -> None:
    truth = ground_truth(0, images=24)
    rows = [row for row in predictions(truth, 1) if row["image_id"] != truth["images"][0]["id"]]
    crowded = {item["id"] for item in truth["images"][:images]}
    spare = {"category_id": 2, "bbox": [1.0, 1.0, 20.0, 20.0], "score": 0.01}
    for image in crowded:
        count = sum(row["image_id"] == image for row in rows)
        rows += [spare | {"image_id": image}] * max(boxes - count, 0)
    if boxes < 20:
        rows = [row for row in rows if row["image_id"] in crowded and row["bbox"] == spare["bbox"]]
    files = [write(tmp_path / "a.json", rows), write(tmp_path / "b.json", rows[1:])]
    asked = Asked(gt=write(tmp_path / "gt.json", truth), images="ids", categories="ids")
    judged = judge_predictions(files[:1], {"new": files[1:]}, asked)
    found = [note for note in judged.document["notes"] if note["key"] == "limit"]
    assert bool(found) == warns


def test_json_that_is_nested_without_end_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "deep.json").write_text("[" * 100_000, encoding="utf-8")
    with pytest.raises(StudyError, match="YG660"):
        read_predictions(tmp_path / "deep.json")
