"""Counts of the shared sets, every split, against their preparer's independent count."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from yolograft.data.check import check
from yolograft.data.images import decode_file
from yolograft.data.source import open_dataset

SETS = Path(__file__).resolve().parents[2].parent / "shared" / "datasets"
COUNTED = ("images", "images_without_boxes", "boxes", "boxes_per_class")
FORMATS = {
    "bccd": "voc",
    "chess": "coco",
    "aerial_cars": "yolo",
    "coco_cc_mini": "coco",
    "deeppcb": "coco",
}

pytestmark = [
    pytest.mark.datasets,
    pytest.mark.skipif(not SETS.is_dir(), reason="the shared datasets folder is not here"),
]


@pytest.mark.parametrize("name", FORMATS)
def test_counts_of_every_split(name: str) -> None:
    expected = json.loads((SETS / name / "expected_counts.json").read_text(encoding="utf-8"))
    result = check(open_dataset(SETS / name))
    assert result["format"] == FORMATS[name]
    assert sorted(result["names"]) == sorted(expected["classes"])
    assert list(result["splits"]) == list(expected["splits"])
    for split, counts in expected["splits"].items():
        ours = result["splits"][split]
        assert {key: ours[key] for key in COUNTED} == {key: counts[key] for key in COUNTED}, split


@pytest.mark.parametrize("name", FORMATS)
def test_sizes_are_those_of_the_decoded_images(name: str) -> None:
    for records in open_dataset(SETS / name).splits.values():
        for record in records[::7]:
            assert decode_file(record.path).shape == (record.height, record.width, 3)


def test_bccd_drops_the_two_boxes_without_area() -> None:
    result = check(open_dataset(SETS / "bccd"))
    train = result["splits"]["train"]
    assert (train["boxes"], train["boxes_used"]) == (2805, 2804)
    places = {(item["file"], item["code"], item["action"]) for item in result["findings"]}
    assert places == {
        ("Annotations/BloodImage_00343.xml", "YG313", "dropped"),
        ("Annotations/BloodImage_00338.xml", "YG313", "dropped"),
    }


def test_aerial_cars_clips_three_boxes() -> None:
    findings = open_dataset(SETS / "aerial_cars").findings
    assert [(item.code, item.action) for item in findings] == [("YG314", "corrected")] * 3


def test_coco_crowd_is_kept_apart() -> None:
    records = open_dataset(SETS / "coco_cc_mini").split("train")
    crowd = sum(int(record.crowd.sum()) for record in records)
    path = SETS / "coco_cc_mini" / "annotations" / "instances_train2017.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    assert crowd == sum(item["iscrowd"] for item in document["annotations"]) > 0
