"""``--teacher`` from the command line to the manifest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from yolograft.cli.app import run as run_command
from yolograft.engine.arm import Arm
from yolograft.engine.modelfolder import store_model
from yolograft.models.build import build, model_spec


def test_a_teacher_by_its_folder(
    tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("yolograft.cli.launch.run_study", lambda run, **how: {"run": str(run)})
    spec = model_spec("yolov5n", num_classes=3)
    folder = tmp_path / "teacher"
    names = ["a", "b", "c"]
    store_model(folder, Arm("baseline", spec), build(spec).state_dict(), {"imgsz": [64, 64], "names": names})
    runs = tmp_path / "runs"
    words = ["yolov8n", "--data", str(tiny_data), "--imgsz", "64", "--epochs", "1", "--batch", "2"]
    words += ["--runs", str(runs), "--device", "cpu", "--teacher", str(folder), "--json"]
    assert run_command(["train", *words, "--graft", "distill:cwd"]) == 0
    manifest = json.loads(next(runs.glob("*/manifest.json")).read_text(encoding="utf-8"))
    assert manifest["teacher"]["path"] == str(folder.resolve())
    assert [arm["label"] for arm in manifest["arms"]] == ["cwd"]
    said = capsys.readouterr()
    assert f"teacher yolov5n ({manifest['teacher']['sha256'][:12]})" in said.err + said.out
    assert run_command(["train", *words]) == 2
    assert "YG446" in capsys.readouterr().err
    assert run_command(["train", *words, "--resume", str(next(runs.iterdir()))]) == 2
    assert "YG193" in capsys.readouterr().err
