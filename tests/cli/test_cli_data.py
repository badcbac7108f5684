"""``data split`` and ``data convert`` as a user calls them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from yolograft.data.source import open_dataset


def test_split_prints_a_table_and_its_folder_is_a_dataset(
    command: Any, tiny_data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "我的 split"
    answer = command("data", "split", tiny_data, "--val", ".25", "--out", out)
    assert answer.code == 0 and answer.err == ""
    assert "12 images in" in answer.out and "the splits of the dataset (train, val) were pooled" in answer.out
    assert "circle" in answer.out and f'--data "{out}"' in answer.out
    assert [len(records) for records in open_dataset(out).splits.values()] == [9, 3]
    # A split is split again from its source, as often as one likes.
    again = command(
        "data", "split", out, "--val", ".25", "--out", tmp_path / "b", "--seed", "1", "--json"
    ).json
    assert list(again["splits"]) == ["train", "val"] and again["groups"] == 12
    assert open_dataset(tmp_path / "b").root == open_dataset(out).root == tiny_data.resolve()


def test_split_by_groups_of_names(command: Any, tiny_data: Path, tmp_path: Path) -> None:
    words = ("data", "split", tiny_data, "--val", ".3", "--group-by", r"0000([0-3])", "--no-duplicates")
    answer = command(*words, "--out", tmp_path / "a")
    assert "in 8 groups" in answer.out and "4 images do not match --group-by" in answer.out


@pytest.mark.parametrize("to", ["yolo", "coco", "voc", "labelme"])
def test_convert_there_and_count(to: str, command: Any, tiny_data: Path, tmp_path: Path) -> None:
    answer = command("data", "convert", tiny_data, "--to", to, "--out", tmp_path / to, "--json").json
    assert answer["images"] == {"train": 8, "val": 4} and answer["to"] == to and answer["from"] == "coco"
    there = command("data", "check", tmp_path / to, "--json").json
    assert {n: s["boxes_used"] for n, s in there["splits"].items()} == answer["boxes"]
    spoken = command("data", "convert", tiny_data, "--to", to, "--out", tmp_path / "b", "--images", "link")
    assert spoken.code == 0 and f"coco to {to}" in spoken.out


def test_check_needs_no_split_called_train(command: Any, tiny_data: Path, tmp_path: Path) -> None:
    # One benchmark split, as COCO's val2017 comes.
    folder = tmp_path / "bench"
    shutil.copytree(tiny_data / "val", folder / "val")
    (folder / "annotations").mkdir()
    shutil.copy(next(tiny_data.rglob("instances_val*.json")), folder / "annotations")
    answer = command("data", "check", folder, "--json")
    assert answer.code == 0 and list(answer.json["splits"]) == ["val"]
    assert "YG350" not in answer.json["summary"]


def test_what_is_wrong_is_one_line(command: Any, tiny_data: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("", encoding="utf-8")
    inside = tiny_data / "new"
    for code, words in (
        ("YG190", ("split", tiny_data)),
        ("YG301", ("split", "nowhere", "--val", ".2")),
        ("YG351", ("split", tiny_data, "--val", "1.5", "--out", tmp_path / "a")),
        ("YG352", ("split", tiny_data, "--val", ".2", "--group-by", "((", "--out", tmp_path / "a")),
        ("YG353", ("split", tiny_data, "--val", ".2", "--out", inside)),
        ("YG353", ("convert", tiny_data, "--to", "yolo", "--out", inside)),
        ("YG353", ("convert", tiny_data, "--to", "yolo", "--out", tmp_path / "full")),
        ("YG190", ("convert", tiny_data, "--to", "yollo", "--out", tmp_path / "a")),
    ):
        answer = command("data", *words)
        assert answer.code == 2 and answer.out == "" and answer.err.startswith(code), words
        assert answer.err.count("\n") == 1 and len(answer.err) <= 241
    assert not inside.exists() and not (tmp_path / "a").exists()
