"""The knobs of training from the command line, and what becomes of them in the run folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from yolograft.cli.app import run as run_command
from yolograft.cli.progress import TerminalProgress
from yolograft.engine.arm import Arm
from yolograft.engine.modelfolder import read_model
from yolograft.engine.recipe import Recipe
from yolograft.engine.recipefile import shipped_recipes
from yolograft.errors import MAX_LINE, CheckpointError, StudyError
from yolograft.models.build import model_spec
from yolograft.study.start import check_weights, start_arms, with_weights

RECIPE = "epochs: 9\nbatch: 8\nlr: 0.5\neval_points: 1\nprecision: fp32\naugment:\n  mosaic: 0.5\n"


def manifest_of(run: Path) -> dict[str, Any]:
    return json.loads((run / "manifest.json").read_text(encoding="utf-8"))


@pytest.fixture
def planned_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Studies are planned, not run."""
    monkeypatch.setattr("yolograft.cli.launch.run_study", lambda run, **how: {"run": str(run)})


@pytest.fixture(scope="module")
def wide(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run at 64 x 96 with every knob turned; the curve is measured after both of its epochs."""
    torch.set_num_threads(1)
    base = tmp_path_factory.mktemp("knobs")
    (base / "mine.yaml").write_text(RECIPE, encoding="utf-8")
    words = [
        "train",
        "--data",
        tiny_data,
        "--device",
        "cpu",
        "--imgsz",
        "64,96",
        "--recipe",
        base / "mine.yaml",
    ]
    words += ["--epochs", 2, "--batch", "auto", "--set", "lr=.001", "--set", "eval_points=2", "--amp", "off"]
    words += ["--box-loss", "giou", "--levels", "p2,p3,p4,p5", "--logger", "tensorboard", "--cache", "disk"]
    words += ["--set", "multi_scale=0.5", "--set", "augment.mixup=0.5", "--set", "class_balance=0.5"]
    assert run_command([str(word) for word in [*words, "--runs", base]]) == 0
    return base / "train-001"


def test_the_manifest_holds_what_was_resolved(wide: Path) -> None:
    manifest = manifest_of(wide)
    recipe = manifest["recipe"]
    # Options before the file, --set before both; the rest as it was.
    assert (recipe["epochs"], recipe["lr"], recipe["augment"]["mosaic"]) == (2, 0.001, 0.5)
    assert (recipe["precision"], recipe["box_loss"], recipe["imgsz"]) == ("fp32", "giou", [64, 96])
    assert manifest["recipe_file"]["name"] == "mine.yaml" and len(manifest["recipe_file"]["sha256"]) == 64
    assert manifest["environment"]["precision"] == "fp32"
    # Eight images: no batch is larger.
    assert recipe["batch"] == 8 and manifest["batch_choice"].startswith("batch 8: ")
    assert manifest["levels"] == ["p2", "p3", "p4", "p5"]
    head = manifest["arms"][0]["spec"]["layers"][-1]
    assert len(head["inputs"]) == 4
    assert isinstance(manifest["warnings"], list)
    results = json.loads((wide / "results.json").read_text(encoding="utf-8"))
    assert results["warnings"] == manifest["warnings"] and results["ablation"] is None
    assert results["recipe_file"] == manifest["recipe_file"]


def test_a_wide_model_is_evaluated_and_predicts(
    command: Any, wide: Path, tiny_data: Path, tmp_path: Path
) -> None:
    results = json.loads((wide / "results.json").read_text(encoding="utf-8"))
    answer = command("eval", wide, "--device", "cpu", "--batch", 8, "--json")
    assert answer.code == 0 and answer.json["ap"] == results["arms"][0]["runs"][0]["ap"]
    assert command("eval", wide, "--device", "cpu", "--imgsz", "96,64", "--json").code == 0
    words = ("predict", wide, tiny_data / "val", "--device", "cpu", "--confidence", "0.0001", "--json")
    images = command(*words, "--runs", tmp_path).json["images"]
    assert len(images) == 4 and any(image["detections"] for image in images)
    assert all(0 <= v <= 64 for image in images for box in image["detections"] for v in box["box"])


def test_the_best_stands_beside_the_last_and_says_so(
    command: Any, wide: Path, tiny_data: Path, tmp_path: Path
) -> None:
    place = wide / "arms" / "baseline" / "seed-0"
    best = read_model(place / "best").about
    assert best["which"] == "best" and best["chosen_on"] == "val" and not best["for_verdicts"]
    results = json.loads((wide / "results.json").read_text(encoding="utf-8"))
    shown = results["arms"][0]["runs"][0]["best"]
    assert (shown["epoch"], shown["ap"]) == (best["epoch"], best["ap"]) and "flatters" in shown["note"]
    answer = command("eval", wide, "--which", "best", "--batch", 8, "--device", "cpu", "--json")
    assert answer.json["model"].endswith("best") and "not for verdicts" in answer.json["warning"]
    assert answer.json["ap"] == pytest.approx(best["ap"], abs=1e-9)
    assert "flatter" in command("eval", place / "best", "--device", "cpu").out
    assert "warning" not in command("eval", wide, "--device", "cpu", "--json").json
    words = ("predict", wide, tiny_data / "val", "--device", "cpu", "--runs", tmp_path)
    assert "flatter" in command(*words, "--which", "best").out
    assert "flatter" not in command(*words).out
    wrong = command("eval", place / "model", "--which", "best")
    assert wrong.code == 2 and wrong.err.startswith("YG407 ")


def test_no_result_reads_the_best(command: Any, wide: Path, tmp_path: Path) -> None:
    run = tmp_path / "copy"
    shutil.copytree(wide, run)
    shutil.rmtree(run / "arms" / "baseline" / "seed-0" / "best")
    again = command("train", "--resume", run, "--json")
    assert again.code == 0
    before = json.loads((wide / "results.json").read_text(encoding="utf-8"))
    assert again.json["arms"] == before["arms"]


def test_the_logger_wrote_into_the_run_folder(wide: Path) -> None:
    pytest.importorskip("tensorboard")
    files = list((wide / "tensorboard" / "baseline" / "seed-0").iterdir())
    assert len(files) == 1 and files[0].name.startswith("events.out.tfevents")


def test_weights_to_start_from_are_named_hashed_and_held_to(
    command: Any, wide: Path, tiny: tuple[str, ...], tmp_path: Path, planned_only: None
) -> None:
    place = wide / "arms" / "baseline" / "seed-0"
    model = tmp_path / "weights"
    shutil.copytree(place / "best", model)
    words = ("train", *tiny, "--levels", "p2,p3,p4,p5", "--weights", model, "--runs", tmp_path, "--json")
    run = Path(command(*words).json["run"])
    state = json.loads((model / "state.json").read_text(encoding="utf-8"))
    assert manifest_of(run)["weights_sha256"] == state["sha256"]
    check_weights(manifest_of(run))
    notes: list[str] = []
    listener = TerminalProgress()
    listener.note = notes.append  # type: ignore[method-assign]
    arm = Arm("x", read_model(model).spec)
    start_arms([arm], manifest_of(run), Recipe(imgsz=(64, 96)), listener)
    assert "not for verdicts" in notes[0] and "kept" in notes[1]
    # Other weights in their place: the study is no longer the one that was planned.
    (model / "state.json").write_text(json.dumps(state | {"sha256": "0" * 64}), encoding="utf-8")
    with pytest.raises(StudyError, match="YG606"):
        check_weights(manifest_of(run))
    shutil.rmtree(model)
    with pytest.raises(CheckpointError, match="YG401"):
        check_weights(manifest_of(run))


def test_weights_that_would_land_in_other_layers_are_one_line(wide: Path) -> None:
    model = wide / "arms" / "baseline" / "seed-0" / "model"
    arm = Arm("x", model_spec("yolov8s", num_classes=5))
    with pytest.raises(CheckpointError) as caught:
        with_weights(arm, read_model(model), Recipe(imgsz=(64, 96)), TerminalProgress())
    line = caught.value.line()
    assert line.startswith("YG420 ") and len(line) <= MAX_LINE and "yolov8s" in caught.value.fix
    assert "layers." in caught.value.where and "misplaced" in caught.value.cause


@pytest.mark.parametrize(
    ("option", "labels"),
    [("--ablate", ["baseline", "a", "b", "a-b"]), ("--ablate-cumulative", ["baseline", "a", "a-b"])],
)
def test_an_ablation_becomes_arms(
    option: str, labels: list[str], command: Any, tiny: tuple[str, ...], tmp_path: Path, planned_only: None
) -> None:
    text = "se@neck.p3; nam@neck.p4"
    answer = command("compare", *tiny, option, text, "--recipe", "light", "--runs", tmp_path, "--json")
    assert answer.code == 0
    manifest = manifest_of(Path(answer.json["run"]))
    assert [arm["label"] for arm in manifest["arms"]] == labels
    assert manifest["ablation"]["cumulative"] == (option != "--ablate")
    assert len(manifest["ablation"]["parts"]) == 2
    assert manifest["recipe_file"]["name"] == "light" and manifest["recipe"]["lr"] == 0.0005


def test_a_recipe_replaces_what_the_demo_sets(command: Any, tmp_path: Path, planned_only: None) -> None:
    words = ("compare", "--graft", "se@neck.p3", "--device", "cpu", "--runs", tmp_path, "--json")
    with_demo = manifest_of(Path(command(*words).json["run"]))
    assert (with_demo["recipe"]["epochs"], with_demo["recipe"]["imgsz"]) == (15, [128, 128])
    assert with_demo["recipe_file"] is None and with_demo["batch_choice"] == ""
    chosen = manifest_of(Path(command(*words, "--recipe", "strong", "--epochs", 4).json["run"]))
    assert (chosen["recipe"]["epochs"], chosen["recipe"]["imgsz"]) == (4, [640, 640])
    assert chosen["recipe_file"]["name"] in shipped_recipes()


def test_a_mistake_in_a_recipe_file_is_one_line(command: Any, tiny: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("epochs: 3\nlr_finl: 0.1\n", encoding="utf-8")
    answer = command("train", *tiny, "--recipe", path, "--runs", tmp_path / "runs")
    assert (answer.code, answer.out) == (2, "") and answer.err.startswith("YG192 mine.yaml:2: ")
    assert "did you mean lr_final?" in answer.err and not (tmp_path / "runs").exists()
