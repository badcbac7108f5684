"""Readers: three formats say the same, and every odd row is treated the one way the table states."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from yolograft.data.check import check
from yolograft.data.findings import FINDINGS
from yolograft.data.records import Dataset
from yolograft.data.source import open_dataset
from yolograft.errors import DataError

# split -> [(stem, (height, width), [(class, x1, y1, x2, y2)])]; sizes are powers of two, so that
# fractions hold the numbers exactly.
TRUTH = {
    "train": [
        ("one", (64, 128), [("cat", 8, 4, 40, 20), ("狗", 64, 0, 128, 64)]),
        ("two", (128, 64), []),
        ("three", (32, 32), [("狗", 1, 2, 31, 30), ("cat", 0, 0, 8, 8), ("cat", 20, 20, 28, 32)]),
    ],
    "val": [("four", (64, 64), [("cat", 10, 10, 20, 20), ("owl", 30, 30, 62, 63)])],
}
NAMES = ["cat", "狗", "owl"]


def write_image(path: Path, size: tuple[int, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.full((*size, 3), 90, np.uint8)
    path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def voc_object(name: str, *corners: object) -> str:
    tags = zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True)
    box = "".join(f"<{tag}>{value}</{tag}>" for tag, value in tags)
    part = "<part><name>head</name><bndbox><xmin>0</xmin></bndbox></part>"
    return f"<object><name>{name}</name><difficult>1</difficult>\n<bndbox>{box}</bndbox>{part}</object>\n"


def write_voc(root: Path) -> Path:
    for split, images in TRUTH.items():
        for stem, (height, width), rows in images:
            write_image(root / "JPEGImages" / f"{stem}.jpg", (height, width))
            size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
            body = "".join(voc_object(*row) for row in rows)
            write(root / "Annotations" / f"{stem}.xml", f"<annotation>\n{size}\n{body}</annotation>")
        stems = "\r\n".join(stem for stem, _, _ in images)
        write(root / "ImageSets" / "Main" / f"{split}.txt", stems + "\r\n")
    return root


def write_coco(root: Path) -> Path:
    ids = {"cat": 3, "狗": 7, "owl": 90}
    for split, images in TRUTH.items():
        document: dict[str, list[dict[str, object]]] = {"images": [], "annotations": []}
        document["categories"] = [{"id": ids[name], "name": name} for name in reversed(NAMES)]
        for number, (stem, (height, width), rows) in enumerate(images):
            write_image(root / f"{split}2017" / f"{stem}.jpg", (height, width))
            image = {"id": number, "file_name": f"{stem}.jpg", "height": height, "width": width}
            document["images"].append(image)
            for name, x1, y1, x2, y2 in rows:
                row = {"image_id": number, "category_id": ids[name], "bbox": [x1, y1, x2 - x1, y2 - y1]}
                document["annotations"].append(row)
        write(root / "annotations" / f"instances_{split}2017.json", json.dumps(document))
    return root


def write_yolo(root: Path) -> Path:
    for split, images in TRUTH.items():
        for stem, (height, width), rows in images:
            write_image(root / "images" / split / f"{stem}.jpg", (height, width))
            lines: list[str] = []
            for name, x1, y1, x2, y2 in rows:
                centre, extent = ((x1 + x2) / 2, (y1 + y2) / 2), (x2 - x1, y2 - y1)
                values = (centre[0] / width, centre[1] / height, extent[0] / width, extent[1] / height)
                lines.append(" ".join(map(str, (NAMES.index(name), *values))))
            write(root / "labels" / split / f"{stem}.txt", "\ufeff" + "\r\n".join(lines))
        # A list keeps the order of the other formats; folders are read sorted.
        order = "\n".join(f"./images/{split}/{stem}.jpg" for stem, _, _ in images)
        write(root / f"{split}.txt", order)
    write(root / "data.yaml", f"train: train.txt\nval: val.txt\nnames: {json.dumps(NAMES)}\nnc: 3\n")
    return root


def content(dataset: Dataset) -> dict[str, list[tuple[object, ...]]]:
    return {
        split: [
            (
                *(record.path.stem, record.height, record.width, record.rows, record.rows_per_class),
                *(a.tolist() for a in (record.boxes, record.labels, record.crowd, record.area)),
            )
            for record in records
        ]
        for split, records in dataset.splits.items()
    }


def test_three_formats_give_equal_records(tmp_path: Path) -> None:
    voc = open_dataset(write_voc(tmp_path / "训练 数据(1)" / "voc"))
    coco = open_dataset(str(write_coco(tmp_path / "训练 数据(1)" / "coco")))
    yolo = open_dataset(write_yolo(tmp_path / "训练 数据(1)" / "yolo"))
    assert (voc.format, coco.format, yolo.format) == ("voc", "coco", "yolo")
    assert voc.names == coco.names == yolo.names == tuple(NAMES)
    assert content(voc) == content(coco) == content(yolo)
    assert voc.findings == coco.findings == yolo.findings == ()
    first = voc.split("train")[0]
    assert first.boxes.tolist() == [[8, 4, 40, 20], [64, 0, 128, 64]]
    assert first.boxes.dtype == np.float64 and first.labels.dtype == np.int64
    assert voc.split("train")[1].boxes.shape == (0, 4)
    assert [record.image_id for record in coco.split("val")] == ["val2017/four.jpg"]


def test_a_yaml_or_json_file_is_a_dataset_too(tmp_path: Path) -> None:
    yolo, coco = write_yolo(tmp_path / "yolo"), write_coco(tmp_path / "coco")
    assert content(open_dataset(yolo / "data.yaml")) == content(open_dataset(yolo))
    one = open_dataset(coco / "annotations" / "instances_val2017.json")
    whole = open_dataset(coco)
    assert list(one.splits) == ["val"]
    assert one.split("val")[0].image_id == whole.split("val")[0].image_id
    assert one.fingerprint("val") == whole.fingerprint("val")


def test_roboflow_layouts(tmp_path: Path) -> None:
    write_image(tmp_path / "r" / "train" / "a.png", (10, 20))
    document = {
        "images": [{"id": 0, "file_name": "a.png", "height": 10, "width": 20}],
        "annotations": [],
        "categories": [{"id": 0, "name": "thing"}],
    }
    write(tmp_path / "r" / "train" / "_annotations.coco.json", json.dumps(document))
    assert [r.image_id for r in open_dataset(tmp_path / "r").split("train")] == ["train/a.png"]
    write_image(tmp_path / "y" / "train" / "images" / "a.png", (10, 20))
    write(tmp_path / "y" / "train" / "labels" / "a.txt", "0 .5 .5 .5 .5\n")
    write(tmp_path / "y" / "data.yaml", "train: ../train/images\nval: ../valid/images\nnames: [thing]\n")
    dataset = open_dataset(tmp_path / "y")
    assert dataset.split("train")[0].boxes.tolist() == [[5, 2.5, 15, 7.5]]
    assert [item.code for item in dataset.findings] == ["YG325"]


def test_yolo_folder_with_a_names_file(tmp_path: Path) -> None:
    root = write_yolo(tmp_path / "yolo")
    (root / "data.yaml").unlink()
    write(root / "pets.names", "\n".join(NAMES))
    dataset = open_dataset(root)
    assert dataset.names == tuple(NAMES) and len(dataset.split("train")) == 3


def test_coco_keeps_crowd_area_and_unused_categories(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "a.png", (50, 50))
    document = {
        "images": [{"id": 4, "file_name": "a.png", "height": 50, "width": 50}],
        "annotations": [
            {"id": 1, "image_id": 4, "category_id": 9, "bbox": [1, 1, 10, 10], "area": 33.5, "iscrowd": 1},
            {"id": 2, "image_id": 4, "category_id": 9, "bbox": [1, 1, 10, 20], "iscrowd": 0},
        ],
        "categories": [{"id": 9, "name": "b"}, {"id": 0, "name": "never"}],
    }
    write(tmp_path / "val.json", json.dumps(document))
    dataset = open_dataset(tmp_path)
    record = dataset.split("valid")[0]
    assert dataset.names == ("never", "b")
    assert record.labels.tolist() == [1, 1] and record.crowd.tolist() == [True, False]
    assert record.area.tolist() == [33.5, 200.0]
    assert record.rows_per_class == (0, 2)


BAD_ROWS = """\
0 .5 .5 .5 .5
7 .5 .5 .2 .2
0 .5 nan .2 .2
0 .5 .5 0 .2
0 .5 .5
0 .9 .5 .4 .2

