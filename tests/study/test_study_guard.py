"""What must hold around a study: nothing leaves its folder, nothing dead is left, a finished run is whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from test_study_verdicts import Silent, planned, scored

from yolograft.engine.arm import Arm
from yolograft.engine.modelfolder import store_model
from yolograft.engine.recipe import Recipe
from yolograft.engine.runfolder import arm_folder
from yolograft.engine.train import Settings
from yolograft.errors import CheckpointError, MachineError, YolograftError
from yolograft.models.build import build, model_spec
from yolograft.study import run as running
from yolograft.study.planning.manifest import MANIFEST, read_manifest
from yolograft.study.records.sound import SCORES
from yolograft.study.records.studyrecord import COST
from yolograft.study.results import collect

TINY: dict[str, Any] = {"epochs": 1, "batch": 4, "imgsz": (64, 64)}


def go(run: Path) -> dict[str, Any]:
    return running.run_study(run, code={}, execution=running.Execution(Settings()), progress=Silent())


@pytest.mark.parametrize(
    "label", ["../../../escaped", "/escaped", "..", ".", "", "a/b", "A", "a\\b", 3, None]
)
def test_a_label_that_is_no_folder_name_is_refused(label: object, tmp_path: Path) -> None:
    run = planned(tmp_path / "runs" / "inner", "se@neck.p3")
    manifest = read_manifest(run)
    manifest["arms"][1]["label"] = label
    (run / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    for read in (read_manifest, collect, go):
        with pytest.raises(CheckpointError, match="YG403"):
            read(run)
    assert not list(tmp_path.rglob("seed-*")) and not (tmp_path / "escaped").exists()


@pytest.mark.parametrize("change", [{"seeds": ["0/../../../x"]}, {"seeds": [0, True]}, {"seeds": [1.5]},
                                    {"seeds": "12"}, {"arms": {"..": 1}}, {"arms": ["a"]}])  # fmt: skip
def test_seeds_and_arms_of_another_form_are_refused(change: dict[str, Any], tmp_path: Path) -> None:
    run = planned(tmp_path, "se@neck.p3")
    (run / MANIFEST).write_text(json.dumps(read_manifest(run) | change), encoding="utf-8")
    with pytest.raises(CheckpointError, match="YG403"):
        read_manifest(run)


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"recipe": Recipe(precision="fp16", **TINY)}, "YG705"),
        ({"device": "0,1"}, "YG70[14]"),
        ({"device": "7"}, "YG701"),
    ],
)
def test_a_device_that_cannot_do_it_leaves_no_folder(
    values: dict[str, Any], code: str, tmp_path: Path
) -> None:
    with pytest.raises(MachineError, match=code):
        planned(tmp_path, "se@neck.p3", **values)
    assert list(tmp_path.iterdir()) == []


def test_several_devices_are_refused_where_there_are_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = [torch.device("cuda", 0), torch.device("cuda", 1)]
    monkeypatch.setattr("yolograft.engine.device.places", lambda device: two)
    with pytest.raises(MachineError, match="YG704"):
        planned(tmp_path, "se@neck.p3", device="0,1", recipe=Recipe(precision="fp32", **TINY))
    assert list(tmp_path.iterdir()) == []


def test_weights_that_do_not_fit_leave_no_folder(tmp_path: Path) -> None:
    spec = model_spec("yolov8n", num_classes=5)
    model = tmp_path / "model"
    tensors = dict(build(spec).state_dict())
    store_model(model, Arm("x", spec), tensors, {"imgsz": [64, 64], "names": list("abcde")})
    runs = tmp_path / "runs"
    with pytest.raises(YolograftError, match="YG420"):
        planned(runs, "se@neck.p3", weights=str(model), model="yolov8s")
    assert not runs.exists()
    results = collect(planned(runs, "se@neck.p3", weights=str(model)))
    assert results["from_weights"] is True and results["levels"] == ["p3", "p4", "p5"]


@pytest.mark.parametrize("step", ["measure_costs", "score_run"])
def test_scores_are_the_last_thing_written(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.set_num_threads(1)
    run = planned(tmp_path, "se@neck.p3", seeds=(0,))

    def killed(*_: object, **__: object) -> dict[str, Any]:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(running, step, killed)
        with pytest.raises(KeyboardInterrupt):
            go(run)
    # Killed while costs were measured, or tables written: no run is finished, and the study resumes.
    place = arm_folder(run, "baseline", 0)
    assert not (place / SCORES).exists() and (place / running.CHECKPOINTS).is_dir()
    results = go(run)
    assert results["status"] == "complete"
    for arm in results["arms"]:
        assert (run / "arms" / arm["label"] / COST).is_file() and arm["params"] > 0
    assert not list(run.rglob(running.CHECKPOINTS))


def test_checkpoints_left_by_a_finished_run_go_when_it_is_resumed(tmp_path: Path) -> None:
    run = planned(tmp_path, "se@neck.p3", seeds=(0,))
    for label in ("baseline", "se-neck.p3"):
        scored(run, label, (None,))
        left = arm_folder(run, label, 0) / running.CHECKPOINTS / "step-00000002"
        left.mkdir(parents=True)
        (left / "tensors.safetensors").write_bytes(b"x")
    go(run)
    assert not list(run.rglob(running.CHECKPOINTS))
