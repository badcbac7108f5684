"""import, and files from elsewhere in the place of a run: show, eval, predict, train."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from yolograft.cli.progress import TerminalProgress
from yolograft.engine.arm import Arm
from yolograft.engine.foreignfolder import import_file
from yolograft.engine.modelfolder import read_model
from yolograft.engine.recipe import Recipe
from yolograft.errors import CheckpointError, StudyError
from yolograft.graph.anchors import anchors_of
from yolograft.graph.expr import parse_graft
from yolograft.graph.graft import graft
from yolograft.graph.spec import ModelSpec
from yolograft.models.build import build, model_spec
from yolograft.models.detector import Detector, key_of
from yolograft.models.foreign.names import their_name
from yolograft.study.start import check_weights, start_arms, weights_for

FIVE = ("circle", "ellipse", "square", "diamond", "star")


def numbered(net: Detector) -> dict[str, Tensor]:
    """A state dict as YOLOv5 and YOLOv8 spell it."""
    out: dict[str, Tensor] = {}
    for index, layer in enumerate(net.spec.layers):
        prefix = f"layers.{key_of(layer.name)}."
        for key, value in net.state_dict().items():
            if key.startswith(prefix):
                name = their_name(net.spec.family, layer.module, key[len(prefix) :])
                out[f"model.{index}.{name}"] = value
    if net.spec.family == "yolov5":
        # In cells of the level, and not those of the publication.
        out["model.24.anchors"] = net.head.anchors * 2 / torch.tensor([8.0, 16.0, 32.0])[:, None, None]
    return out


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """v8: all that fits. left: rows left over. v5: other anchors. Raw state dicts without class names."""
    folder = tmp_path_factory.mktemp("files")
    v8 = numbered(build(model_spec("yolov8n", num_classes=5), seed=1))
    extra = {f"model.9.extra.{i}": torch.ones(4) for i in range(8)}
    v5 = numbered(build(model_spec("yolov5n", num_classes=5), seed=1))
    paths = {}
    for name, state in {"v8": v8, "left": v8 | extra, "v5": v5}.items():
        paths[name] = folder / f"{name}.pt"
        torch.save({"model": state, "epoch": 7}, paths[name])
    return paths


def test_import_makes_a_model_folder_that_any_verb_takes(
    command: Any, files: dict[str, Path], tiny_data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "kept"
    answer = command("import", files["v8"], "--out", out, "--names", ",".join(FIVE), "--json")
    assert answer.code == 0 and answer.json["kept"] == 355 and answer.json["model"] == "yolov8n"
    stored = read_model(out)
    assert stored.names == FIVE and stored.imgsz == (640, 640)
    origin = stored.about["origin"]
    assert origin["sha256"] == hashlib.sha256(files["v8"].read_bytes()).hexdigest()
    assert (origin["file"], origin["layout"], origin["epoch"]) == ("v8.pt", "ultralytics", 7)
    assert (origin["licence"], origin["names_from"], origin["forced"]) == ("", "user", False)
    words = ("--data", tiny_data, "--imgsz", 64, "--device", "cpu", "--json")
    kept, direct = command("eval", out, *words), command("eval", files["v8"], *words)
    assert kept.code == direct.code == 0
    of_folder, of_file = kept.json, direct.json
    assert of_file.pop("notes")[0] == "v8.pt: kept 355 of 355 tensors"
    assert of_folder.pop("model") == str(out) and of_file.pop("model") == str(files["v8"])
    assert of_folder == of_file


def test_import_never_overwrites_and_says_what_it_made(
    command: Any, files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = command("import", files["v8"])
    assert answer.code == 0 and (tmp_path / "models" / "v8" / "state.json").is_file()
    assert "kept 355 of 355 tensors" in answer.out and "called 0 to 4" in answer.out
    again = command("import", files["v8"])
    assert again.code == 2 and again.err.startswith("YG444 ")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--model", "yolov8s"), "YG442"),
        (("--names", "a,b"), "YG443"),
    ],
)
def test_a_promise_the_file_does_not_keep(
    command: Any, files: dict[str, Path], tmp_path: Path, words: tuple[str, ...], code: str
) -> None:
    answer = command("import", files["v8"], *words, "--out", tmp_path / "x")
    assert answer.code == 2 and answer.err.startswith(f"{code} v8.pt: ") and not (tmp_path / "x").exists()


def test_what_is_left_over_is_refused_unless_forced(
    command: Any, files: dict[str, Path], tmp_path: Path
) -> None:
    answer = command("import", files["left"], "--out", tmp_path / "x")
    assert answer.code == 2 and answer.err.startswith("YG441 left.pt: ")
    assert "kept 355 of 363 tensors, 8 missing; no place for model.9.extra.0" in answer.err
    assert command("show", files["left"]).code == 2
    forced = command("import", files["left"], "--out", tmp_path / "x", "--force", "--json")
    assert forced.code == 0 and len(forced.json["missing"]) == 8
    origin = read_model(tmp_path / "x").about["origin"]
    assert origin["forced"] is True and origin["report"] == "kept 355 of 363 tensors, 8 missing"
    assert origin["new"] == []


def test_what_a_forced_file_did_not_fill_is_no_trained_weight(
    command: Any, files: dict[str, Path], tmp_path: Path
) -> None:
    """Its initial numbers are those of every study, and neither kept, nor frozen, nor alike for all seeds."""
    state = torch.load(files["v8"])["model"]
    part = tmp_path / "part.pt"
    torch.save(
        {"model": {key: value for key, value in state.items() if not key.startswith("model.12.")}}, part
    )
    assert command("import", part, "--out", tmp_path / "x").code == 2
    assert command("import", part, "--out", tmp_path / "x", "--force").code == 0
    for source in (read_model(tmp_path / "x"), import_file(part, force=True).stored):
        new = set(source.about["origin"]["new"])
        assert new and all(key.startswith("layers.neck/td4.") for key in new)
        weights, report = weights_for(build(source.spec, seed=5), source)
        assert not new & weights.keys() and new <= set(report.new)
        assert source.detector() is not None  # the folder itself is whole


def test_a_file_is_spoken_of_wherever_it_is_used(
    command: Any, files: dict[str, Path], tiny_data: Path, tmp_path: Path
) -> None:
    words = ("--imgsz", 64, "--device", "cpu")
    answer = command("eval", files["v8"], "--data", tiny_data, *words)
    assert "v8.pt: kept 355 of 355 tensors\n" in answer.out and "called 0 to 4" in answer.out
    image = next(path for path in sorted(tiny_data.rglob("*.*")) if path.suffix in (".png", ".jpg"))
    answer = command("predict", files["v5"], image, "--runs", tmp_path, *words)
    assert "v5.pt: kept 349 of 349 tensors\n" in answer.out and "anchors of its own: 20x26" in answer.out


@pytest.mark.parametrize("key", ["train_args", "opt"])
def test_the_size_a_file_was_trained_at(files: dict[str, Path], tmp_path: Path, key: str) -> None:
    path = tmp_path / "sized.pt"
    torch.save({**torch.load(files["v8"]), "train_args": {"lr0": 0.1}, key: {"imgsz": 320}}, path)
    assert import_file(path).stored.imgsz == (320, 320)


def test_a_file_that_is_not_there_is_one_line(command: Any, tmp_path: Path) -> None:
    for verb in (("import",), ("show",), ("eval",), ("train", "--weights")):
        answer = command(*verb, tmp_path / "gone.pt")
        assert answer.code == 2 and answer.err.startswith("YG430 gone.pt: ")


def test_show_takes_a_file_and_proves_the_identity_on_its_weights(
    command: Any, files: dict[str, Path]
) -> None:
    answer = command("show", files["v5"], "--graft", "se@neck.p4", "--json")
    assert answer.code == 0 and answer.json["model"] == "yolov5n" and answer.json["classes"] == 5
    assert answer.json["identity"] == {"fp32": 0.0, "bf16": 0.0}
    assert any("kept 349 of 349" in note for note in answer.json["notes"])
    refused = command("show", files["v5"], "--classes", 3)
    assert refused.code == 2 and refused.err.startswith("YG193 ")


def test_eval_asks_for_the_data_and_takes_its_names_for_numbers(
    command: Any, files: dict[str, Path], tiny_data: Path
) -> None:
    alone = command("eval", files["v5"])
    assert alone.code == 2 and alone.err.startswith("YG408 ")
    answer = command("eval", files["v5"], "--data", tiny_data, "--imgsz", 64, "--device", "cpu", "--json")
    assert answer.code == 0 and [row["name"] for row in answer.json["per_class"]] == list(FIVE)
    chosen = command("eval", files["v5"], "--data", tiny_data, "--arm", "x")
    assert chosen.code == 2 and chosen.err.startswith("YG407 ")


def test_predict_takes_a_file(command: Any, files: dict[str, Path], tiny_data: Path, tmp_path: Path) -> None:
    image = next(path for path in sorted(tiny_data.rglob("*.*")) if path.suffix in (".png", ".jpg"))
    answer = command(
        "predict", files["v8"], image, "--runs", tmp_path, "--imgsz", 64, "--confidence", 0.001, "--json"
    )
    assert answer.code == 0 and len(answer.json["images"]) == 1


@pytest.fixture
def planned_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Studies are planned, not run."""
    monkeypatch.setattr("yolograft.cli.launch.run_study", lambda run, **how: {"run": str(run)})