1 .1 .1 .5 .1 .5 .4
-1 .5 .5 .1 .1
x .5 .5 .1 .1
0.5 .5 .5 .1 .1
1 1.5 .5 .2 .2
1 .75 .5 .5 .5 .9
0 inf .5 .2 .2
1 0 0 0 1 nan 1
"""


def test_every_odd_row_has_its_finding_and_fate(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "train" / "a.png", (100, 100))
    write_image(tmp_path / "images" / "train" / "b.png", (100, 100))
    write(tmp_path / "labels" / "train" / "a.txt", BAD_ROWS)
    yaml = "train: images/train\nnames: {0: a, 1: b}\ndownload: import os\n"
    write(tmp_path / "data.yaml", yaml)
    dataset = open_dataset(tmp_path)
    record = dataset.split("train")[0]
    np.testing.assert_allclose(record.boxes, [[25, 25, 75, 75], [70, 40, 100, 60], [10, 10, 50, 40]])
    assert record.rows == 14 and record.rows_per_class == (6, 4)
    found = [(item.line, item.code) for item in dataset.findings if item.file == "labels/train/a.txt"]
    assert sorted(found) == [
        (2, "YG312"),
        (3, "YG311"),
        (4, "YG313"),
        (5, "YG310"),
        (6, "YG314"),
        (8, "YG315"),
        (9, "YG312"),
        (10, "YG310"),
        (11, "YG312"),
        (12, "YG313"),
        (13, "YG310"),
        (14, "YG311"),
        (15, "YG311"),
        (15, "YG315"),
    ]
    assert all(item.action == FINDINGS[item.code][0] for item in dataset.findings)
    assert {item.code for item in dataset.findings} >= {"YG316", "YG320"}
    counted = check(dataset)["splits"]["train"]
    assert (counted["boxes"], counted["boxes_used"]) == (14, 3)
    assert counted["images_without_boxes"] == 1 and counted["boxes_per_class"] == {"a": 6, "b": 4}
    json.dumps(check(dataset))


def test_rounding_at_the_border_is_clipped_in_silence(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "train" / "a.png", (100, 100))
    write(tmp_path / "labels" / "train" / "a.txt", "0 .500001 .5 1.000002 1\n")
    write(tmp_path / "data.yaml", "train: images/train\nnames: [a]\n")
    dataset = open_dataset(tmp_path)
    assert dataset.findings == ()
    np.testing.assert_array_equal(dataset.split("train")[0].boxes, [[0, 0, 100, 100]])


def test_voc_oddities(tmp_path: Path) -> None:
    root = write_voc(tmp_path)
    xml = "<annotation><size><width>9</width><height>9</height></size>\n"
    xml += voc_object("cat", 1, 1, 1, 9) + voc_object("cat", "?", 1, 1, 9) + voc_object("cat", -4, 1, 9, 9)
    write(root / "Annotations" / "two.xml", xml + "</annotation>")
    write(root / "ImageSets" / "Main" / "train.txt", "one\ntwo\nthree 1\nghost\none -1\n")
    (root / "JPEGImages" / "three.jpg").unlink()
    dataset = open_dataset(root)
    assert [(item.code, item.line) for item in dataset.findings] == [
        ("YG322", 5),
        ("YG326", 0),
        ("YG319", 0),
        ("YG310", 4),
        ("YG313", 2),
        ("YG314", 6),
        ("YG317", 0),
    ]
    two = dataset.split("train")[1]
    assert (two.height, two.width, two.rows) == (128, 64, 3)
    assert two.boxes.tolist() == [[0, 1, 9, 9]]


def test_trainval_stands_in_for_train(tmp_path: Path) -> None:
    root = write_voc(tmp_path)
    main = root / "ImageSets" / "Main"
    (main / "train.txt").rename(main / "trainval.txt")
    dataset = open_dataset(root)
    assert len(dataset.split("train")) == 3
    assert [item.code for item in dataset.findings] == ["YG324"]


def test_two_formats_in_one_folder_are_pointed_out(tmp_path: Path) -> None:
    write_voc(write_coco(tmp_path))
    dataset = open_dataset(tmp_path)
    assert dataset.format == "voc" and dataset.findings[0].code == "YG323"


def code_of(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        open_dataset(path)
    return caught.value.code


def test_refusals_name_their_reason(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert code_of(tmp_path / "nowhere") == "YG301"
    assert code_of(tmp_path / "empty") == "YG301"
    yolo = write_yolo(tmp_path / "yolo")
    write(yolo / "data.yaml", "train: gone\nnames: [a]\n")
    assert code_of(yolo) == "YG302"
    write(yolo / "data.yaml", "train: [\nnames: [a]\n")
    assert code_of(yolo) == "YG308"
    write(yolo / "data.yaml", "train: train.txt\nnames: [a]\nnc: 2\n")
    assert code_of(yolo) == "YG308"
    (yolo / "data.yaml").write_bytes(b"train: train.txt\nnames:\n- caf\xe9\n")
    assert code_of(yolo) == "YG307"
    voc = write_voc(tmp_path / "voc")
    write(voc / "Annotations" / "one.xml", "<annotation>\n<object></annotation>")
    assert code_of(voc) == "YG308"
    write(voc / "Annotations" / "one.xml", '<!DOCTYPE a [<!ENTITY b "c">]><annotation>&b;</annotation>')
    assert code_of(voc) == "YG308"
    coco = write_coco(tmp_path / "coco")
    twin = (coco / "annotations" / "instances_val2017.json").read_text(encoding="utf-8")
    write(coco / "annotations" / "instances_val.json", twin)
    assert code_of(coco) == "YG303"


def test_missing_and_broken_images_are_left_out(tmp_path: Path) -> None:
    coco = write_coco(tmp_path)
    (coco / "train2017" / "one.jpg").unlink()
    (coco / "train2017" / "two.jpg").write_bytes(b"\xff\xd8 not an image")
    (coco / "train2017" / "three.jpg").write_bytes(b"")
    write_image(coco / "train2017" / "three.jpg", (32, 32))
    dataset = open_dataset(coco)
    assert [record.path.stem for record in dataset.split("train")] == ["three"]
    assert [item.code for item in dataset.findings] == ["YG317", "YG318"]


def test_a_damaged_image_is_found_when_decoding(tmp_path: Path) -> None:
    coco = write_coco(tmp_path)
    path = coco / "val2017" / "four.jpg"
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    data = bytearray(cv2.imencode(".png", pixels)[1].tobytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    dataset = open_dataset(coco)
    assert [item["code"] for item in check(dataset)["findings"]] == ["YG336"]
    answer = check(dataset, decode=True)
    assert [item["code"] for item in answer["findings"]] == ["YG336", "YG327"]
    assert answer["summary"]["YG327"]["count"] == 1


def test_the_dataset_folder_is_never_written(tmp_path: Path) -> None:
    root = write_yolo(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    check(open_dataset(root), decode=True)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before
