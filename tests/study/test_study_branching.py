"""A study whose arms go on from one half-trained baseline a seed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from test_study_verdicts import Silent, planned

from yolograft.engine.modelfolder import LAST
from yolograft.engine.recipe import Recipe
from yolograft.engine.runfolder import arm_folder
from yolograft.engine.train import Settings
from yolograft.errors import CheckpointError, StudyError
from yolograft.study.planning.branching import TRUNKS, branch_epoch
from yolograft.study.planning.manifest import read_manifest
from yolograft.study.run import Execution, run_study

RECIPE = Recipe.model_validate(
    {"epochs": 3, "batch": 4, "imgsz": (64, 64), "precision": "fp32", "eval_points": 1}
)
EXECUTION = Execution(Settings())


def _weights(run: Path, label: str, seed: int = 0) -> bytes:
    return (arm_folder(run, label, seed) / LAST / "tensors.safetensors").read_bytes()


def test_the_baseline_is_that_of_a_plain_study_and_arms_share_its_past(tmp_path: Path) -> None:
    plain = planned(tmp_path / "plain", seeds=(0,), recipe=RECIPE)
    run_study(plain, code={}, execution=EXECUTION, progress=Silent())
    graft = "ca=coord_att:init=identity@neck.p3"
    run = planned(tmp_path / "branch", graft, seeds=(0,), recipe=RECIPE, branch=True)
    assert (read_manifest(run)["branch_at"], branch_epoch(RECIPE)) == (2, 2)
    results = run_study(run, code={}, execution=EXECUTION, progress=Silent())
    assert _weights(run, "baseline") == _weights(plain, "baseline")
    histories = [arm["runs"][0]["history"] for arm in results["arms"]]
    assert histories[0][:2] == histories[1][:2] and histories[0][2] != histories[1][2]
    assert not (run / TRUNKS / "seed-0").exists()

    base, grafted = (arm["runs"][0] for arm in results["arms"])
    assert 0 < base["shared_seconds"] == grafted["shared_seconds"] < min(base["seconds"], grafted["seconds"])
    own = results["arms"][1]["train_seconds"]
    assert own == pytest.approx(grafted["seconds"] - grafted["shared_seconds"])

    # Killed after its last arm and before the trunk went.
    (run / TRUNKS / "seed-0").mkdir(parents=True)
    run_study(run, code={}, execution=EXECUTION, progress=Silent())
    assert not (run / TRUNKS / "seed-0").exists()

    kept = _weights(run, "ca")
    shutil.rmtree(arm_folder(run, "ca", 0))
    run_study(run, code={}, execution=EXECUTION, progress=Silent())
    assert _weights(run, "ca") == kept


@pytest.mark.parametrize(
    ("values", "error", "said"),
    [
        ({"recipe": RECIPE.model_copy(update={"epochs": 1})}, StudyError, "YG646"),
        ({"more_models": ("yolov8s",)}, StudyError, "YG646"),
        ({"controls": ("identity",)}, StudyError, "YG646"),
    ],
)
def test_what_cannot_branch_is_refused_before_training(
    values: dict[str, object], error: type[Exception], said: str, tmp_path: Path
) -> None:
    given = {"recipe": RECIPE, "branch": True, **values}
    with pytest.raises(error, match=said):
        planned(tmp_path, "se@neck.p3", **given)
    assert not list(tmp_path.glob("study*"))


def test_a_graft_that_takes_a_layer_away_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="YG409"):
        planned(tmp_path, "se@replace:backbone.p5", recipe=RECIPE, branch=True)
