"""``--anchors auto`` from the command line, and a YOLOv5 trained and measured from end to end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from yolograft.cli.app import run as run_command
from yolograft.data.anchors import anchor_fit, input_sizes
from yolograft.data.source import open_dataset
from yolograft.engine.modelfolder import read_model
from yolograft.errors import MAX_LINE
from yolograft.graph.anchors import anchors_of
from yolograft.graph.spec import ModelSpec
from yolograft.models.build import model_spec
from yolograft.study.pick import model_folder

SHORT = ("--device", "cpu", "--imgsz", 64, "--epochs", 1, "--batch", 4, "--amp", "off")


def manifest_of(run: Path) -> dict[str, Any]:
    return json.loads((run / "manifest.json").read_text(encoding="utf-8"))


@pytest.fixture
def planned_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Studies are planned, not run."""
    monkeypatch.setattr("yolograft.cli.launch.run_study", lambda run, **how: {"run": str(run)})
    monkeypatch.setattr("yolograft.cli.launch.result_lines", lambda results: None)


@pytest.mark.usefixtures("planned_only")
def test_all_arms_get_the_same_anchors_and_the_terminal_says_which(command, tiny_data, tmp_path) -> None:
    words = ["compare", "yolov5n", "--graft", "se@neck.p3", "--seeds", 1, "--anchors", "auto", *SHORT]
    answer = command(*words, "--data", tiny_data, "--runs", tmp_path)
    assert answer.code == 0, answer.err
    manifest = manifest_of(tmp_path / "compare-001")
    (chosen,) = manifest["anchors"]
    specs = [ModelSpec.from_json(arm["spec"]) for arm in manifest["arms"]]
    assert {anchors_of(spec) for spec in specs} == {tuple(chosen["after"])}
    assert tuple(chosen["before"]) == anchors_of(model_spec("yolov5n")) != tuple(chosen["after"])
    sizes = input_sizes(open_dataset(str(tiny_data)).split("train"), imgsz=(64, 64))
    fits = [anchor_fit(sizes, chosen[key]) for key in ("before", "after")]
    assert chosen["recall"] == [fit.recall for fit in fits] and fits[1].recall >= fits[0].recall
    assert chosen["fitness"] == [fit.fitness for fit in fits] and fits[1].fitness > fits[0].fitness
    assert "anchors auto: best possible recall" in " ".join((answer.out + answer.err).split())


@pytest.mark.usefixtures("planned_only")
def test_left_out_the_published_anchors_stay(command, tiny_data, tmp_path) -> None:
    assert command("train", "yolov5n", *SHORT, "--data", tiny_data, "--runs", tmp_path).code == 0
    manifest = manifest_of(tmp_path / "train-001")
    spec = ModelSpec.from_json(manifest["arms"][0]["spec"])
    assert manifest["anchors"] is None and anchors_of(spec) == anchors_of(model_spec("yolov5n"))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("yolov8n", "--anchors", "auto"), "YG133"),
        (("yolox-nano", "--anchors", "auto"), "YG133"),
        (("yolov5n", "--graft", "se@head.p3.cls"), "YG209"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(words, says: str, command, tiny_data, tmp_path) -> None:
    answer = command("train", *words, *SHORT, "--data", tiny_data, "--runs", tmp_path)
    assert answer.code == 2 and says in answer.err
    assert len(answer.err.strip().splitlines()) == 1 and len(answer.err.strip()) <= MAX_LINE
    assert not list(tmp_path.iterdir())


def test_a_yolov5_is_trained_and_measured(tiny_data: Path, tmp_path: Path) -> None:
    words = ["train", "yolov5n", "--graft", "coord_att@neck.p5", "--anchors", "auto", *SHORT]
    words += ["--data", tiny_data, "--runs", tmp_path, "--box-loss", "giou", "--set", "obj_gain=2.0"]
    assert run_command([str(word) for word in words]) == 0
    run = tmp_path / "train-001"
    manifest = manifest_of(run)
    stored = read_model(model_folder(run))
    assert list(anchors_of(stored.spec)) == manifest["anchors"][0]["after"]
    assert not any("anchors" in key for key in stored.tensors)
