"""Names no file system takes, files that only look like annotations, numbers without end: one rule each."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from yolograft.data.coco import coco_files
from yolograft.data.labelme import labelme_splits
from yolograft.data.paths import Folders, image_id_of
from yolograft.data.source import open_dataset
from yolograft.data.text import read_head
from yolograft.errors import DataError

IMPOSSIBLE = ["x\0y.jpg", "x" * 300 + ".jpg", "x" * 300 + "/a.jpg", "x\0/a.jpg", "d/" * 1500 + "a.jpg", "/"]


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".jpg", np.full((32, 64, 3), 90, np.uint8))[1].tobytes())


def coco(root: Path, names: list[Any], **changes: object) -> Path:
    picture(root / "train" / "a.jpg")
    images = [{"id": number, "file_name": name} for number, name in enumerate(names)]
    rows = [{"image_id": n, "category_id": 1, "bbox": [16, 8, 32, 16]} for n in range(len(names))]
    document = {"images": images, "annotations": rows, "categories": [{"id": 1, "name": "cat"}]}
    path = root / "train" / "_annotations.coco.json"
    path.write_text(json.dumps(document | changes), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", [*IMPOSSIBLE, "", ["a"], None])
def test_an_impossible_name_is_an_image_that_does_not_exist(tmp_path: Path, name: Any) -> None:
    coco(tmp_path / "coco", ["a.jpg", name])
    dataset = open_dataset(tmp_path / "coco")
    assert len(dataset.split("train")) == 1 and [f.code for f in dataset.findings] == ["YG317"]
    if not isinstance(name, str) or not name:
        return
    assert Folders().find(tmp_path / name) is None
    picture(tmp_path / "yolo" / "a.jpg")
    (tmp_path / "yolo" / "a.txt").write_text("0 .5 .5 .5 .5\n", encoding="utf-8")
    (tmp_path / "yolo" / "train.txt").write_text(f"a.jpg\n{name}\n", encoding="utf-8")
    # The root of the file system can be named, in a list only: as a folder it would be searched through.
    entry = json.dumps(name if name != "/" else "none")
    text = f"path: {entry}\ntrain: train.txt\nval: {entry}\nnames: [cat]\n"
    (tmp_path / "yolo" / "data.yaml").write_text(text, encoding="utf-8")
    dataset = open_dataset(tmp_path / "yolo")
    assert len(dataset.split("train")) == 1 and "YG317" in {f.code for f in dataset.findings}
    picture(tmp_path / "labelme" / "a.jpg")
    (tmp_path / "labelme" / "a.json").write_text(
        json.dumps({"shapes": [], "imagePath": name, "imageHeight": float("inf"), "imageWidth": 64}),
        encoding="utf-8",
    )
    assert [r.path.name for r in open_dataset(tmp_path / "labelme").split("train")] == ["a.jpg"]


# Each list holds the one before ten times: a million words once written out as text.
GROWING = "".join(f"a{n}: &a{n} [{f'*a{n - 1}, ' * 10 if n else 'x'}]\n" for n in range(7))
YAMLS = {
    "mixed keys": "names: {0: a, '1': b}\n",
    "names of names": f"{GROWING}names: [*a6]\n",
    "counts of names": f"{GROWING}names: [a]\nnc: *a6\n",
    "paths of paths": f"{GROWING}names: [a]\nval: *a6\n",
    "a date that cannot be": "names: [2020-99-99]\n",
    "brackets without end": "names: " + "[" * 5000 + "]" * 5000,
}
NESTED = "[" * 100_000 + "]" * 100_000
LISTS = '"images": [], "annotations": [], "categories": '
JSONS = {
    "coco without end": ("train/_annotations.coco.json", f"{{{LISTS}{NESTED}}}"),
    "labelme without end": ("a.json", f'{{"shapes": [], "imagePath": "a.jpg", "flags": {NESTED}}}'),
    "split without end": ("split.json", f'{{"yolograft": "split", "splits": {NESTED}}}'),
    "a number without end": ("a.json", f'{{{LISTS}[], "n": {"9" * 5000}}}'),
    "an id without end": ("a.json", f'{{{LISTS}[{{"id": Infinity, "name": "cat"}}]}}'),
    "a name that is a list": ("a.json", f'{{{LISTS}[{{"id": 1, "name": []}}]}}'),
}


@pytest.mark.parametrize("case", YAMLS)
def test_yaml_that_no_dataset_needs_is_refused(tmp_path: Path, case: str) -> None:
    picture(tmp_path / "images" / "a.jpg")
    (tmp_path / "data.yaml").write_text("train: images\n" + YAMLS[case], encoding="utf-8")
    with pytest.raises(DataError, match=r"YG308 .*data\.yaml") as error:
        open_dataset(tmp_path)
    assert len(error.value.cause) < 300


@pytest.mark.parametrize("case", JSONS)
def test_json_that_no_dataset_needs_is_refused(tmp_path: Path, case: str) -> None:
    name, text = JSONS[case]
    picture(tmp_path / "a.jpg")
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"YG308 .*json"):
        open_dataset(tmp_path)


def test_a_folder_in_another_case_is_found_however_deep(tmp_path: Path) -> None:
    picture(tmp_path / "Set" / "One" / "a.jpg")
    assert Folders().find(tmp_path / "set" / "ONE" / "A.jpg") == tmp_path / "Set" / "One" / "a.jpg"
    (tmp_path / "SET").mkdir(exist_ok=True)
    if len(list(tmp_path.iterdir())) == 2:
        assert Folders().find(tmp_path / "set" / "ONE" / "A.jpg") is None


def test_links_and_folders_called_json_are_passed_over(tmp_path: Path) -> None:
    path = coco(tmp_path, ["a.jpg"])
    (tmp_path / "x.json").symlink_to("nowhere")
    (tmp_path / "y.json").mkdir()
    (tmp_path / "z.json").write_bytes(b"")
    (tmp_path / "ring.json").symlink_to("ring.json")
    assert coco_files(tmp_path) == [path]


@pytest.mark.parametrize("indent", [None, 1])
def test_a_category_called_shapes_makes_no_labelme_file(tmp_path: Path, indent: int | None) -> None:
    path = coco(tmp_path, ["a.jpg"])
    document = json.loads(path.read_text(encoding="utf-8"))
    categories = [{"id": 1, "name": "shapes", "supercategory": "none"}]
    document = {"info": {}, "categories": categories, **{k: document[k] for k in ("images", "annotations")}}
    path.write_text(json.dumps(document, indent=indent), encoding="utf-8")
    dataset = open_dataset(tmp_path)
    assert (dataset.format, dataset.names) == ("coco", ("shapes",))
    assert labelme_splits(tmp_path) == {}
    shapes = {"version": "5", "images": "annotations categories", "shapes": [], "imagePath": "a.jpg"}
    path.write_text(json.dumps(shapes, indent=indent), encoding="utf-8")
    assert coco_files(tmp_path) == [] and labelme_splits(tmp_path) == {"train": [path]}


def test_numbers_that_are_no_float_spoil_their_row_only(tmp_path: Path) -> None:
    huge = 10**400
    rows = [
        {"image_id": 0, "category_id": 1, "bbox": [16, 8, 32, 16], "area": huge},
        {"image_id": 0, "category_id": 1, "bbox": [huge, 8, 32, 16]},
        {"image_id": 0, "category_id": [[1]], "bbox": [1, 2, 3, 4]},
        {"image_id": 0, "category_id": 1.5, "bbox": [1, 2, 3, 4], "iscrowd": "1"},
    ]
    coco(tmp_path, ["a.jpg"], annotations=rows)
    dataset = open_dataset(tmp_path)
    (record,) = dataset.split("train")
    assert record.boxes.tolist() == [[16, 8, 48, 24]] and record.area.tolist() == [512]
    assert [f.code for f in dataset.findings] == ["YG310", "YG312", "YG312"]


def test_crowd_is_what_the_number_says(tmp_path: Path) -> None:
    marks: list[Any] = [0, 1, "0", "1", True, False, None, 0.0, [], "no"]
    rows = [
        {"image_id": 0, "category_id": "1", "bbox": [n, 0, 9, 9], "iscrowd": mark}
        for n, mark in enumerate(marks)
    ]
    coco(tmp_path, ["a.jpg"], annotations=rows)
    crowd = open_dataset(tmp_path).split("train")[0].crowd.tolist()
    assert crowd == [False, True, False, True, True, False, False, False, False, False]


def test_annotations_by_folder_find_images_by_folder(tmp_path: Path) -> None:
    for place in ("day", "night"):
        picture(tmp_path / "JPEGImages" / place / "a.jpg")
        corners = "<xmin>1</xmin><ymin>2</ymin><xmax>9</xmax><ymax>9</ymax>"
        body = f"<annotation><object><name>{place}</name><bndbox>{corners}</bndbox></object></annotation>"
        (tmp_path / "Annotations" / place).mkdir(parents=True)
        (tmp_path / "Annotations" / place / "a.Xml").write_text(body, encoding="utf-8")
    dataset = open_dataset(tmp_path)
    assert dataset.names == ("day", "night")
    assert [(r.image_id, r.labels.tolist()) for r in dataset.split("train")] == [
        ("JPEGImages/day/a.jpg", [0]),
        ("JPEGImages/night/a.jpg", [1]),
    ]
    # Which of the two a bare name means, nobody can tell.
    lists = tmp_path / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\nnight/a\n", encoding="utf-8")
    dataset = open_dataset(tmp_path)
    assert [r.image_id for r in dataset.split("train")] == ["JPEGImages/night/a.jpg"]
    assert [f.code for f in dataset.findings] == ["YG326"]


def test_an_image_on_another_drive_is_named_by_its_whole_path(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_way(*_: object) -> str:
        raise ValueError("path is on mount 'D:', start on mount 'C:'")

    monkeypatch.setattr(os.path, "relpath", no_way)
    assert image_id_of(Path("/d/x/a.jpg"), Path("/c/y")) == "/d/x/a.jpg"


def test_an_unreadable_file_is_said_and_never_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    coco(tmp_path, ["a.jpg"])

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match=r"YG305 .*coco\.json: cannot read the file: Permission denied"):
        read_head(tmp_path / "train" / "_annotations.coco.json")
    with pytest.raises(DataError, match="YG305"):
        open_dataset(tmp_path)


def test_an_empty_set_says_what_became_of_its_images(tmp_path: Path) -> None:
    path = coco(tmp_path, ["a.jpg"])
    (tmp_path / "train" / "a.jpg").write_bytes(b"")
    with pytest.raises(DataError, match="YG305"):
        open_dataset(tmp_path)
    path.unlink()
    (tmp_path / "data.yaml").write_text("train: train\nnames: [cat]\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"YG305 .*1 dropped, first train/a\.jpg: the file is empty"):
        open_dataset(tmp_path)


def test_a_path_may_step_back_from_a_folder_that_is_gone(tmp_path: Path) -> None:
    picture(tmp_path / "set" / "images" / "a.jpg")
    (tmp_path / "data.yaml").write_text("path: gone/../set\ntrain: images\nnames: [cat]\n", encoding="utf-8")
    assert open_dataset(tmp_path).root == tmp_path.resolve() / "set"