def planned(command: Any, *words: object) -> dict[str, Any]:
    answer = command(*words, "--json")
    assert answer.code == 0, answer.err
    return json.loads((Path(answer.json["run"]) / "manifest.json").read_text(encoding="utf-8"))


def test_training_from_a_file_is_planned_with_its_model_anchors_and_hash(
    command: Any, files: dict[str, Path], tiny: tuple[str, ...], tmp_path: Path, planned_only: None
) -> None:
    copy = tmp_path / "mine.pt"
    copy.write_bytes(files["v5"].read_bytes())
    manifest = planned(
        command, "train", *tiny, "--weights", copy, "--graft", "se@neck.p4", "--runs", tmp_path
    )
    assert manifest["model"] == "yolov5n" and manifest["weights"] == str(copy.resolve())
    assert manifest["weights_sha256"] == hashlib.sha256(copy.read_bytes()).hexdigest()
    assert manifest["weights_origin"]["file"] == "mine.pt" and manifest["weights_forced"] is False
    spec = ModelSpec.from_json(manifest["arms"][0]["spec"])
    assert anchors_of(spec) == tuple(2 * side for side in anchors_of(model_spec("yolov5n")))
    notes: list[str] = []
    listener = TerminalProgress()
    listener.note = notes.append  # type: ignore[method-assign]
    (arm,) = start_arms([Arm("x", spec)], manifest, Recipe.model_validate({"imgsz": (64, 64)}), listener)
    assert notes[0] == "mine.pt: kept 349 of 349 tensors" and "anchors of its own" in notes[2]
    assert notes[-2] == "x: kept 348 of 348 tensors, 5 new" and "identical to the base" in notes[-1]
    assert torch.equal(
        arm.weights["layers.stem.conv.weight"], torch.load(copy)["model"]["model.0.conv.weight"]
    )
    copy.write_bytes(copy.read_bytes() + b" ")
    with pytest.raises(StudyError, match="YG606"):
        check_weights(manifest)
    copy.unlink()
    with pytest.raises(CheckpointError, match="YG401"):
        check_weights(manifest)


