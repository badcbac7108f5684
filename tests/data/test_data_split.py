"""Splits of one's own: proportional, never through a group, outside the dataset, readable again."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolograft.data.images import decode_file
from yolograft.data.listed import SPLIT_FILE, read_listed, source_of, split_document, split_file
from yolograft.data.records import Dataset, ImageRecord
from yolograft.data.shapes import shapes
from yolograft.data.source import open_dataset
from yolograft.data.split import plan_split, split_counts, write_split
from yolograft.data.yolo import read_yolo_yaml
from yolograft.errors import DataError
from yolograft.rng import stream

SETS = Path(__file__).resolve().parents[2].parent / "shared" / "datasets"


def record(image_id: str, labels: list[int]) -> ImageRecord:
    boxes = np.tile([1.0, 1, 9, 9], (len(labels), 1)).reshape(-1, 4)
    return ImageRecord(
        image_id=image_id,
        path=Path("nowhere") / image_id,
        height=10,
        width=10,
        boxes=boxes,
        labels=np.array(labels, np.int64),
        crowd=np.zeros(len(labels), np.bool_),
        area=np.full(len(labels), 64.0),
        rows=len(labels),
        rows_per_class=(0,),
    )


def dataset(records: list[ImageRecord], classes: int = 3) -> Dataset:
    return Dataset(Path("nowhere"), "yolo", tuple("abc"[:classes]), {"train": tuple(records)})


def ids(records: tuple[ImageRecord, ...]) -> list[str]:
    return [item.image_id for item in records]


@given(
    rows=st.lists(st.lists(st.integers(0, 2), max_size=5), min_size=3, max_size=40),
    folders=st.integers(3, 12),
    val=st.floats(0.05, 0.6),
    test=st.sampled_from([0.0, 0.1, 0.3]),
    seed=st.integers(0, 5),
)
def test_every_image_once_and_no_group_in_two_splits(
    rows: list[list[int]], folders: int, val: float, test: float, seed: int
) -> None:
    data = dataset([record(f"scene{n % folders}/{n:03d}.jpg", labels) for n, labels in enumerate(rows)])
    plan = plan_split(data, val=val, test=test, group_by=r"^(scene\d+)/", seed=seed, duplicates=False)
    again = plan_split(data, val=val, test=test, group_by=r"^(scene\d+)/", seed=seed, duplicates=False)
    assert {n: ids(r) for n, r in plan.splits.items()} == {n: ids(r) for n, r in again.splits.items()}
    assert list(plan.splits) == (["train", "val", "test"] if test else ["train", "val"])
    assert sorted(i for r in plan.splits.values() for i in ids(r)) == sorted(ids(data.splits["train"]))
    assert all(plan.splits.values()) and plan.groups == min(folders, len(rows)) and plan.unmatched == 0
    scenes = [{i.split("/")[0] for i in ids(r)} for r in plan.splits.values()]
    assert sum(map(len, scenes)) == len(set().union(*scenes))


def test_every_class_is_shared_out_in_proportion() -> None:
    rng = stream("stratify")
    # 500 images; class 0 is everywhere, class 2 in thirty boxes.
    rows = [[0] * int(rng.integers(0, 9)) + [1] * int(rng.integers(0, 3)) for _ in range(500)]
    for place in rng.choice(500, 30, replace=False).tolist():
        rows[place].append(2)
    data = dataset([record(f"{n}.jpg", labels) for n, labels in enumerate(rows)])
    plan = plan_split(data, val=0.2, test=0.1, duplicates=False)
    counts = split_counts(data, plan)
    for name, share in (("train", 0.7), ("val", 0.2), ("test", 0.1)):
        assert counts[name]["images"] == pytest.approx(500 * share, rel=0.1)
        for label, letter in enumerate("abc"):
            whole = sum(labels.count(label) for labels in rows)
            assert counts[name]["boxes_per_class"][letter] == pytest.approx(whole * share, abs=1.5, rel=0.05)


def test_another_seed_is_another_split_and_input_order_is_not() -> None:
    records = [record(f"{n:02d}.jpg", [n % 3]) for n in range(40)]
    first = ids(plan_split(dataset(records), val=0.25, duplicates=False).splits["val"])
    turned = ids(plan_split(dataset(records[::-1]), val=0.25, duplicates=False).splits["val"])
    other = ids(plan_split(dataset(records), val=0.25, seed=1, duplicates=False).splits["val"])
    assert first == turned != other
    assert abs(len(first) - 10) <= 1 and abs(len(other) - 10) <= 1


def test_near_duplicates_stay_together_unless_told_otherwise(tmp_path: Path) -> None:
    source = shapes(train=6, val=2, size=64)
    images = list(source.splits["train"])
    for number, item in enumerate(list(images)):
        picture = decode_file(item.path)[..., ::-1]
        path = tmp_path / f"z{number}.jpg"
        path.write_bytes(cv2.imencode(".jpg", picture[:, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes())
        images.append(dataclasses.replace(item, image_id=f"z{number}.jpg", path=path))
    data = dataclasses.replace(source, splits={"train": tuple(images)})
    together = plan_split(data, val=0.4)
    assert (together.groups, together.similar) == (6, 12)
    pairs = {a.image_id: f"z{n}.jpg" for n, a in enumerate(images[:6])}
    for records in together.splits.values():
        here = set(ids(records))
        assert all((a in here) == (b in here) for a, b in pairs.items())
    assert plan_split(data, val=0.4, duplicates=False).groups == 12


@pytest.mark.parametrize(
    ("code", "options"),
    [
        ("YG351", {"val": 0.0}),
        ("YG351", {"val": 1.0}),
        ("YG351", {"val": float("nan")}),
        ("YG351", {"val": 0.5, "test": 0.5}),
        ("YG351", {"val": 0.2, "test": -0.1}),
        ("YG351", {"val": 0.2, "group_by": r"^(sc)"}),
        ("YG352", {"val": 0.2, "group_by": r"(("}),
        ("YG352", {"val": 0.2, "group_by": r"patient"}),
    ],
)
def test_wrong_input_is_one_line(code: str, options: dict[str, object]) -> None:
    data = dataset([record(f"scene/{n}.jpg", [0]) for n in range(9)])
    with pytest.raises(DataError) as error:
        plan_split(data, duplicates=False, **options)  # pyright: ignore[reportArgumentType]
    assert error.value.code == code and "\n" not in error.value.line()


def test_what_does_not_match_stands_alone_and_is_counted() -> None:
    data = dataset([record(name, []) for name in ("p1-a.jpg", "p1-b.jpg", "p2-a.jpg", "x.jpg", "y.jpg")])
    plan = plan_split(data, val=0.4, group_by=r"^(p\d)-", duplicates=False)
    assert (plan.groups, plan.unmatched) == (4, 2)
    # An optional group that took no part, or an empty match, groups nothing.
    plan = plan_split(data, val=0.4, group_by=r"^(p1)?", duplicates=False)
    assert (plan.groups, plan.unmatched) == (4, 3)


def write_images(folder: Path, count: int) -> None:
    """A YOLO folder with one box an image."""
    for number in range(count):
        image = stream("split image", number).integers(0, 255, (24, 32, 3)).astype(np.uint8)
        name = f"图 #{number}"
        for part in ("images", "labels"):
            (folder / part / "all").mkdir(parents=True, exist_ok=True)
        (folder / "images" / "all" / f"{name}.png").write_bytes(cv2.imencode(".png", image)[1].tobytes())
        (folder / "labels" / "all" / f"{name}.txt").write_text(
            f"{number % 2} .5 .5 .5 .25\n", encoding="utf-8"
        )
    text = 'train: images/all\nnames: ["猫", "it\'s: a #dog"]\n'
    (folder / "data.yaml").write_text(text, encoding="utf-8")


def test_written_lists_are_a_dataset_for_us_and_for_yolo_readers(tmp_path: Path) -> None:
    root = tmp_path / "训练 数据(1)"
    write_images(root, 10)
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    source = open_dataset(root)
    plan = plan_split(source, val=0.3, test=0.2)
    out = write_split(source, plan, source=source_of(root), out=tmp_path / "out" / "mine")
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before
    assert sorted(p.name for p in out.iterdir()) == [
        *("data.yaml", "split.json", "test.txt", "train.txt", "val.txt")
    ]
    assert [p.name for p in out.parent.iterdir()] == ["mine"]
    again = read_listed(out / SPLIT_FILE, opener=open_dataset)
    assert again.names == source.names and again.root == source.root and again.format == "yolo"
    assert {n: ids(r) for n, r in again.splits.items()} == {n: ids(r) for n, r in plan.splits.items()}
    plain = read_yolo_yaml(out / "data.yaml")
    assert plain.names == source.names
    for name, records in plan.splits.items():
        assert [r.path for r in plain.split(name)] == [r.path for r in records]
        assert [r.boxes.tolist() for r in plain.split(name)] == [r.boxes.tolist() for r in records]


def test_a_split_of_another_format_keeps_its_boxes(tmp_path: Path) -> None:
    source = shapes(train=12, val=4, size=64)
    plan = plan_split(source, val=0.25, duplicates=False)
    out = write_split(source, plan, source=str(source.root), out=tmp_path / "mine")
    assert not (out / "data.yaml").exists()
    again = read_listed(out / SPLIT_FILE, opener=open_dataset)
    assert [len(r) for r in again.splits.values()] == [12, 4]
    assert again.fingerprint("val") == dataclasses.replace(source, splits=plan.splits).fingerprint("val")
    lines = (out / "val.txt").read_text(encoding="utf-8").splitlines()
    assert lines == [str(r.path) for r in plan.splits["val"]] and all(Path(line).is_file() for line in lines)


def test_an_out_folder_is_outside_and_new(tmp_path: Path) -> None:
    source = shapes(train=4, val=2, size=64)
    plan = plan_split(source, val=0.5, duplicates=False)
    full = tmp_path / "full"
    full.mkdir()
    (full / "x").write_text("", encoding="utf-8")
    for out in (source.root, source.root / "new", source.root / "train" / "new", full, full / "x"):
        with pytest.raises(DataError, match="YG353"):
            write_split(source, plan, source="shapes", out=out)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert write_split(source, plan, source="shapes", out=empty) == empty.resolve()


def test_a_listed_split_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    source = shapes(train=4, val=2, size=64)
    known = {name: list(records) for name, records in source.splits.items()}
    path = tmp_path / SPLIT_FILE

    def read(text: str) -> Dataset:
        path.write_text(text, encoding="utf-8")
        return read_listed(path, opener=open_dataset)

    gone = record("gone.jpg", [])
    root = str(source.root)
    found = read(split_document(root, {"train": known["train"], "val": [gone, *known["val"]]})).findings
    assert [(f.file, f.code, f.action) for f in found] == [("gone.jpg", "YG317", "dropped")]
    for code, text in (
        ("YG302", split_document(root, {"train": [gone]})),
        ("YG301", split_document(str(tmp_path / "nowhere"), known)),
        ("YG308", split_document(str(tmp_path), known)),
        ("YG308", '{"yolograft": "split"'),
        ("YG308", '{"yolograft": "split", "source": 3, "splits": {}}'),
        ("YG308", json.dumps({"yolograft": "split", "source": root, "splits": {"train": [3]}})),
        ("YG308", '{"yolograft": "split", "source": "x", "splits": ["train"]}'),
    ):
        with pytest.raises(DataError) as error:
            read(text)
        assert error.value.code == code, text
    path.write_text(split_document(root, known), encoding="utf-8")
    assert split_file(tmp_path) == split_file(path) == path and source_of(tmp_path) == root
    path.write_text('{"images": [], "annotations": [], "categories": []}', encoding="utf-8")
    assert split_file(tmp_path) is None and source_of(tmp_path) == str(tmp_path.resolve())
    assert source_of("shapes") == "shapes"


def test_an_image_with_other_boxes_in_another_split_is_refused_and_with_the_same_is_one_image() -> None:
    twice = record("a.jpg", [0, 1])
    turned = dataclasses.replace(twice, boxes=twice.boxes[::-1], labels=twice.labels[::-1])
    more = tuple(record(f"{n}.jpg", [n % 2]) for n in range(4))
    for other, equal in ((turned, True), (record("a.jpg", [0, 2]), False), (record("a.jpg", []), False)):
        data = Dataset(Path("set"), "coco", tuple("abc"), {"train": (twice, *more), "val": (other,)})
        if equal:
            plan = plan_split(data, val=0.4, duplicates=False)
            assert sum(len(records) for records in plan.splits.values()) == 5
        else:
            with pytest.raises(
                DataError, match=r"YG308 set: a\.jpg has other boxes in two splits \(2 in train"
            ):
                plan_split(data, val=0.4, duplicates=False)


def test_a_listed_split_never_takes_one_of_two_annotations(tmp_path: Path) -> None:
    source = shapes(train=4, val=2, size=64)
    first = source.splits["train"][0]
    path = tmp_path / SPLIT_FILE
    path.write_text(split_document(str(source.root), source.splits), encoding="utf-8")
    bare = dataclasses.replace(first, boxes=first.boxes[:0], labels=first.labels[:0])
    bare = dataclasses.replace(bare, crowd=first.crowd[:0], area=first.area[:0])
    odd = dataclasses.replace(source, splits={**source.splits, "val": (bare,)})
    with pytest.raises(DataError, match="YG308"):
        read_listed(path, opener=lambda _: odd)


def test_many_images_are_dealt_in_seconds() -> None:
    # Counting the members of a group again for each image took 7 s here, and 30 for twice as many.
    data = dataset([record(f"{n}.jpg", []) for n in range(20_000)])
    before = time.process_time()
    plan = plan_split(data, val=0.2, duplicates=False)
    assert time.process_time() - before < 6 and plan.similar == 0


@pytest.mark.datasets
@pytest.mark.skipif(not SETS.is_dir(), reason="the shared datasets folder is not here")
def test_bccd_is_dealt_in_proportion() -> None:
    source = open_dataset(SETS / "bccd")
    plan = plan_split(source, val=0.2)
    assert plan.groups < 364 and plan.similar >= 2
    counts = split_counts(source, plan)
    assert counts["val"]["images"] == pytest.approx(0.2 * 364, abs=4)
    for name in source.names:
        both = [counts[split]["boxes_per_class"][name] for split in ("train", "val")]
        assert both[1] / sum(both) == pytest.approx(0.2, abs=0.01)
