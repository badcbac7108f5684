"""compare, train, eval, predict from the command line, end to end."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from yolograft.cli.app import run as run_command
from yolograft.cli.results_table import result_lines
from yolograft.data.eval_stream import EvalStream
from yolograft.data.source import open_dataset
from yolograft.engine.arm import Arm
from yolograft.engine.evaluate import detect
from yolograft.engine.modelfolder import read_model
from yolograft.engine.recipe import Recipe
from yolograft.graph.expr import parse_graft
from yolograft.graph.graft import graft
from yolograft.models.build import build, model_spec
from yolograft.study.start import with_weights

GRAFT = "coord_att@neck.p3"


@pytest.fixture(scope="module")
def trained(tiny: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run folder with a baseline and a graft."""
    torch.set_num_threads(1)
    runs = tmp_path_factory.mktemp("runs")
    assert run_command(["compare", *tiny, "--graft", GRAFT, "--seeds", "1", "--runs", str(runs)]) == 0
    return runs / "compare-001"


def test_compare_prints_json_alone_on_standard_output(
    command: Any, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    answer = command(
        "compare", *tiny, "--graft", "ca=" + GRAFT, "--seeds", 1, "--runs", tmp_path, "--name", "x", "--json"
    )
    assert answer.code == 0
    run = tmp_path / "x-001"
    assert answer.json == json.loads((run / "results.json").read_text(encoding="utf-8"))
    assert [arm["label"] for arm in answer.json["arms"]] == ["baseline", "ca"]
    assert answer.json["arms"][1]["comparison"]["verdict"] == "not enough seeds"
    assert "step 2/2" in answer.err and str(run) in answer.err.replace("\n", "")
    assert "Traceback" not in answer.err
    # Again, from the manifest: nothing is trained, the answer is the same.
    again = command("compare", "--resume", run, "--json")
    assert again.code == 0 and again.json == answer.json and "step" not in again.err


def test_compare_prints_tables_and_the_sentence(command: Any, trained: Path) -> None:
    answer = command("compare", "--resume", trained)
    assert answer.code == 0
    for words in ("AP50", "params (M)", "baseline", "coord_att-neck.p3", "not enough seeds", "report:"):
        assert words in answer.out
    assert (trained / "report.html").stat().st_size > 10_000


def test_the_table_says_what_was_measured_and_over_how_many_runs(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = json.loads((trained / "results.json").read_text(encoding="utf-8"))
    result_lines(results)
    assert "yolov8n on " in capsys.readouterr().out
    results |= {"levels": ["p2", "p3"], "from_weights": True}
    results["budget"]["seeds"] = [0, 1, 2]
    results["arms"][1]["runs"].append({"seed": 1, "status": "diverged", "reason": "loss nan"})
    results["arms"][0]["runs"].append(results["arms"][0]["runs"][0])
    result_lines(results)
    said = capsys.readouterr().out
    assert "yolov8n (levels p2, p3; from trained weights) on " in said and "mean of 1–2 seed(s)" in said


def test_eval_gives_the_numbers_of_the_run(command: Any, trained: Path) -> None:
    results = json.loads((trained / "results.json").read_text(encoding="utf-8"))
    for arm in results["arms"]:
        answer = command("eval", trained, "--arm", arm["label"], "--batch", 4, "--device", "cpu", "--json")
        assert answer.code == 0 and answer.err == ""
        assert {key: answer.json[key] for key in ("ap", "ap50", "p", "r", "f1")} == {
            key: arm["runs"][0][key] for key in ("ap", "ap50", "p", "r", "f1")
        }
    on_train = command("eval", trained, "--arm", "baseline", "--split", "train", "--json").json
    assert (on_train["split"], on_train["images"]) == ("train", 8)
    assert "AP50" in command("eval", trained, "--arm", "baseline").out


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("", "YG407"), ("--arm nam", "YG407"), ("--arm baseline --seed 9", "YG407"),
        ("--arm baseline --split nothing", "YG304"), ("--arm baseline --data nowhere", "YG301"),
        ("--arm baseline --imgsz 50", "YG191"), ("--arm baseline --batch 0", "YG334"),
    ],
)  # fmt: skip
def test_eval_says_what_is_missing(words: str, code: str, command: Any, trained: Path) -> None:
    answer = command("eval", trained, *words.split())
    assert (answer.code, answer.out) == (2, "") and answer.err.startswith(f"{code} ")
    assert answer.err.count("\n") == 1