def test_a_study_whose_weights_were_moved_says_so_when_it_goes_on(
    command: Any,
    files: dict[str, Path],
    tiny: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    copy = tmp_path / "mine.pt"
    copy.write_bytes(files["v8"].read_bytes())
    with monkeypatch.context() as before:
        before.setattr("yolograft.cli.launch.run_study", lambda run, **how: {"run": str(run)})
        run = command("train", *tiny, "--weights", copy, "--runs", tmp_path, "--json").json["run"]
    copy.rename(tmp_path / "elsewhere.pt")
    answer = command("train", "--resume", run)
    (line,) = (line for line in answer.err.splitlines() if line.startswith("YG"))
    assert answer.code == 2 and line.startswith(f"YG401 {copy}: no such file") and "put it back" in line


def test_weights_of_another_model_are_refused_in_one_line(
    command: Any, files: dict[str, Path], tiny: tuple[str, ...], tmp_path: Path, planned_only: None
) -> None:
    answer = command("train", "yolov8n", *tiny, "--weights", files["v5"], "--runs", tmp_path)
    assert answer.code == 2 and answer.err.startswith("YG420 ")
    alone = command("train", *tiny, "--force", "--runs", tmp_path)
    assert alone.code == 2 and alone.err.startswith("YG193 ")
    left = command("train", *tiny, "--weights", files["left"], "--runs", tmp_path)
    assert left.code == 2 and left.err.startswith("YG441 ")
    forced = planned(command, "train", *tiny, "--weights", files["left"], "--force", "--runs", tmp_path)
    assert forced["weights_forced"] is True and forced["weights_origin"]["forced"] is True


def test_another_number_of_classes_makes_the_head_anew(files: dict[str, Path]) -> None:
    source = import_file(files["v8"]).stored
    spec = graft(model_spec("yolov8n", num_classes=2), parse_graft("se@neck.p3", init="identity"))
    notes: list[str] = []
    listener = TerminalProgress()
    listener.note = notes.append  # type: ignore[method-assign]
    manifest = {"weights": str(files["v8"]), "weights_sha256": "", "weights_forced": False}
    (arm,) = start_arms([Arm("x", spec)], manifest, Recipe.model_validate({"imgsz": (64, 64)}), listener)
    assert notes[-1] == "x: kept 349 of 349 tensors, 5 new, 6 re-made for another class count"
    assert all(torch.equal(arm.weights[key], source.tensors[key]) for key in arm.weights)
