"""labelme files: every shape, groups, ignored regions, splits by folder, images that moved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from yolograft.data.source import open_dataset
from yolograft.errors import DataError


def write(root: Path, name: str, shapes: list[dict[str, Any]], **changes: object) -> None:
    root.mkdir(parents=True, exist_ok=True)
    image = cv2.imencode(".png", np.full((60, 100, 3), 90, np.uint8))[1].tobytes()
    (root / f"{name}.png").write_bytes(image)
    document = {"version": "5.5.0", "flags": {"good": True}, "shapes": shapes, "imagePath": f"{name}.png"}
    document |= {"imageData": "A" * 9000, "imageHeight": 60, "imageWidth": 100}
    (root / f"{name}.json").write_text(json.dumps(document | changes), encoding="utf-8")


def shape(label: str, kind: str, *points: tuple[float, float], group: int | None = None) -> dict[str, Any]:
    return {"label": label, "points": points, "shape_type": kind, "group_id": group, "flags": {}}


def test_every_shape(tmp_path: Path) -> None:
    shapes = [
        shape("a", "rectangle", (50, 40), (10, 20)),
        shape("b", "polygon", (1, 2), (30, 5), (20, 50)),
        shape("a", "circle", (50, 30), (53, 34)),
        shape("b", "mask", (5, 6), (25, 36)),
        shape("b", "rotation", (10, 0), (20, 10), (10, 20), (0, 10)),
        shape("c", "point", (1, 1)),
        shape("a", "line", (1, 1), (2, 2)),
        shape("a", "rectangle", (3, 3)),
        shape("b", "polygon", (1, 2), (float("nan"), 5), (20, 50)),
    ]
    write(tmp_path, "one", shapes)
    dataset = open_dataset(tmp_path)
    assert dataset.format == "labelme" and dataset.names == ("a", "b")
    record = dataset.split("train")[0]
    assert record.boxes.tolist() == [
        [10, 20, 50, 40],
        [1, 2, 30, 50],
        [45, 25, 55, 35],
        [5, 6, 25, 36],
        [0, 0, 20, 20],
    ]
    assert record.labels.tolist() == [0, 1, 0, 1, 1] and record.rows == 9
    codes = [item.code for item in dataset.findings]
    assert sorted(codes) == ["YG310", "YG311", *["YG315"] * 5, "YG349", "YG349"]


def test_parts_of_one_object_and_ignored_regions(tmp_path: Path) -> None:
    shapes = [
        shape("cow", "polygon", (0, 0), (10, 0), (10, 10), group=1),
        shape("cow", "polygon", (30, 5), (40, 20), (35, 20), group=1),
        shape("cow", "rectangle", (50, 0), (60, 10), group=2),
        shape("dog", "rectangle", (50, 20), (60, 30), group=2),
        shape("__ignore__", "rectangle", (0, 40), (100, 60)),
    ]
    write(tmp_path, "one", shapes)
    record = open_dataset(tmp_path).split("train")[0]
    assert record.boxes.tolist() == [
        [0, 0, 40, 20],
        [50, 0, 60, 10],
        [50, 20, 60, 30],
        [0, 40, 100, 60],
        [0, 40, 100, 60],
    ]
    assert record.crowd.tolist() == [False, False, False, True, True]
    assert record.labels.tolist() == [0, 0, 1, 0, 1]
    assert record.rows_per_class == (2, 1)


def test_splits_are_folders_and_classes_a_list(tmp_path: Path) -> None:
    box = [shape("b", "rectangle", (1, 1), (9, 9)), shape("z", "rectangle", (1, 1), (9, 9))]
    write(tmp_path / "train", "one", [])
    write(tmp_path / "Val" / "day", "two", box)
    (tmp_path / "labels.txt").write_text("__ignore__\n_background_\na\nb\n", encoding="utf-8")
    dataset = open_dataset(tmp_path)
    assert dataset.names == ("a", "b") and list(dataset.splits) == ["train", "val"]
    assert dataset.split("train")[0].boxes.shape == (0, 4)
    assert dataset.split("val")[0].labels.tolist() == [1]
    assert dataset.split("val")[0].image_id == "Val/day/two.png"
    assert [item.code for item in dataset.findings] == ["YG312"]


@pytest.mark.parametrize("stated", ["..\\images\\one.png", "C:\\pictures\\one.png", "gone.png", None])
def test_an_image_that_moved(tmp_path: Path, stated: str | None) -> None:
    write(tmp_path, "one", [shape("a", "rectangle", (1, 1), (9, 9))], imagePath=stated)
    assert [record.image_id for record in open_dataset(tmp_path).split("train")] == ["one.png"]


def test_a_shape_without_a_type_is_a_polygon_and_its_class_counts(tmp_path: Path) -> None:
    bare = {"label": "cat", "points": [[1, 1], [30, 1], [30, 30]]}
    write(tmp_path, "one", [bare | {"shape_type": None}, bare | {"shape_type": "", "label": "dog"}])
    write(tmp_path, "two", [bare | {"label": "owl"}, bare | {"shape_type": ["line"], "label": "emu"}])
    dataset = open_dataset(tmp_path)
    assert dataset.names == ("cat", "dog", "owl")
    assert [r.labels.tolist() for r in dataset.split("train")] == [[0, 1], [2]]
    assert [item.code for item in dataset.findings] == [*["YG315"] * 3, "YG349"]


def test_images_of_a_folder_beside_are_all_annotated(tmp_path: Path) -> None:
    box = [shape("cat", "rectangle", (1, 1), (30, 30))]
    for split in ("train", "val"):
        write(tmp_path / split, "one", box, imagePath=f"../images/{split}.png")
        (tmp_path / "images").mkdir(exist_ok=True)
        (tmp_path / split / "one.png").rename(tmp_path / "images" / f"{split}.png")
    dataset = open_dataset(tmp_path)
    assert dataset.findings == ()
    records = [record for split in ("train", "val") for record in dataset.split(split)]
    assert [r.image_id for r in records] == ["images/train.png", "images/val.png"]
    assert [r.path for r in records] == [tmp_path / "images/train.png", tmp_path / "images/val.png"]
    # Through a link, one step back leads elsewhere than the spelling says.
    (tmp_path / "far" / "away").mkdir(parents=True)
    (tmp_path / "train").rename(tmp_path / "far" / "away" / "train")
    (tmp_path / "train").symlink_to(tmp_path / "far" / "away" / "train", target_is_directory=True)
    (tmp_path / "images" / "train.png").rename(tmp_path / "far" / "away" / "moved.png")
    text = (tmp_path / "train/one.json").read_text(encoding="utf-8").replace("images/train.png", "moved.png")
    (tmp_path / "train/one.json").write_text(text, encoding="utf-8")
    (record,) = open_dataset(tmp_path).split("train")
    assert record.path == tmp_path / "far" / "away" / "moved.png"


@pytest.mark.parametrize("first", [True, False])
def test_a_part_that_is_nowhere_drops_the_object_and_says_so(tmp_path: Path, first: bool) -> None:
    parts = [shape("a", "rectangle", (1, 1), (30, 30), group=1)]
    parts.insert(0 if first else 1, shape("a", "rectangle", (float("nan"), 40), (50, 50), group=1))
    write(tmp_path, "one", parts)
    dataset = open_dataset(tmp_path)
    assert dataset.split("train")[0].boxes.shape == (0, 4)
    assert sorted(item.code for item in dataset.findings) == ["YG311", "YG315"]


def test_damaged_and_lonely_files(tmp_path: Path) -> None:
    write(tmp_path, "one", [])
    write(tmp_path, "two", [])
    (tmp_path / "two.png").unlink()
    dataset = open_dataset(tmp_path)
    assert [item.code for item in dataset.findings] == ["YG317"]
    (tmp_path / "one.json").write_text('{"shapes": [1], "imagePath": "one.png"}', encoding="utf-8")
    with pytest.raises(DataError, match="YG308"):
        open_dataset(tmp_path)
    (tmp_path / "one.json").write_text('{"shapes": [,', encoding="utf-8")
    with pytest.raises(DataError, match=r"YG308 .*one\.json:1"):
        open_dataset(tmp_path)
