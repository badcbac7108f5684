"""Conversion: what is written is read back, box by box, in every format, whatever the names."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yolograft.data.convert import FORMATS, convert
from yolograft.data.records import Dataset, ImageRecord
from yolograft.data.shapes import shapes
from yolograft.data.source import open_dataset
from yolograft.data.write_coco import extent
from yolograft.data.write_yolo import yaml_text
from yolograft.errors import DataError
from yolograft.rng import stream

SETS = Path(__file__).resolve().parents[2].parent / "shared" / "datasets"
# Pixels the boxes may differ by once they are read again.
PRECISION = {"yolo": 1e-6, "coco": 1e-12, "voc": 0.0, "labelme": 0.0}
SIZES = ((24, 32), (17, 61), (64, 64), (33, 9))
STEMS = (
    "a",
    "图 1",
    "photo 0",
    "it's #2",
    "x: [y]",
    "A",
    "é",
    "e\u0301",
    "a.b",
    "%20",
    "-1",
    "'q' \"r\"",
    "images",
)

TEXT = st.text(st.characters(blacklist_categories=["Cc", "Cs", "Cn", "Zl", "Zp"]), min_size=1, max_size=8)
NAMES = st.lists(
    TEXT.map(lambda text: " ".join(text.split())).filter(bool), min_size=1, max_size=5, unique=True
)


@st.composite
def rows(draw: st.DrawFn, size: tuple[int, int], classes: int) -> tuple[list[float], int]:
    """One box of two pixels or more, its corners any floats, and its class."""
    height, width = size
    x1 = draw(st.floats(0, width - 4))
    y1 = draw(st.floats(0, height - 4))
    x2 = draw(st.floats(x1 + 2, width))
    y2 = draw(st.floats(y1 + 2, height))
    return [x1, y1, x2, y2], draw(st.integers(0, classes - 1))


def apart(content: list[tuple[list[float], int]]) -> list[tuple[list[float], int]]:
    """Without boxes that a text format cannot tell from an earlier one, which a reader takes for a double."""
    return [
        row
        for index, row in enumerate(content)
        if all(max(abs(a - b) for a, b in zip(row[0], e[0], strict=True)) > 1e-6 for e in content[:index])
    ]


def picture(path: Path, size: tuple[int, int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = stream("convert", *size).integers(0, 255, (*size, 3)).astype(np.uint8)
    path.write_bytes(cv2.imencode(".png", image)[1].tobytes())


def record(
    path: Path, root: Path, size: tuple[int, int], boxes: list[list[float]], labels: list[int],
    crowd: list[bool] | None = None, area: list[float] | None = None,
) -> ImageRecord:  # fmt: skip
    xyxy = np.array(boxes, np.float64).reshape(-1, 4)
    own = (xyxy[:, 2:] - xyxy[:, :2]).prod(axis=1) if area is None else np.array(area)
    return ImageRecord(
        image_id=path.relative_to(root).as_posix(),
        path=path,
        height=size[0],
        width=size[1],
        boxes=xyxy,
        labels=np.array(labels, np.int64),
        crowd=np.array(crowd or [False] * len(xyxy), np.bool_),
        area=own,
        rows=len(xyxy),
        rows_per_class=(0,),
    )


@st.composite
def datasets(draw: st.DrawFn, root: Path) -> Dataset:
    names = draw(NAMES)
    splits: dict[str, tuple[ImageRecord, ...]] = {}
    for split in draw(st.sampled_from([("train",), ("train", "val"), ("train", "valid", "test")])):
        stems = draw(st.lists(st.sampled_from(STEMS), min_size=1, max_size=4, unique=True))
        records: list[ImageRecord] = []
        for stem in stems:
            size = draw(st.sampled_from(SIZES))
            content = apart(draw(st.lists(rows(size, len(names)), max_size=4)))
            path = root / split / f"{stem}.png"
            picture(path, size)
            records.append(record(path, root, size, [b for b, _ in content], [k for _, k in content]))
        splits[split] = tuple(records)
    # The annotation formats tell a dataset by its rows: one box at least.
    if not any(len(r.boxes) for r in splits["train"]):
        first = splits["train"][0]
        fixed = record(first.path, root, (first.height, first.width), [[1, 2, 5.5, 8]], [0])
        splits["train"] = (fixed, *splits["train"][1:])
    return Dataset(root, "made", tuple(names), splits)


def content(dataset: Dataset, split: str) -> dict[str, tuple[tuple[int, int], list[str], np.ndarray]]:
    """Image bytes -> (size, class names, boxes) of a split, boxes in order; empty images included."""
    return {
        hashlib.sha256(r.path.read_bytes()).hexdigest() + str(r.boxes.round(3).tolist()): (
            (r.height, r.width),
            [dataset.names[label] for label in r.labels],
            r.boxes,
        )
        for r in dataset.split(split)
    }


@pytest.mark.parametrize("to", FORMATS)
@settings(max_examples=25)
@given(data=st.data())
def test_what_is_written_is_read_again(
    to: str, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    base = tmp_path_factory.mktemp("训练 数据(1)")
    source = data.draw(datasets(base / "source"))
    done = convert(source, to=to, out=base / to)
    again = open_dataset(done.folder)
    assert again.format == to and list(again.splits) == list(source.splits)
    assert [f for f in again.findings if f.action != "kept"] == []
    if FORMATS[to].class_list:
        assert again.names == source.names
    for split, records in source.splits.items():
        assert done.images[split] == len(records) == len(again.split(split))
        before, after = content(source, split), content(again, split)
        if to == "coco":
            assert list(before) == list(after)
        for (size, names, boxes), (size2, names2, boxes2) in zip(
            *([one[key] for key in sorted(one)] for one in (before, after)), strict=True
        ):
            assert size == size2 and names == names2
            assert np.abs(boxes - boxes2).max(initial=0) <= PRECISION[to]


@given(low=st.floats(0, 5000), high=st.floats(0, 5000))
def test_a_coco_edge_comes_back_to_its_last_bit(low: float, high: float) -> None:
    low, high = sorted((low, high))
    assert abs(low + extent(low, high) - high) <= np.spacing(high)
    # Numbers with few digits, which files hold, come back whole.
    low, high = round(low * 8) / 8, round(high * 8) / 8
    assert low + extent(low, high) == high


@pytest.fixture
def crowded(tmp_path: Path) -> Dataset:
    """Two classes, the second without an ordinary box; a crowd box; an area of its own."""
    root = tmp_path / "source"
    size = (40, 50)
    picture(root / "train" / "a.png", size)
    picture(root / "train" / "b.png", size)
    boxes = [[1.0, 1, 11, 11], [20, 20, 40, 30], [5, 5, 30, 35]]
    one = record(
        root / "train" / "a.png", root, size, boxes, [0, 0, 1], [False, False, True], [100, 77.5, 750]
    )
    two = record(root / "train" / "b.png", root, size, [], [])
    return Dataset(root, "coco", ("猫", "dog"), {"train": (one, two)})


def test_coco_keeps_crowd_and_area_to_the_fingerprint(crowded: Dataset, tmp_path: Path) -> None:
    done = convert(crowded, to="coco", out=tmp_path / "out")
    again = open_dataset(done.folder)
    assert done.notes == () and again.names == crowded.names
    (first, second), source = again.split("train"), crowded.split("train")[0]
    assert len(second.boxes) == 0 and first.crowd.tolist() == [False, False, True]
    for name in ("boxes", "labels", "crowd", "area"):
        assert np.array_equal(getattr(first, name), getattr(source, name))


@pytest.mark.parametrize("to", ["yolo", "voc", "labelme"])
def test_what_a_format_cannot_hold_is_said(to: str, crowded: Dataset, tmp_path: Path) -> None:
    done = convert(crowded, to=to, out=tmp_path / "out")
    said = " | ".join(done.notes)
    assert f"1 crowd boxes left out, {to} has no mark for them: dog 1" in said
    assert "the areas of 1 objects become box areas" in said
    assert ("1 classes without a box are not in it: dog" in said) == (to == "voc")
    assert done.boxes == {"train": 2}
    boxes = open_dataset(done.folder).split("train")[0].boxes
    assert np.abs(boxes - [[1, 1, 11, 11], [20, 20, 40, 30]]).max() <= PRECISION[to]


def test_images_are_copied_linked_or_left_out(crowded: Dataset, tmp_path: Path) -> None:
    source = crowded.split("train")[0].path
    copy = convert(crowded, to="yolo", out=tmp_path / "copy").folder / "images" / "train" / "a.png"
    link = convert(crowded, to="yolo", out=tmp_path / "link", images="link").folder / "images/train/a.png"
    none = convert(crowded, to="yolo", out=tmp_path / "none", images="none")
    assert copy.read_bytes() == source.read_bytes() and not Path(copy).samefile(source)
    assert Path(link).samefile(source)
    assert not (none.folder / "images").exists() and "images/SPLIT/NAME" in none.notes[-1]


def test_a_hard_link_to_a_symbolic_link_is_one_to_its_file(crowded: Dataset, tmp_path: Path) -> None:
    path = crowded.split("train")[0].path
    real = path.rename(tmp_path / "real.png")
    path.symlink_to(Path("..") / ".." / "real.png")
    out = convert(crowded, to="yolo", out=tmp_path / "far" / "away" / "set", images="link").folder
    made = out / "images/train/a.png"
    assert made.samefile(real) and not made.is_symlink()
    assert len(open_dataset(out).split("train")) == 2 and path.is_symlink()


def test_a_folder_that_a_link_makes_part_of_the_dataset_is_not_written_to(
    crowded: Dataset, tmp_path: Path
) -> None:
    real = tmp_path / "disk two"
    (crowded.root / "train").rename(real)
    (crowded.root / "train").symlink_to(real, target_is_directory=True)
    for inside in (real / "new", real, crowded.root / "new"):
        with pytest.raises(DataError, match="YG353"):
            convert(crowded, to="yolo", out=inside)
    assert convert(crowded, to="yolo", out=tmp_path / "new").images == {"train": 2}


def test_one_annotation_file_never_stands_for_two(crowded: Dataset, tmp_path: Path) -> None:
    first, second = crowded.split("train")
    bare = dataclasses.replace(second, path=first.path, image_id=first.image_id)
    other = dataclasses.replace(crowded, splits={"train": (first, second), "val": (bare,)})
    with pytest.raises(
        DataError, match=r"YG308 .*train/a\.png has other boxes in two splits \(2 in train, 0"
    ):
        convert(other, to="voc", out=tmp_path / "voc")
    # The others hold the annotations of each split.
    for to in ("yolo", "coco", "labelme"):
        again = open_dataset(convert(other, to=to, out=tmp_path / to).folder)
        assert [len(again.split(s)[0].boxes) for s in ("train", "val")] == [3 if to == "coco" else 2, 0]
    same = dataclasses.replace(crowded, splits={"train": (first, second), "val": (first,)})
    again = open_dataset(convert(same, to="voc", out=tmp_path / "voc").folder)
    assert [len(again.split(s)[0].boxes) for s in ("train", "val")] == [2, 2]


def test_class_names_are_the_same_in_yaml_of_both_versions() -> None:
    yaml = pytest.importorskip("yaml")
    plain = ["yes", "no", "On", "12:30:40", "1_0", "0o7", "1e3", "null", "~", "2020-01-01"]
    names = [*plain, "= ", "it's: #\\a", '"q"', "猫"]
    places = {"train": "no", "val": "/数据/1:2/val.txt"}
    read = yaml.safe_load(yaml_text(places, names))
    assert read == {**places, "nc": len(names), "names": dict(enumerate(names))}


@pytest.mark.parametrize("to", FORMATS)
def test_file_names_that_are_not_utf_8(to: str, crowded: Dataset, tmp_path: Path) -> None:
    # A Chinese archive unpacked on Linux: the names are GBK on disk.
    first, second = crowded.split("train")
    name = os.fsdecode("训练".encode("gbk"))
    try:
        path = first.path.rename(first.path.with_name(f"{name}.png"))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    odd = dataclasses.replace(first, path=path, image_id=f"train/{name}.png")
    data = dataclasses.replace(crowded, splits={"train": (odd, second)})
    out = convert(data, to=to, out=tmp_path / to).folder
    again = open_dataset(out)
    assert sorted(len(r.boxes) for r in again.split("train")) == [0, 3 if to == "coco" else 2]
    for path in out.rglob("*"):
        path.name.encode("utf-8")
        assert path.is_dir() or path.suffix == ".png" or isinstance(path.read_text(encoding="utf-8"), str)


def test_a_link_that_cannot_be_made_is_a_copy(
    crowded: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("yolograft.data.convert.os.link", refuse)
    out = convert(crowded, to="voc", out=tmp_path / "out", images="link").folder
    assert (out / "JPEGImages" / "a.png").read_bytes() == crowded.split("train")[0].path.read_bytes()


def test_two_runs_write_the_same_bytes_and_touch_no_source(tmp_path: Path) -> None:
    source = shapes(train=5, val=3, size=64)
    before = {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in source.root.rglob("*")}
    for to in FORMATS:
        texts = []
        for name in ("one", "two"):
            out = convert(source, to=to, out=tmp_path / f"{to}-{name}").folder
            texts.append({p.relative_to(out): p.read_bytes() for p in out.rglob("*") if p.is_file()})
        assert texts[0] == texts[1]
    assert {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in source.root.rglob("*")} == before
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_nothing_is_left_where_it_failed(crowded: Dataset, tmp_path: Path) -> None:
    crowded.split("train")[1].path.unlink()
    with pytest.raises(OSError):
        convert(crowded, to="yolo", out=tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["source"]


def test_wrong_input_is_refused(crowded: Dataset, tmp_path: Path) -> None:
    odd = dataclasses.replace(crowded, names=("a\x01", "b"))
    mark = dataclasses.replace(crowded, names=("__ignore__", "b"))
    splits = dataclasses.replace(crowded, splits={"day": (), "night": ()})
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("", encoding="utf-8")
    for code, data, to, out in (
        ("YG353", crowded, "yolo", crowded.root / "new"),
        ("YG353", crowded, "yolo", tmp_path / "full"),
        ("YG354", crowded, "yollo", tmp_path / "out"),
        ("YG355", odd, "voc", tmp_path / "out"),
        ("YG355", mark, "labelme", tmp_path / "out"),
        ("YG355", splits, "coco", tmp_path / "out"),
    ):
        with pytest.raises(DataError) as error:
            convert(data, to=to, out=out)
        assert error.value.code == code
    assert not (tmp_path / "out").exists()


def test_a_lone_split_of_another_name_becomes_train(crowded: Dataset, tmp_path: Path) -> None:
    alone = dataclasses.replace(crowded, splits={"instances_default": crowded.splits["train"]})
    done = convert(alone, to="coco", out=tmp_path / "out")
    assert done.notes == ("split 'instances_default' is called train there",)
    assert list(open_dataset(done.folder).splits) == ["train"]


def test_one_name_in_many_folders_is_kept_apart(tmp_path: Path) -> None:
    root = tmp_path / "source"
    paths = [
        root / place for place in ("cam1/0.png", "cam2/0.png", "cam2/0.PNG", "cam1_0.png", "x/cam1_0.jpeg")
    ]
    for number, path in enumerate(paths):
        picture(path, (10 + number, 20))
    records = [record(p, root, (10 + n, 20), [[1, 1, 5 + n, 9]], [0]) for n, p in enumerate(paths)]
    source = Dataset(root, "made", ("thing",), {"train": tuple(records[:3]), "val": tuple(records[2:])})
    for to in FORMATS:
        again = open_dataset(convert(source, to=to, out=tmp_path / to).folder)
        for split, heights in (("train", [10, 11, 12]), ("val", [12, 13, 14])):
            found = sorted((r.height, round(r.boxes[0, 2] - r.height, 6)) for r in again.split(split))
            assert found == [(height, -5) for height in heights]


@pytest.mark.datasets
@pytest.mark.skipif(not SETS.is_dir(), reason="the shared datasets folder is not here")
@pytest.mark.parametrize("name", ["bccd", "chess", "aerial_cars", "coco_cc_mini"])
def test_real_sets_come_back(name: str, tmp_path: Path) -> None:
    source = open_dataset(SETS / name)
    for to, precision in PRECISION.items():
        again = open_dataset(convert(source, to=to, out=tmp_path / to, images="link").folder)
        assert list(again.splits) == list(source.splits)
        for split in source.splits:
            before = {r.path.read_bytes(): r for r in source.split(split)}
            assert len(again.split(split)) == len(source.split(split))
            for r in again.split(split):
                real = before[r.path.read_bytes()]
                keep = ~real.crowd if not FORMATS[to].crowd_and_area else np.full(len(real.crowd), True)
                assert np.abs(r.boxes - real.boxes[keep]).max(initial=0) <= precision
                names = [source.names[label] for label in real.labels[keep]]
                assert [again.names[label] for label in r.labels] == names
    document = json.loads((tmp_path / "coco/annotations/instances_train.json").read_text(encoding="utf-8"))
    assert [c["name"] for c in document["categories"]] == list(source.names)
