"""The built-in set: the same bytes from the same seed, boxes tight around what is seen."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from yolograft.data.check import check
from yolograft.data.images import decode_file
from yolograft.data.scenes import CLASSES, MIN_VISIBLE, draw_scene, outline, paint, shape_mask, visible_box
from yolograft.data.shapes import shapes
from yolograft.data.source import open_dataset
from yolograft.errors import MachineError
from yolograft.rng import stream


def bytes_of(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def drawn(monkeypatch: pytest.MonkeyPatch, cache: Path, **arguments: int) -> Path:
    monkeypatch.setenv("YOLOGRAFT_CACHE", str(cache))
    return shapes(**{"train": 5, "val": 3, "size": 96} | arguments).root


def test_same_seed_same_bytes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    np.random.seed(1)
    first = drawn(monkeypatch, tmp_path / "a")
    np.random.seed(2)
    second = drawn(monkeypatch, tmp_path / "b")
    assert first.name == second.name and bytes_of(first) == bytes_of(second)
    other = drawn(monkeypatch, tmp_path / "a", seed=1)
    assert other != first and bytes_of(other / "train") != bytes_of(first / "train")
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == sorted([first.name, other.name])


def test_a_longer_set_starts_like_a_shorter_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    short, long = drawn(monkeypatch, tmp_path), drawn(monkeypatch, tmp_path, train=7)
    for path in (short / "train").iterdir():
        assert path.read_bytes() == (long / "train" / path.name).read_bytes()


def test_records_match_the_drawing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("YOLOGRAFT_CACHE", str(tmp_path))
    dataset = shapes(train=6, val=2, size=96)
    again = shapes(train=6, val=2, size=96)
    assert dataset.format == "shapes" and dataset.names == CLASSES and dataset.findings == ()
    assert dataset.fingerprint("train") == again.fingerprint("train")
    for index, record in enumerate(dataset.split("train")):
        scene = draw_scene(stream(0, "shapes", "train", index), size=96)
        np.testing.assert_array_equal(decode_file(record.path), scene.image)
        np.testing.assert_array_equal(record.boxes, scene.boxes)
        np.testing.assert_array_equal(record.labels, scene.labels)


def test_boxes_are_tight_around_what_is_visible() -> None:
    for index in range(25):
        scene = draw_scene(stream("tight", index), size=120)
        assert 1 <= len(scene.boxes) <= 6
        for number, (x1, y1, x2, y2) in enumerate(scene.boxes):
            seen = scene.owner == number
            ys, xs = np.nonzero(seen)
            assert (x1, y1, x2, y2) == (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
            assert x1 >= 0 and y1 >= 0 and x2 <= 120 and y2 <= 120 and min(x2 - x1, y2 - y1) >= 3


def test_the_mask_is_what_gets_painted() -> None:
    for index in range(40):
        rng = stream("painted", index)
        canvas = np.full((90, 90, 3), 128, np.float32)
        points = outline(index % len(CLASSES), rng) * rng.uniform(5, 20) + rng.uniform(28, 60, 2)
        mask = shape_mask(points, size=90)
        paint(canvas, mask, rng)
        changed = np.abs(canvas - 128).max(axis=2)
        box = np.array(visible_box(mask >= 128))
        assert np.abs(np.array(visible_box(changed > 25)) - box).max() <= 1
        exact = np.concatenate([points.min(axis=0), points.max(axis=0)])
        # A star's tips end in less than half a pixel of colour.
        assert np.abs(exact - box).max() <= 2.5


def test_occlusion_exists_and_is_bounded() -> None:
    covered = 0
    for index in range(40):
        scene = draw_scene(stream("occluded", index), size=160)
        for number, (x1, y1, x2, y2) in enumerate(scene.boxes):
            inside = scene.owner[y1:y2, x1:x2]
            covered += bool((inside > number).any())
            # A star fills about a third of its box; the least share of it must still be seen.
            assert (inside == number).mean() > 0.2 * MIN_VISIBLE
    assert covered > 15


def test_the_default_set_is_balanced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("YOLOGRAFT_CACHE", str(tmp_path))
    dataset = open_dataset("shapes")
    counts = check(dataset)["splits"]
    assert (counts["train"]["images"], counts["val"]["images"]) == (160, 96)
    for split in counts.values():
        shares = np.array(list(split["boxes_per_class"].values())) / split["boxes"]
        assert shares.min() > 0.12 and shares.max() < 0.3


def test_a_cache_that_cannot_be_written_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("", encoding="utf-8")
    monkeypatch.setenv("YOLOGRAFT_CACHE", str(blocked))
    with pytest.raises(MachineError, match="YOLOGRAFT_CACHE"):
        shapes(train=1, val=1)
