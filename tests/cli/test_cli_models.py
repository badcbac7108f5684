"""Several models in one study, and fine-tuning as the default with weights, from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from yolograft.cli.app import run as run_command
from yolograft.engine.modelfolder import read_model
from yolograft.engine.recipe import Recipe
from yolograft.engine.runfolder import arm_folder

LABELS = ["yolov8n", "yolov8n.x", "yolov5n", "yolov5n.x"]


@pytest.fixture(scope="module")
def mixed(tiny: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study of two families, one seed."""
    torch.set_num_threads(1)
    runs = tmp_path_factory.mktemp("mixed")
    words = ["compare", "yolov8n", "--model", "yolov5n", *tiny, "--graft", "x=se@neck.p3", "--seeds", "1"]
    assert run_command([*words, "--runs", str(runs)]) == 0
    return runs / "compare-001"


def test_one_table_holds_both_families(command: Any, mixed: Path) -> None:
    answer = command("compare", "--resume", mixed)
    assert answer.code == 0
    for words in (*LABELS, "yolov8n, yolov5n on ", "Rows of different models stand side by side", "FPS"):
        assert words in " ".join(answer.out.split())
    results = json.loads((mixed / "results.json").read_text(encoding="utf-8"))
    assert [arm["label"] for arm in results["arms"]] == LABELS
    assert all(arm["params"] > 1e6 and arm["flops"] and arm["fps"] for arm in results["arms"])
    assert results["arms"][0]["params"] > results["arms"][2]["params"]
    assert command("report", mixed, "--lang", "zh").code == 0


def test_every_arm_is_evaluated_and_predicts(
    command: Any, mixed: Path, tiny_data: Path, tmp_path: Path
) -> None:
    results = json.loads((mixed / "results.json").read_text(encoding="utf-8"))
    for arm in results["arms"]:
        answer = command("eval", mixed, "--arm", arm["label"], "--batch", 4, "--device", "cpu", "--json")
        assert answer.code == 0 and answer.json["ap"] == arm["runs"][0]["ap"]
    words = ("predict", mixed, tiny_data / "val", "--arm", "yolov5n.x", "--device", "cpu", "--json")
    assert len(command(*words, "--runs", tmp_path).json["images"]) == 4


def test_a_model_trains_beside_another_as_it_does_alone(
    command: Any, mixed: Path, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    words = ("compare", "yolov5n", *tiny, "--graft", "x=se@neck.p3", "--seeds", 1, "--runs", tmp_path)
    assert command(*words).code == 0
    for beside, alone in (("yolov5n", "baseline"), ("yolov5n.x", "x")):
        one = read_model(arm_folder(mixed, beside, 0) / "model").tensors
        other = read_model(arm_folder(tmp_path / "compare-001", alone, 0) / "model").tensors
        assert one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def planned_by(command: Any, *words: object) -> dict[str, Any]:
    answer = command(*words, "--json")
    assert answer.code == 0, answer.err
    return json.loads((Path(answer.json["run"]) / "manifest.json").read_text(encoding="utf-8"))


@pytest.fixture
def planned_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Studies are planned, not run."""
    monkeypatch.setattr("yolograft.cli.launch.run_study", lambda run, **how: {"run": str(run)})


def test_models_alone_are_a_study_and_the_first_may_be_an_option(
    command: Any, tiny: tuple[str, ...], tmp_path: Path, planned_only: None
) -> None:
    names = ("--model", "yolov5n", "--model", "yolov8n")
    plain = planned_by(command, "compare", *names, *tiny, "--runs", tmp_path)
    assert [arm["label"] for arm in plain["arms"]] == ["yolov5n", "yolov8n"] and not plain["across"]
    words = ("compare", *names, *tiny, "--recipe", "common", "--runs", tmp_path)
    common = planned_by(command, *words)
    assert (
        common["across"] and common["recipe"] == plain["recipe"] and common["recipe_file"]["name"] == "common"
    )
    alone = command("compare", *tiny, "--recipe", "common", "--runs", tmp_path)
    assert alone.code == 2 and alone.err.startswith("YG173 ")
    twice = command("compare", "yolov8n", "--model", "yolov8n", *tiny, "--runs", tmp_path)
    assert twice.code == 2 and twice.err.startswith("YG172 ")
    again = command("compare", "--model", "yolov5n", "--resume", tmp_path / "compare-001")
    assert again.code == 2 and again.err.startswith("YG193 ")


def test_with_weights_the_recipe_is_the_one_for_weights(
    command: Any, mixed: Path, tiny: tuple[str, ...], tmp_path: Path, planned_only: None
) -> None:
    model = arm_folder(mixed, "yolov8n", 0) / "model"
    words = ("compare", *tiny, "--weights", model, "--graft", "se@neck.p3", "--runs", tmp_path)
    answer = command(*words, "--json")
    assert "recipe finetune: kept tensors learn at 0.25 of the rate, new ones at 1" in " ".join(
        answer.err.split()
    )
    chosen = planned_by(command, *words)
    assert chosen["recipe_file"]["name"] == "finetune" and len(chosen["recipe_file"]["sha256"]) == 64
    assert (chosen["recipe"]["kept_lr"], chosen["recipe"]["epochs"]) == (0.25, 1)
    named = planned_by(command, *words, "--recipe", "default")
    assert named["recipe"] == Recipe(epochs=1, batch=4, imgsz=(64, 64), precision="fp32").to_json()
    fresh = command("train", *tiny, "--recipe", "finetune", "--runs", tmp_path)
    assert fresh.code == 2 and fresh.err.startswith("YG170 ")
