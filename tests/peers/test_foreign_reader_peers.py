"""Checkpoints as the published packages save them: our keys and numbers are those of their state dicts."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import oracles
from yolograft.models.foreign.read import ForeignCheckpoint, read_foreign

pytestmark = pytest.mark.peers


def needs(package: str) -> None:
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")


def same(checkpoint: ForeignCheckpoint, expected: dict[str, Tensor], layout: str) -> dict[str, Any]:
    assert list(checkpoint.tensors) == list(expected) and checkpoint.layout == layout
    for key, tensor in expected.items():
        assert checkpoint.tensors[key].dtype == tensor.dtype and torch.equal(checkpoint.tensors[key], tensor)
    return checkpoint.facts


def test_a_file_of_ultralytics(tmp_path: Path) -> None:
    ultralytics = pytest.importorskip("ultralytics")
    path = tmp_path / "yolov8n.pt"
    ultralytics.YOLO("yolov8n.yaml").save(path)
    stored = torch.load(path, weights_only=False)
    checkpoint = read_foreign(path)
    facts = same(checkpoint, stored["model"].state_dict(), "ultralytics")
    assert facts["class"].endswith(".DetectionModel") and facts["version"] == ultralytics.__version__
    assert (facts["nc"], facts["stride"], len(checkpoint.names)) == (80, [8.0, 16.0, 32.0], 80)
    assert checkpoint.names == tuple(stored["model"].names.values()) and facts["yaml"]["scale"] == "n"
    assert facts["license"] == stored["license"] and facts["date"] == stored["date"]


@pytest.mark.parametrize("half", [False, True])
def test_a_file_of_yolov5(tmp_path: Path, half: bool) -> None:
    needs("yolov5")
    model = oracles.yolov5_model("n", 3)
    oracles.disturb_statistics(model)
    model.names = ["a", "b", "c"]
    model = model.half() if half else model
    path = tmp_path / "yolov5n.pt"
    value = {"epoch": 4, "best_fitness": np.array([0.5]), "model": model, "ema": None, "date": "2024-01-01"}
    torch.save(value, path)
    checkpoint = read_foreign(path)
    facts = same(checkpoint, model.state_dict(), "yolov5")
    assert checkpoint.names == ("a", "b", "c") and facts["nc"] == 3 and facts["epoch"] == 4
    assert facts["stride"] == [8.0, 16.0, 32.0] and facts["best_fitness"] == 0.5
    assert facts["anchors"][0] == [10, 13, 16, 30, 33, 23]


def test_a_file_of_yolox(tmp_path: Path) -> None:
    needs("yolox")
    model = oracles.yolox_model("nano", 3)
    path = tmp_path / "yolox_nano.pth"
    torch.save({"start_epoch": 4, "model": model.state_dict(), "optimizer": {}, "best_ap": 0.25}, path)
    checkpoint = read_foreign(path)
    facts = same(checkpoint, model.state_dict(), "yolox")
    assert facts == {"part": "model", "start_epoch": 4, "best_ap": 0.25} and checkpoint.names == ()
