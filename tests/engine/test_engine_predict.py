"""Pictures and answers of a model whose boxes are nowhere."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from yolograft.engine import predict
from yolograft.engine.predict import predict_files
from yolograft.models.build import build, model_spec
from yolograft.types import Detections


def test_boxes_that_are_nowhere_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nan, inf = float("nan"), float("inf")
    boxes = torch.tensor([[nan] * 4, [1.0, 2.0, 9.0, 8.0], [0.0, 0.0, inf, 1.0]])
    found = Detections(boxes, torch.tensor([0.9, 0.8, 0.7]), torch.tensor([0, 1, 0]))
    monkeypatch.setattr(predict, "detect", lambda *_, **__: [found])
    image = tmp_path / "image.png"
    cv2.imwrite(str(image), np.zeros((20, 30, 3), np.uint8))
    net = build(model_spec("yolov8n", num_classes=2)).eval()
    how = {"names": ("a", "b"), "imgsz": (32, 32), "confidence": 0.1}
    (answer,) = predict_files(net, [image], folder=tmp_path, **how)
    assert [item["name"] for item in answer["detections"]] == ["b"]
    assert json.loads((tmp_path / "detections.json").read_text(encoding="utf-8")) == [answer]
