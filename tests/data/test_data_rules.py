"""Every rule of docs/data.md: one tiny folder with one fault, its code, its action, the boxes that remain."""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from yolograft.data.check import check
from yolograft.data.findings import FINDINGS, REFUSALS
from yolograft.data.records import Dataset
from yolograft.data.source import open_dataset
from yolograft.data.store import ImageStore
from yolograft.errors import MAX_LINE, DataError

ROOT = Path(__file__).resolve().parents[2]
HALF = "0 .5 .5 .5 .5\n"
BOX = [[16.0, 8.0, 48.0, 24.0]]


def encoded(suffix: str = ".jpg", size: tuple[int, int] = (32, 64)) -> bytes:
    ramp = np.linspace(0, 255, size[0] * size[1] * 3).reshape(*size, 3).astype(np.uint8)
    return cv2.imencode(suffix, ramp)[1].tobytes()


def put(path: Path, content: bytes | str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def yolo(
    root: Path,
    labels: str = HALF,
    *,
    name: str = "a.jpg",
    image: bytes | None = None,
    yaml: str = "names: [cat, dog]\n",
) -> None:
    put(root / "images/train" / name, encoded() if image is None else image)
    put(root / "labels/train" / f"{Path(name).stem}.txt", labels)
    put(root / "data.yaml", "train: images/train\n" + yaml)


def voc(root: Path, *boxes: tuple[object, ...], extra: str = "") -> None:
    tags = ("xmin", "ymin", "xmax", "ymax")
    body = "".join(
        f"<object><name>{name}</name><bndbox>"
        + "".join(f"<{tag}>{value}</{tag}>" for tag, value in zip(tags, corners, strict=True))
        + "</bndbox></object>\n"
        for name, *corners in boxes
    )
    put(root / "JPEGImages/a.jpg", encoded())
    put(root / "Annotations/a.xml", f"{extra}<annotation>\n{body}</annotation>")
    put(root / "ImageSets/Main/train.txt", "a\n")


def coco(root: Path, annotations: list[dict[str, Any]], **changes: object) -> None:
    put(root / "train/a.jpg", encoded())
    document = {
        "images": [{"id": 1, "file_name": "a.jpg", "height": 32, "width": 64}],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "cat"}, {"id": 4, "name": "dog"}],
    }
    put(root / "train/_annotations.coco.json", json.dumps(document | changes))


def labelme(root: Path, *shapes: dict[str, Any], **changes: object) -> None:
    put(root / "a.jpg", encoded())
    document = {"version": "5.5.0", "flags": {}, "shapes": list(shapes), "imagePath": "a.jpg"}
    put(root / "a.json", json.dumps(document | {"imageHeight": 32, "imageWidth": 64} | changes))


def row(**changes: object) -> dict[str, Any]:
    return {"id": 1, "image_id": 1, "category_id": 1, "bbox": [16, 8, 32, 16], "iscrowd": 0} | changes


def turned(jpeg: bytes) -> bytes:
    tiff = b"II" + struct.pack("<HIH", 42, 8, 1) + struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0) + bytes(4)
    block = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + jpeg[2:]


def alpha_png() -> bytes:
    return cv2.imencode(".png", np.full((32, 64, 4), 90, np.uint8))[1].tobytes()


def deep_png() -> bytes:
    return cv2.imencode(".png", np.full((32, 64), 1000, np.uint16))[1].tobytes()


def listed(root: Path, text: str, **images: bytes) -> None:
    yolo(root)
    for name, data in images.items():
        put(root / f"images/train/{name}.jpg", data)
    put(root / "train.txt", text)
    put(root / "data.yaml", "train: train.txt\nnames: [cat, dog]\n")


def rectangle(**changes: object) -> dict[str, Any]:
    return {"label": "cat", "points": [[16, 8], [48, 24]], "shape_type": "rectangle"} | changes


def beside_a_sound_one(root: Path, image: bytes, name: str = "b.jpg") -> None:
    """Image `a.jpg` as it should be, and another, `b`, of these bytes."""
    yolo(root, name=name, image=image)
    yolo(root)


def two_pages() -> bytes:
    page = np.full((32, 64, 3), 90, np.uint8)
    return cv2.imencodemulti(".tiff", [page, page])[1].tobytes()


def latin(root: Path) -> None:
    yolo(root)
    put(root / "labels/train/a.txt", b"0 .5 .5 .5 .5\n\xe9\n")


