"""``eval --nms``, ``--scales`` and ``--calibrate-levels`` on a file from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from yolograft.models.build import build, model_spec
from yolograft.models.detector import key_of
from yolograft.models.foreign.names import their_name


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained yolov8n as a raw state dict."""
    net, state = build(model_spec("yolov8n", num_classes=5), seed=1), {}
    for index, layer in enumerate(net.spec.layers):
        prefix = f"layers.{key_of(layer.name)}."
        for key, value in net.state_dict().items():
            if key.startswith(prefix):
                state[f"model.{index}.{their_name('yolov8', layer.module, key[len(prefix) :])}"] = value
    path = tmp_path_factory.mktemp("file") / "v8.pt"
    torch.save({"model": state}, path)
    return path


def test_methods_and_sizes_in_one_table(command: Any, file: Path, tiny_data: Path) -> None:
    words = ("eval", file, "--data", tiny_data, "--imgsz", 64, "--device", "cpu")
    answer = command(*words, "--nms", "hard,soft:sigma=0.3", "--scales", "64,96", "--json")
    assert answer.code == 0, answer.err
    rows = answer.json["rows"]
    assert [(row["nms"], len(row["sizes"])) for row in rows] == [
        ("hard", 1), ("soft:sigma=0.3", 1), ("hard", 2), ("soft:sigma=0.3", 2),
    ]  # fmt: skip
    # Four images say nothing about others.
    assert rows[1]["difference"]["ap"]["low"] is None
    said = command(*words, "--nms", "hard,diou", "--calibrate-levels", "train").out
    assert (
        "diou @64 calibrated" in said and "no intervals: fewer than 20 images." in said and "logits" in said
    )
    one = command(*words, "--nms", "hard", "--json").json
    plain = command(*words, "--json").json
    assert one == plain and "rows" not in plain and "nms" not in plain
    # A single method other than the standard one is named.
    assert command(*words, "--nms", "soft", "--json").json["nms"] == "soft"
    assert "points, --nms hard:iou=0.5" in command(*words, "--nms", "hard:iou=0.5").out
    for wrong, code in (
        (("--calibrate-levels", "val"), "YG374"),
        (("--nms", "adaptive"), "YG370"),
        (("--nms", ""), "YG371"),
        (("--calibrate-levels", ""), "YG304"),
    ):
        refused = command(*words, *wrong)
        assert refused.code == 2 and refused.err.startswith(code) and len(refused.err.strip()) <= 240
