"""Text in UTF-8, UTF-16 and GB18030, names in any script, and a set in `训练 数据(1)` that trains."""

from __future__ import annotations

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from yolograft.data.augment import AugmentConfig
from yolograft.data.loader import TrainStream
from yolograft.data.records import Finding
from yolograft.data.shapes import shapes
from yolograft.data.source import open_dataset
from yolograft.data.split import plan_split, write_split
from yolograft.data.store import ImageStore
from yolograft.data.text import read_lines, read_text, read_xml
from yolograft.errors import DataError

TEXT = "猫\n狗(1)\ncat\n"


@pytest.mark.parametrize(
    ("encoding", "codes"),
    [("utf-8", 0), ("utf-8-sig", 0), ("gbk", 1), ("gb2312", 1), ("gb18030", 1), ("utf-16", 1)],
)
def test_every_encoding_gives_the_same_text(tmp_path: Path, encoding: str, codes: int) -> None:
    path = tmp_path / "类别.txt"
    path.write_bytes(TEXT.replace("\n", "\r\n").encode(encoding))
    found: list[Finding] = []
    lines = read_lines(path, file="类别.txt", found=found)
    assert lines == [(1, "猫"), (2, "狗(1)"), (3, "cat")]
    assert [(item.code, item.action) for item in found] == [("YG328", "corrected")] * codes
    assert read_text(path).split() == TEXT.split()


def test_only_line_ends_end_a_line(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("a\u2028b\u2029\x85\x0b\x0cc.png\r\n\rd\ne".encode())
    assert read_lines(path) == [(1, "a\u2028b\u2029\x85\x0b\x0cc.png"), (3, "d"), (4, "e")]


def test_neither_encoding_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"one\ntwo\ncaf\xe9\n")
    with pytest.raises(DataError, match=r"YG307 .*a\.txt:3: .*UTF-8"):
        read_text(path)


@pytest.mark.parametrize("declared", ["GBK", "gb2312", "GB18030", "utf-8", "UTF-16", "big5", "none", None])
def test_xml_in_the_encoding_it_declares(tmp_path: Path, declared: str | None) -> None:
    head = f'<?xml version="1.0" encoding="{declared}"?>\n' if declared else ""
    text = head + "<annotation><object><name>狗</name></object></annotation>"
    path = tmp_path / "a.xml"
    path.write_bytes(text.encode(declared if declared not in (None, "none") else "utf-8"))
    found: list[Finding] = []
    assert "<name>狗</name>" in read_xml(path, found=found)
    assert [item.code for item in found] == (["YG328"] if declared == "UTF-16" else [])


def test_names_that_are_not_utf_8_pass_through_everything(tmp_path: Path) -> None:
    yolo(tmp_path / "set", "utf-8")
    name = os.fsdecode("训练".encode("gbk"))
    folder = tmp_path / "set/images/训练"
    try:
        (folder / "三.jpg").rename(folder / f"{name}.jpg")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    picture(folder / "four\u2028五.jpg", 200)
    source = open_dataset(tmp_path / "set")
    assert source.fingerprint("train") != shapes(train=3, val=1, size=64).fingerprint("train")
    # What is said of the image can be printed and stored.
    missing = [item for item in source.findings if item.code == "YG316"]
    assert len(missing) == 2 and all(item.message.encode() and item.file.encode() for item in missing)
    plan = plan_split(source, val=0.5, duplicates=False)
    out = write_split(source, plan, source=str(source.root), out=tmp_path / "split")
    again = open_dataset(out)
    for split, records in plan.splits.items():
        assert [r.path for r in again.split(split)] == [r.path for r in records]
        lines = (out / f"{split}.txt").read_bytes().split(b"\n")[:-1]
        assert lines == [os.fsencode(r.path) for r in records]
    assert (
        ImageStore(source.split("train"), imgsz=(64, 64), cache="disk", cache_dir=tmp_path / "c").note == ""
    )


def test_what_calls_itself_gb2312_is_often_gbk(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_bytes('<?xml version="1.0" encoding="gb2312"?><a>镕</a>'.encode("gbk"))
    found: list[Finding] = []
    assert "镕" in read_xml(path, found=found) and found == []


def picture(path: Path, shade: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, np.full((48, 64, 3), shade, np.uint8))[1].tobytes())


def put(path: Path, text: str, encoding: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))


def voc(root: Path, encoding: str) -> None:
    for number, stem in enumerate(("图 一", "图(2)", "三")):
        picture(root / "JPEGImages" / f"{stem}.jpg", 60 * number)
        box = "<bndbox><xmin>8</xmin><ymin>8</ymin><xmax>40</xmax><ymax>40</ymax></bndbox>"
        head = '<?xml version="1.0" encoding="gb2312"?>' if encoding == "gbk" else ""
        body = f"{head}<annotation><object><name>红细胞</name>{box}</object></annotation>"
        put(root / "Annotations" / f"{stem}.xml", body, encoding)
    put(root / "ImageSets/Main/train.txt", "图 一\n图(2)\n三\n", encoding)


def yolo(root: Path, encoding: str) -> None:
    for number, stem in enumerate(("图 一", "图(2)", "三")):
        picture(root / "images/训练" / f"{stem}.jpg", 60 * number)
        put(root / "labels/训练" / f"{stem}.txt", "0 .375 .5 .5 .66666666666666663\n", encoding)
    put(root / "data.yaml", "train: images/训练\nnames: [红细胞]\n", encoding)


def coco(root: Path, encoding: str) -> None:
    document: dict[str, list[dict[str, object]]] = {"images": [], "annotations": []}
    for number, stem in enumerate(("图 一", "图(2)", "三")):
        picture(root / "train" / f"{stem}.jpg", 60 * number)
        document["images"].append({"id": number, "file_name": f"{stem}.jpg", "height": 48, "width": 64})
        document["annotations"].append({"image_id": number, "category_id": 1, "bbox": [8, 8, 32, 32]})
    document["categories"] = [{"id": 1, "name": "红细胞"}]
    put(root / "train/_annotations.coco.json", json.dumps(document, ensure_ascii=False), encoding)


def labelme(root: Path, encoding: str) -> None:
    for number, stem in enumerate(("图 一", "图(2)", "三")):
        picture(root / "train" / f"{stem}.jpg", 60 * number)
        shape = {"label": "红细胞", "points": [[8, 8], [40, 40]], "shape_type": "rectangle"}
        document = {"shapes": [shape], "imagePath": f"{stem}.jpg"}
        put(root / "train" / f"{stem}.json", json.dumps(document, ensure_ascii=False), encoding)


@pytest.mark.parametrize("encoding", ["utf-8", "gbk", "utf-16"])
@pytest.mark.parametrize("write", [voc, yolo, coco, labelme])
def test_a_chinese_folder_opens_and_trains(tmp_path: Path, write: object, encoding: str) -> None:
    assert callable(write)
    root = tmp_path / "训练 数据(1)"
    write(root, encoding)
    dataset = open_dataset(root)
    assert dataset.names == ("红细胞",)
    assert {record.path.stem for record in dataset.split("train")} == {"图 一", "图(2)", "三"}
    assert {item.code for item in dataset.findings} == (set() if encoding == "utf-8" else {"YG328"})
    for record in dataset.split("train"):
        np.testing.assert_allclose(record.boxes, [[8, 8, 40, 40]])
    train = TrainStream(
        dataset.split("train"), imgsz=(64, 64), batch=2, seed=0, augment=AugmentConfig(), epochs=1
    )
    batch = train.batch(0, 0)
    assert batch.images.shape == (2, 3, 64, 64) and len(batch.targets.boxes) > 0