def test_a_model_folder_that_stands_alone(
    command: Any, trained: Path, tiny_data: Path, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    shutil.copytree(trained / "arms" / "baseline" / "seed-0" / "model", model)
    assert command("eval", model).err.startswith("YG408 ")
    assert command("eval", model, "--data", tiny_data, "--json").json["images"] == 4
    data = bytearray((model / "tensors.safetensors").read_bytes())
    data[len(data) // 2] ^= 1
    (model / "tensors.safetensors").write_bytes(bytes(data))
    answer = command("eval", model, "--data", tiny_data)
    assert answer.code == 2 and answer.err.startswith("YG402 ")


def test_predict_writes_pictures_and_one_json_file(
    command: Any, trained: Path, tiny_data: Path, tmp_path: Path
) -> None:
    words = ("predict", trained, tiny_data / "val", "--arm", "baseline", "--confidence", "0.0001")
    answer = command(*words, "--runs", tmp_path, "--json")
    assert answer.code == 0 and answer.err == ""
    folder = tmp_path / "predict-001"
    images = answer.json["images"]
    assert answer.json["folder"] == str(folder) and len(images) == 4
    assert json.loads((folder / "detections.json").read_text(encoding="utf-8")) == images
    assert all((folder / image["picture"]).is_file() for image in images)
    found = [box for image in images for box in image["detections"]]
    assert found and {box["name"] for box in found} <= set(open_dataset(tiny_data).names)
    text = command(*words, "--runs", tmp_path).out
    assert str(tmp_path / "predict-002") in text.replace("\n", "")
    assert "nothing" in command(*words[:-1], "0.99", "--runs", tmp_path).out


def test_training_onto_weights_starts_as_the_base(
    command: Any, trained: Path, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    model = trained / "arms" / "baseline" / "seed-0" / "model"
    answer = command("train", *tiny, "--weights", model, "--graft", GRAFT, "--runs", tmp_path, "--json")
    assert answer.code == 0
    kept = len(read_model(model).tensors)
    notes = " ".join(answer.err.split())
    assert f"kept {kept} of {kept} tensors, " in notes and " new" in notes
    assert "identical to the base: max |difference| 0 in fp32, 0 in bf16" in notes
    manifest = json.loads((tmp_path / "train-001" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["weights"] == str(model.resolve()) and [a["label"] for a in manifest["arms"]] == [
        "coord_att-neck.p3"
    ]
    assert "init=identity" in manifest["arms"][0]["expression"]
    stored = read_model(tmp_path / "train-001" / "arms" / "coord_att-neck.p3" / "seed-0" / "model")
    assert stored.tensors["layers.neck/p3+coord_att.scale"].item() != 0


def test_a_run_with_several_arms_is_no_place_to_start(
    command: Any, trained: Path, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    answer = command("train", *tiny, "--weights", trained, "--runs", tmp_path / "runs")
    assert answer.code == 2 and answer.err.startswith("YG407 ") and not (tmp_path / "runs").exists()


class _Notes(list[str]):
    def note(self, text: str) -> None:
        self.append(text)

    def group(self, *_: object, **__: object) -> None: ...

    def step(self, *_: object) -> None: ...


def test_the_first_evaluation_of_an_identity_graft_is_the_base(trained: Path, tiny_data: Path) -> None:
    model = trained / "arms" / "baseline" / "seed-0" / "model"
    stream = EvalStream(open_dataset(tiny_data).split("val"), imgsz=(64, 64), batch=4)
    base = detect(read_model(model).detector(), stream, images=4)
    item = parse_graft("double_att@neck.p4+coord_att@neck.p3", init="identity")
    notes = _Notes()
    arm = Arm("x", graft(model_spec("yolov8n", num_classes=5), item))
    arm = with_weights(arm, read_model(model), Recipe(imgsz=(64, 64)), notes)
    grafted = build(arm.spec, seed=9)
    grafted.load_state_dict({**grafted.state_dict(), **arm.weights})
    found = detect(grafted, stream, images=4)
    assert len(notes) == 2 and "identical to the base" in notes[1]
    for one, other in zip(base, found, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    assert np.sum([len(each.scores) for each in base]) > 0


def test_weights_of_another_model_are_refused(
    command: Any, trained: Path, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    model = trained / "arms" / "baseline" / "seed-0" / "model"
    answer = command("train", "yolov8s", *tiny, "--weights", model, "--runs", tmp_path)
    assert answer.code == 2 and "YG420 " in answer.err.splitlines()[-1]