def other_cases(root: Path) -> None:
    yolo(root, name="a.JPG")
    (root / "labels/train/a.txt").rename(root / "labels/train/A.TXT")


def beside(root: Path) -> None:
    yolo(root)
    (root / "labels/train/a.txt").rename(root / "images/train/a.txt")


def doctype(root: Path) -> None:
    voc(root, ("cat", 16, 8, 48, 24), extra='<!DOCTYPE a SYSTEM "file:///x.dtd">')


def chinese(root: Path) -> None:
    yolo(root, yaml="")
    (root / "data.yaml").unlink()
    put(root / "classes.txt", "猫\n狗\n".encode("gbk"))


def with_json_outside(root: Path) -> None:
    labelme(root / "train", rectangle())
    labelme(root / "drafts", rectangle())


Make = Callable[[Path], object]
# name -> (how the folder is made, codes, boxes that remain in the first split or None when it is empty)
RULES: dict[str, tuple[Make, list[str], list[Any] | None]] = {
    "unreadable row": (lambda p: yolo(p, HALF + "0 .5 .5\n"), ["YG310"], BOX),
    "row with a confidence": (lambda p: yolo(p, HALF + "0 .5 .5 .1 .1 .9\n"), ["YG310"], BOX),
    "voc without a name": (lambda p: voc(p, ("cat", 16, 8, 48, 24), ("", 1, 2, 3, 4)), ["YG310"], BOX),
    "yolo nan": (lambda p: yolo(p, HALF + "0 nan .5 .1 .1\n"), ["YG311"], BOX),
    "voc infinite": (lambda p: voc(p, ("cat", 16, 8, 48, 24), ("cat", 1, 2, "inf", 4)), ["YG311"], BOX),
    "coco nan": (lambda p: coco(p, [row(), row(bbox=[1, 2, float("nan"), 4])]), ["YG311"], BOX),
    "class beyond": (lambda p: yolo(p, HALF + "2 .5 .5 .5 .5\n"), ["YG312"], BOX),
    "class below": (lambda p: yolo(p, HALF + "-1 .5 .5 .5 .5\n"), ["YG312"], BOX),
    "class with a point": (lambda p: yolo(p, HALF + "0.5 .5 .5 .5 .5\n"), ["YG312"], BOX),
    "class 0.0": (lambda p: yolo(p, "0.0 .5 .5 .5 .5\n"), [], BOX),
    "coco unknown category": (lambda p: coco(p, [row(), row(category_id=3)]), ["YG312"], BOX),
    "no area": (lambda p: yolo(p, HALF + "0 .5 .5 0 .5\n"), ["YG313"], BOX),
    "corners swapped": (lambda p: voc(p, ("cat", 16, 8, 48, 24), ("cat", 9, 2, 3, 4)), ["YG313"], BOX),
    "all outside": (lambda p: coco(p, [row(), row(bbox=[70, 2, 5, 5])]), ["YG313"], BOX),
    "partly outside": (lambda p: yolo(p, "0 .75 .5 1 .5\n"), ["YG314"], [[16, 8, 64, 24]]),
    "outside by rounding": (lambda p: voc(p, ("cat", -0.4, 0, 64.5, 32)), [], [[0, 0, 64, 32]]),
    "polygon": (lambda p: yolo(p, "0 .25 .25 .75 .25 .75 .75\n"), ["YG315"], BOX),
    "oriented box": (lambda p: yolo(p, "0 .25 .5 .5 .25 .75 .5 .5 .75\n"), ["YG315"], BOX),
    "no label file": (lambda p: yolo(p, name="a.jpg") or (p / "labels/train/a.txt").unlink(), ["YG316"], []),
    "empty label file": (lambda p: yolo(p, ""), [], []),
    "listed, not there": (lambda p: listed(p, "images/train/a.jpg\nimages/train/b.jpg\n"), ["YG317"], BOX),
    "label without image": (lambda p: yolo(p) or put(p / "labels/train/z.txt", HALF), ["YG317"], BOX),
    "empty image": (lambda p: beside_a_sound_one(p, b""), ["YG318"], BOX),
    "no image by its content": (lambda p: beside_a_sound_one(p, b"hello" * 50), ["YG318"], BOX),
    "another size stated": (
        lambda p: coco(p, [row()], images=[{"id": 1, "file_name": "a.jpg", "height": 64, "width": 32}]),
        ["YG319"],
        BOX,
    ),
    "download entry": (lambda p: yolo(p, yaml="names: [cat, dog]\ndownload: x\n"), ["YG320"], BOX),
    "unknown image id": (lambda p: coco(p, [row(), row(image_id=9)]), ["YG321"], BOX),
    "outside every split": (with_json_outside, ["YG321"], BOX),
    "listed twice": (lambda p: listed(p, "images/train/a.jpg\n./images/train/a.jpg\n"), ["YG322"], BOX),
    "two formats": (lambda p: voc(p, ("cat", 16, 8, 48, 24)) or coco(p, [row()]), ["YG323"], BOX),
    "no split lists": (
        lambda p: voc(p, ("cat", 16, 8, 48, 24)) or (p / "ImageSets").rename(p / "lists"),
        ["YG324"],
        BOX,
    ),
    "declared split is gone": (lambda p: yolo(p, yaml="names: [cat, dog]\ntest: t\n"), ["YG325"], BOX),
    "voc without xml": (
        lambda p: voc(p, ("cat", 16, 8, 48, 24)) or put(p / "ImageSets/Main/train.txt", "a\nb\n"),
        ["YG326"],
        BOX,
    ),
    "labelme without json": (
        lambda p: labelme(p, rectangle()) or put(p / "b.jpg", encoded()), ["YG326"], BOX
    ),
    "gb18030": (chinese, ["YG328"], BOX),
    "truncated jpeg": (lambda p: beside_a_sound_one(p, encoded()[:-20]), ["YG329"], BOX),
    "truncated png": (lambda p: beside_a_sound_one(p, encoded(".png")[:-12], "b.png"), ["YG329"], BOX),
    "truncated webp": (lambda p: beside_a_sound_one(p, encoded(".webp")[:-9], "b.webp"), ["YG329"], BOX),
    "truncated bmp": (lambda p: beside_a_sound_one(p, encoded(".bmp")[:-9], "b.bmp"), ["YG329"], BOX),
    "bytes behind the end": (lambda p: yolo(p, image=encoded() + bytes(99)), [], BOX),
    "png named jpg": (lambda p: yolo(p, image=encoded(".png")), ["YG336"], BOX),
    "another case": (lambda p: listed(p, "images/train/A.JPG\n"), ["YG336"], BOX),
    "folder in another case": (lambda p: listed(p, "Images/train/a.jpg\n"), [], BOX),
    "upper-case suffixes": (other_cases, [], BOX),
    "alpha": (lambda p: yolo(p, name="a.png", image=alpha_png()), ["YG337"], BOX),
    "16 bits": (lambda p: yolo(p, name="a.png", image=deep_png()), ["YG337"], BOX),
    "pixels for fractions": (
        lambda p: yolo(p, HALF + "0 .5 .5 .1 .1\n0 30 16 8 8\n"),
        ["YG338"],
        [*BOX, pytest.approx([28.8, 14.4, 35.2, 17.6])],
    ),
    "fractions for pixels": (
        lambda p: voc(p, *[("cat", 16 + i, 8, 48, 24) for i in (0, 1, 2)], ("cat", 0.1, 0.1, 0.4, 0.9)),
        ["YG338"],
        [[16 + i, 8, 48, 24] for i in (0, 1, 2)],
    ),
    "turned by exif": (lambda p: yolo(p, image=turned(encoded(size=(64, 32)))), ["YG345"], BOX),
    "same row twice": (lambda p: yolo(p, HALF + HALF), ["YG346"], BOX),
    "same box, other class": (lambda p: yolo(p, HALF + "1 .5 .5 .5 .5\n"), [], BOX + BOX),
    "same annotation twice": (lambda p: coco(p, [row(), row(id=2)]), ["YG346"], BOX),
    "same annotation id": (lambda p: coco(p, [row(), row(bbox=[0, 0, 9, 9])]), [], [*BOX, [0, 0, 9, 9]]),
    "names with spaces, twice": (lambda p: yolo(p, yaml='names: ["cat ", cat]\n'), ["YG347", "YG347"], BOX),
    "class 0 unused": (lambda p: yolo(p, "1 .5 .5 .5 .5\n"), ["YG348"], BOX),
    "a stray id K": (
        lambda p: yolo(p, "2 .5 .5 .5 .5\n4 .5 .5 .2 .2\n", yaml="names: [a, b, c, d]\n"),
        ["YG312", "YG348"],
        BOX,
    ),
    "voc in upper case and a folder": (
        lambda p: voc(p, ("cat", 16, 8, 48, 24)) or (p / "Annotations/a.xml").replace(
            put(p / "Annotations/day/A.XML", "")
        ),
        [],
        BOX,
    ),
    "voc annotated twice": (
        lambda p: (
            voc(p, ("cat", 16, 8, 48, 24)),
            put(p / "Annotations/b.xml", "<annotation><filename>a.jpg</filename></annotation>"),
            put(p / "ImageSets/Main/train.txt", "a\nb\n"),
        ),
        ["YG322"],
        BOX,
    ),
    "coco ids as text": (lambda p: coco(p, [row(category_id="1", iscrowd="0")]), [], BOX),
    "coco box as text": (lambda p: coco(p, [row(), row(bbox="1234")]), ["YG310"], BOX),
    "coco size without end": (
        lambda p: coco(p, [row()], images=[{"id": 1, "file_name": "a.jpg", "height": math.inf, "width": 9}]),
        [],
        BOX,
    ),
    "point and line": (
        lambda p: labelme(p, rectangle(), rectangle(shape_type="point"), rectangle(shape_type="linestrip")),
        ["YG349", "YG349"],
        BOX,
    ),
    "bom, crlf, blank lines": (lambda p: yolo(p, "\ufeff\r\n" + HALF.strip() + "\r\n\r\n  \r\n"), [], BOX),
    "doctype": (doctype, [], BOX),
    "two pages": (lambda p: yolo(p, name="a.tif", image=two_pages()), ["YG339"], BOX),
    "label beside image": (beside, [], BOX),
}  # fmt: skip


