"""Detection tables: from lists, on disk, refused when they cannot be true."""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from random_sets import random_set

from yolograft.errors import DataError
from yolograft.metrics.detections import DetectionTable
from yolograft.metrics.matches import MatchTable
from yolograft.types import Detections

ARRAYS = ("image", "label", "score", "boxes")


def found(count):
    boxes = torch.arange(4 * count, dtype=torch.float32).reshape(count, 4)
    return Detections(boxes, torch.linspace(0.9, 0.1, count), torch.arange(count) % 3)


def same(a, b):
    assert all(np.array_equal(getattr(a, n), getattr(b, n)) for n in ARRAYS)
    assert all(getattr(a, n).dtype == getattr(b, n).dtype for n in ARRAYS)
    assert (a.images, a.settings, a.fingerprint) == (b.images, b.settings, b.fingerprint)


def test_lists_become_one_table():
    table = DetectionTable.from_lists(
        [found(0), found(3), found(0), found(2)], settings={"conf": 0.001}, fingerprint="ab"
    )
    assert table.image.tolist() == [1, 1, 1, 3, 3] and table.label.tolist() == [0, 1, 2, 0, 1]
    assert table.boxes.shape == (5, 4) and table.boxes.dtype == table.score.dtype == np.float32
    assert table.images == 4 and len(table) == 5


@pytest.mark.parametrize("counts", [(), (0,), (0, 0), (1,), (3, 0, 2)])
def test_tables_survive_the_disk(counts, tmp_path: Path):
    table = DetectionTable.from_lists(
        [found(n) for n in counts], settings={"imgsz": [320, 320], "iou": 0.7}, fingerprint="f"
    )
    table.save(tmp_path / "run" / "d.npz")
    table.save(tmp_path / "run" / "d.npz")
    same(table, DetectionTable.load(tmp_path / "run" / "d.npz"))
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["d.npz"]


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch):
    table = random_set(5)[1]
    table.save(tmp_path / "d.npz")
    before = (tmp_path / "d.npz").read_bytes()

    def full(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(OSError, match="disk full"):
        table.save(tmp_path / "d.npz")
    assert (tmp_path / "d.npz").read_bytes() == before and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("content", [b"", b"not a zip", None, "cut", "kind", "pickle"])
def test_damaged_files_give_one_line(content, tmp_path: Path):
    path = tmp_path / "d.npz"
    random_set(5)[1].save(path)
    if content == "cut":
        path.write_bytes(path.read_bytes()[:-80])
    elif content == "kind":
        with pytest.raises(DataError, match="YG362"):
            MatchTable.load(path)
        about = np.array([json.dumps({"kind": "matches", "version": 1, "images": 1})])
        np.savez(path, about=about, **{name: np.zeros(0) for name in ARRAYS})
    elif content == "pickle":
        stream = io.BytesIO()
        np.savez(stream, about=np.array([{"kind": "detections"}], dtype=object))
        path.write_bytes(stream.getvalue())
    elif content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(DataError, match="YG362") as caught:
        DetectionTable.load(path)
    assert "\n" not in str(caught.value)


def test_impossible_tables_are_refused():
    good = DetectionTable.from_lists([found(3)])
    for change in (
        {"score": good.score[:2]},
        {"images": 0},
        {"image": good.image - 1},
        {"score": good.score * np.float32(np.nan)},
        {"score": -good.score},
        {"boxes": good.boxes + np.float32(np.inf)},
        {"label": good.label - 5},
    ):
        with pytest.raises(DataError, match="YG361"):
            dataclasses.replace(good, **change)
