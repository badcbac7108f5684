"""VisDrone rows: classes from 1, ignored regions, rows without a score, the folders as they are shipped."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from yolograft.data.check import check
from yolograft.data.source import open_dataset
from yolograft.data.store import ImageStore
from yolograft.errors import DataError

ROWS = """\
10,20,30,40,1,1,0,0
0,0,50,50,0,0,0,0
60,60,20,20,1,10,1,2,
5,5,10,10,0,4,0,0
70,10,20,20,0,11,0,0
1,2,3
30,30,10,10,1,12,0,0
30,30,10,10,1,4.5,0,0
90,90,20,20,1,4,0,0
"""


def write(root: Path, folder: str, rows: str = ROWS, name: str = "0001") -> None:
    for part in ("images", "annotations"):
        (root / folder / part).mkdir(parents=True, exist_ok=True)
    image = cv2.imencode(".jpg", np.full((100, 100, 3), 90, np.uint8))[1].tobytes()
    (root / folder / "images" / f"{name}.jpg").write_bytes(image)
    (root / folder / "annotations" / f"{name}.txt").write_text(rows, encoding="utf-8")


def test_rows(tmp_path: Path) -> None:
    write(tmp_path, "VisDrone2019-DET-train")
    dataset = open_dataset(tmp_path)
    assert dataset.format == "visdrone" and len(dataset.names) == 10
    assert dataset.names[0] == "pedestrian" and dataset.names[9] == "motor"
    record = dataset.split("train")[0]
    real = ~record.crowd
    assert record.boxes[real].tolist() == [[10, 20, 40, 60], [60, 60, 80, 80], [90, 90, 100, 100]]
    assert record.labels[real].tolist() == [0, 9, 3]
    regions = {
        (*box, label)
        for box, label in zip(record.boxes[~real].tolist(), record.labels[~real].tolist(), strict=True)
    }
    expected = {(0, 0, 50, 50, k) for k in range(10)} | {(70, 10, 90, 30, k) for k in range(10)}
    assert regions == expected | {(5, 5, 15, 15, 3)}
    assert record.rows == 9 and record.rows_per_class == (1, 0, 0, 2, 0, 0, 0, 0, 0, 1)
    found = sorted((item.line, item.code) for item in dataset.findings)
    assert found == [(6, "YG310"), (7, "YG312"), (8, "YG312"), (9, "YG314")]
    assert len(ImageStore([record], imgsz=(64, 64)).targets(0)[0]) == 3
    assert check(dataset)["splits"]["train"]["boxes_used"] == 24


def test_folders_as_shipped(tmp_path: Path) -> None:
    for folder in ("VisDrone2019-DET-val", "VisDrone2019-DET-test-dev", "VisDrone2019-DET-train"):
        write(tmp_path, folder, "1,1,9,9,1,1,0,0\n")
        write(tmp_path, folder, "", name="0002")
    dataset = open_dataset(tmp_path)
    assert list(dataset.splits) == ["train", "val", "test"]
    assert dataset.split("test")[0].image_id == "VisDrone2019-DET-test-dev/images/0001.jpg"
    assert [len(record.boxes) for record in dataset.split("val")] == [1, 0]
    assert dataset.findings == ()
    alone = open_dataset(tmp_path / "VisDrone2019-DET-val")
    assert list(alone.splits) == ["val"]
    np.testing.assert_array_equal(alone.split("val")[0].boxes, dataset.split("val")[0].boxes)


def test_missing_partners(tmp_path: Path) -> None:
    write(tmp_path, "train")
    write(tmp_path, "train", "", name="0002")
    (tmp_path / "train/annotations/0002.txt").unlink()
    (tmp_path / "train/annotations/0003.txt").write_text("", encoding="utf-8")
    codes = [item.code for item in open_dataset(tmp_path).findings]
    assert codes[-2:] == ["YG326", "YG317"]


def test_two_folders_for_one_split_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "a-train")
    write(tmp_path, "b-train")
    with pytest.raises(DataError, match="YG303"):
        open_dataset(tmp_path)