def boxes_of(dataset: Dataset) -> list[list[float]] | None:
    records = next(iter(dataset.splits.values()))
    return [box for record in records for box in record.boxes.tolist()] if records else None


@pytest.mark.parametrize("rule", RULES)
def test_rule(tmp_path: Path, rule: str) -> None:
    make, codes, boxes = RULES[rule]
    make(tmp_path)
    before = {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")}
    dataset = open_dataset(tmp_path)
    assert sorted(item.code for item in dataset.findings) == sorted(codes)
    assert all(item.action == FINDINGS[item.code][0] for item in dataset.findings)
    assert boxes_of(dataset) == boxes
    assert open_dataset(tmp_path).findings == dataset.findings
    # What was dropped is dropped for good: everything left decodes, and training sees the boxes counted.
    answer = check(dataset, decode=True)
    assert len(answer["findings"]) == len(codes)
    records = next(iter(dataset.splits.values()))
    store = ImageStore(records, imgsz=(64, 64), cache="none")
    trained = sum(len(store.targets(index)[0]) for index in range(len(store)))
    assert trained == next(iter(answer["splits"].values()))["boxes_used"]
    assert all(store[index].image.shape[2] == 3 for index in range(len(store)))
    assert {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")} == before


BOMB = '<!DOCTYPE a [<!ENTITY a "aaa"><!ENTITY b "&a;&a;&a;">]>'
OUTSIDE = '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]>'
REFUSED: dict[str, tuple[Make, str, str]] = {
    "ids from 1": (lambda p: yolo(p, "1 .5 .5 .5 .5\n2 .5 .5 .2 .2\n"), "YG309", "labels/train/a.txt:2"),
    "one class, id 1": (lambda p: yolo(p, "1 .5 .5 .5 .5\n", yaml="names: [cat]\n"), "YG309", "a.txt:1"),
    "all in pixels": (lambda p: yolo(p, "0 30 16 8 8\n"), "YG309", "labels/train/a.txt:1"),
    "all in pixels, in two splits": (
        lambda p: yolo(p, "0 30 16 8 8\n", yaml="val: images/train\ntest: images/train\nnames: [cat]\n"),
        "YG309",
        "labels/train/a.txt:1",
    ),
    "folders without images": (
        lambda p: yolo(p) or (p / "images/train/a.jpg").rename(p / "images/train/a.txt"), "YG305", ""
    ),
    "no image is one": (lambda p: yolo(p, image=b"hello" * 50), "YG305", ""),
    "voc without images": (lambda p: voc(p) or (p / "JPEGImages/a.jpg").unlink(), "YG305", ""),
    "all in fractions": (lambda p: voc(p, ("cat", 0.1, 0.1, 0.9, 0.9)), "YG309", "Annotations/a.xml:2"),
    "billion laughs": (lambda p: voc(p, ("&b;", 1, 2, 3, 4), extra=BOMB), "YG308", "a.xml:1"),
    "external entity": (lambda p: voc(p, ("&b;", 1, 2, 3, 4), extra=OUTSIDE), "YG308", "a.xml:1"),
    "empty xml": (lambda p: voc(p) or put(p / "Annotations/a.xml", ""), "YG308", "a.xml:1"),
    "image ids shared": (
        lambda p: coco(p, [row()], images=[{"id": 1, "file_name": "a.jpg"}, {"id": 1, "file_name": "b.jpg"}]),
        "YG308",
        "train/_annotations.coco.json",
    ),
    "gap in classes.txt": (
        lambda p: yolo(p, yaml="") or (p / "data.yaml").unlink() or put(p / "classes.txt", "cat\n\ndog\n"),
        "YG308",
        "classes.txt:2",
    ),
    "key points": (lambda p: yolo(p, yaml="names: [cat]\nkpt_shape: [4, 2]\n"), "YG308", "data.yaml"),
    "names and nc": (lambda p: yolo(p, yaml="names: [cat]\nnc: 2\n"), "YG308", "data.yaml"),
    "latin text": (latin, "YG307", "a.txt:2"),
    "no image": (lambda p: yolo(p) or put(p / "data.yaml", "train: t\nnames: [cat]\n"), "YG302", "data.yaml"),
}  # fmt: skip


@pytest.mark.parametrize("rule", REFUSED)
def test_refusal(tmp_path: Path, rule: str) -> None:
    make, code, where = REFUSED[rule]
    make(tmp_path)
    with pytest.raises(DataError) as caught:
        open_dataset(tmp_path)
    assert caught.value.code == code and code in REFUSALS
    assert caught.value.where.endswith(where)
    line = caught.value.line()
    assert len(line) <= MAX_LINE and "\n" not in line
    assert caught.value.fix or code in {"YG307", "YG308"}


def test_every_code_has_a_rule() -> None:
    covered = {code for _, codes, _ in RULES.values() for code in codes}
    # Found by decoding, and by looking at pictures side by side: tests of their own.
    assert covered == FINDINGS.keys() - {"YG327", "YG350"}


def test_ids_from_one_are_fine_in_coco(tmp_path: Path) -> None:
    coco(tmp_path, [row(category_id=4)])
    dataset = open_dataset(tmp_path)
    assert dataset.findings == () and dataset.split("train")[0].labels.tolist() == [1]


def test_a_link_out_of_the_folder_is_followed_and_a_ring_ends(tmp_path: Path) -> None:
    yolo(tmp_path / "set")
    moved = (tmp_path / "set/images/train/a.jpg").rename(tmp_path / "elsewhere.jpg")
    (tmp_path / "set/images/train/a.jpg").symlink_to(moved)
    (tmp_path / "set/images/train/ring").symlink_to(tmp_path / "set/images", target_is_directory=True)
    dataset = open_dataset(tmp_path / "set")
    assert [record.image_id for record in dataset.split("train")] == ["images/train/a.jpg"]
    assert boxes_of(dataset) == BOX and dataset.findings == ()


def test_crowd_is_neither_trained_on_nor_lost(tmp_path: Path) -> None:
    coco(tmp_path, [row(), row(id=2, bbox=[0, 0, 9, 9], iscrowd=1)])
    records = open_dataset(tmp_path).split("train")
    assert records[0].crowd.tolist() == [False, True]
    assert len(ImageStore(records, imgsz=(64, 64)).targets(0)[0]) == 1


@pytest.mark.parametrize("page", ["data.md", "data.zh.md"])
def test_the_page_names_every_code_and_its_action(page: str) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert set(re.findall(r"YG3\d\d", text)) == FINDINGS.keys() | REFUSALS.keys()
    words = {"kept": "保留", "corrected": "修正", "dropped": "丢弃", "refused": "拒绝"}
    rows = [line.split("|") for line in text.splitlines() if line.startswith("|") and "YG3" in line]
    for cells in rows:
        for code in re.findall(r"YG3\d\d", cells[-2]):
            action = FINDINGS[code][0] if code in FINDINGS else "refused"
            assert (words[action] if page == "data.zh.md" else action) in cells[2], cells


def test_readers_raise_no_code_that_the_table_lacks() -> None:
    readers = ("source", "rows", "text", "voc", "voc_xml", "coco", "yolo", "yolo_rows", "labelme", "visdrone")
    for name in (*readers, "listed", "records"):
        text = (ROOT / "src" / "yolograft" / "data" / f"{name}.py").read_text(encoding="utf-8")
        assert set(re.findall(r'DataError\(\s*"(YG\d+)"', text)) <= REFUSALS.keys(), name
