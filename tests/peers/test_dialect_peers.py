"""The packages read what we write: same layers, same parameters."""

from __future__ import annotations

from pathlib import Path

import pytest

from yolograft.graph.dialect.write import write_index_file
from yolograft.models.build import inspect_spec, model_spec
from yolograft.models.dialect_words import WORDS
from yolograft.models.modelfile import stocks

pytestmark = pytest.mark.peers


@pytest.mark.parametrize("model", ["yolov8n", "yolov8m", "yolov8x"])
def test_ultralytics_builds_the_file(tmp_path: Path, model: str) -> None:
    tasks = pytest.importorskip("ultralytics.nn.tasks")
    spec = model_spec(model, num_classes=80)
    file = tmp_path / f"{model}-written.yaml"
    file.write_text(write_index_file(spec, words=WORDS, stocks=stocks()).text, encoding="utf-8")
    theirs = tasks.DetectionModel(str(file), verbose=False)
    counts = [sum(p.numel() for p in module.parameters()) for module in theirs.model]
    assert counts == [fact.params for fact in inspect_spec(spec)]
