"""``--teacher`` from the command line to the manifest."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from yolograft.cli.app import run as run_command
from yolograft.engine.arm import Arm
from yolograft.engine.modelfolder import store_model
from yolograft.errors import SpecError
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
    assert run_command(["licence", str(next(runs.iterdir()))]) == 0
    chain = capsys.readouterr().out
    assert f"teacher: {folder.resolve()} " in chain and f"teacher: {folder.resolve()} stands alone" in chain
    assert f"teacher yolov5n ({manifest['teacher']['sha256'][:12]})" in said.err + said.out
    assert run_command(["train", *words]) == 2
    assert "YG446" in capsys.readouterr().err
    assert run_command(["train", *words, "--resume", str(next(runs.iterdir()))]) == 2
    assert "YG193" in capsys.readouterr().err


@pytest.mark.parametrize(("arms", "seeds"), [(2, 1), (1, 2)])
def test_a_run_of_several_models_does_not_say_who_teaches(
    arms: int, seeds: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"label": label} for label in "ab"[:arms]]
    manifest = {"schema": 1, "arms": rows, "seeds": list(range(seeds))}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    assert run_command(["compare", "--teacher", str(tmp_path), "--graft", "distill:cwd"]) == 2
    line = capsys.readouterr().err
    assert "YG407" in line and "of 2 models -> name the model folder: RUN/arms/LABEL/seed-K/model" in line


def test_two_classes_of_one_name_are_not_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from yolograft.cli import launch
    from yolograft.cli.options import Training

    theirs = {"a.py::A": SimpleNamespace(sha256="1"), "b.py::B": SimpleNamespace(sha256="1")}
    mine = {"a.py::A": SimpleNamespace(sha256="1"), "b.py::B": SimpleNamespace(sha256="2")}
    monkeypatch.setattr(launch, "from_grafts", lambda grafts: dict(mine))
    monkeypatch.setattr(launch, "from_files", lambda hashes, code: dict(theirs))
    monkeypatch.setattr(launch, "read_teacher", lambda path: SimpleNamespace(hashes={}))
    plan: Any = SimpleNamespace(grafts=(), models=(), teacher="x")
    with pytest.raises(SpecError, match=r"YG193 b\.py::B is another class in the teacher than in the grafts"):
        launch.code_for(plan, Training())
    del mine["b.py::B"]
    assert launch.code_for(plan, Training()) == theirs
