"""A study from its manifest to its results: what is stored is what is shown, and it recomputes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from yolograft.data.source import open_dataset
from yolograft.engine.arm import ArmRun
from yolograft.engine.load import load_detector
from yolograft.engine.modelfolder import read_model
from yolograft.engine.predict import predict_files
from yolograft.engine.recipe import Recipe
from yolograft.engine.runfolder import arm_folder
from yolograft.engine.train import Settings
from yolograft.errors import CheckpointError, StudyError
from yolograft.graph.expr import parse_graft
from yolograft.metrics.detections import DetectionTable
from yolograft.metrics.matches import MatchTable, average_precision
from yolograft.models.codebook import from_grafts
from yolograft.study.pick import data_of, model_folder
from yolograft.study.planning.create import create_study
from yolograft.study.planning.manifest import read_manifest
from yolograft.study.planning.plan import Plan
from yolograft.study.results import collect
from yolograft.study.run import Execution, run_study
from yolograft.study.scores import score_table

GRAFT = "se@neck.p3"


@dataclass
class Witness:
    """A progress that remembers the notes, and what was on disk at every step."""

    run: Path = Path()
    notes: list[str] = field(default_factory=list)
    labels: list[tuple[str, ...]] = field(default_factory=list)
    on_disk: list[set[str]] = field(default_factory=list)

    def group(self, labels: Sequence[str], *, start: int, steps: int) -> None:
        self.labels.append(tuple(labels))

    def step(self, runs: Sequence[ArmRun], batch: int) -> None:
        self.on_disk.append({path.name for path in self.run.iterdir()})

    def note(self, text: str) -> None:
        self.notes.append(text)


def recipe_of(**values: Any) -> Recipe:
    """A few epochs that learn by heart: AP above 0 and hundreds of detections in most runs."""
    still = {"mosaic": 0, "hsv_h": 0, "hsv_s": 0, "hsv_v": 0, "fliplr": 0, "scale": 0, "translate": 0}
    given = {"epochs": 9, "batch": 4, "imgsz": (64, 64), "precision": "fp32", "eval_points": 2, "lr": 0.01,
             "lr_final": 1, "warmup_epochs": 0, "ema_decay": 0.9, "ema_tau": 2, "augment": still}  # fmt: skip
    return Recipe.model_validate({**given, **values})


def plan_of(data: Path, *grafts: str, seeds: tuple[int, ...] = (0,), **values: Any) -> Plan:
    parsed = tuple(parse_graft(text) for text in grafts)
    return Plan(**{"kind": "compare", "model": "yolov8n", "data": str(data), "grafts": parsed,
                   "seeds": seeds, "recipe": recipe_of(), **values})  # fmt: skip


def start(plan: Plan, base: Path) -> Path:
    return create_study(plan, base=base, name="study", code=from_grafts(plan.grafts))


def go(run: Path, witness: Witness, **settings: Any) -> dict[str, Any]:
    code = {ref: _again(ref) for ref in read_manifest(run)["code"]}
    witness.run = run
    return run_study(run, code=code, execution=Execution(Settings(**settings)), progress=witness)


def _again(ref: str) -> Any:
    return from_grafts([parse_graft(f"{ref}@neck.p3")])[ref]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny dataset of this module's own, measured on images it trains on, one of them stretched."""
    import cv2

    from yolograft.data.shapes import shapes

    root = tmp_path_factory.mktemp("data") / "tiny"
    shutil.copytree(shapes(train=8, val=4, size=64).root, root)
    shutil.rmtree(root / "val")
    shutil.copytree(root / "train", root / "val")
    path, wide = root / "val" / "00001.png", (150, 100)
    cv2.imwrite(str(path), cv2.resize(cv2.imread(str(path)), wide))
    document = json.loads((root / "annotations" / "instances_train.json").read_text(encoding="utf-8"))
    document["images"][1] |= {"width": wide[0], "height": wide[1]}
    for box in document["annotations"]:
        if box["image_id"] == 1:
            box["bbox"] = [side * wide[i % 2] / 64 for i, side in enumerate(box["bbox"])]
            box["area"] = box["bbox"][2] * box["bbox"][3]
    (root / "annotations" / "instances_val.json").write_text(json.dumps(document), encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def finished(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Witness]:
    """A finished study of two arms and two seeds."""
    torch.set_num_threads(1)
    run = start(plan_of(data, GRAFT, seeds=(0, 1)), tmp_path_factory.mktemp("runs"))
    witness = Witness()
    go(run, witness)
    return run, witness


def runs_of(results: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(arm["label"], run) for arm in results["arms"] for run in arm["runs"]]


def test_the_manifest_is_there_before_the_first_step(finished: tuple[Path, Witness]) -> None:
    run, witness = finished
    assert {"manifest.json", "lock.json"} <= witness.on_disk[0]
    assert "results.json" not in witness.on_disk[0]
    # After the first seed there are partial results already.
    assert {"results.json", "report.html"} <= witness.on_disk[-1]
    assert witness.labels == [("baseline", "se-neck.p3")] * 2
    manifest = read_manifest(run)
    assert manifest["seeds"] == [0, 1] and manifest["recipe_sha256"] == recipe_of().digest()


def test_a_finished_folder_holds_results_and_nothing_half_done(finished: tuple[Path, Witness]) -> None:
    run, _ = finished
    assert sorted(p.name for p in run.iterdir()) == [
        "arms",
        "manifest.json",
        "report.html",
        "results.json",
        "tables",
    ]
    assert not [p for p in run.rglob("*") if p.name.startswith(".") or "tmp" in p.name]
    for label in ("baseline", "se-neck.p3"):
        for seed in (0, 1):
            names = sorted(p.name for p in arm_folder(run, label, seed).iterdir())
            tables = ["detections.npz", "matches.npz", "model", "parts.npz", "record.npz"]
            assert names == ["best", *tables, "scores.json"]


def test_results_recompute_from_the_folder(finished: tuple[Path, Witness]) -> None:
    run, _ = finished
    stored = json.loads((run / "results.json").read_text(encoding="utf-8"))
    assert json.loads(json.dumps(collect(run))) == stored
    assert stored["status"] == "complete"
    for arm in stored["arms"]:
        values = [r["ap"] for r in arm["runs"]]
        assert arm["mean"]["ap"] == pytest.approx(np.mean(values), abs=1e-12)
        assert arm["sd"]["ap"] == pytest.approx(np.std(values, ddof=1), abs=1e-12)


def test_scores_recompute_from_the_stored_tables(finished: tuple[Path, Witness], data: Path) -> None:
    run, _ = finished
    dataset = open_dataset(data)
    for label, scores in runs_of(collect(run)):
        folder = arm_folder(run, label, scores["seed"])
        matches = MatchTable.load(folder / "matches.npz")
        assert average_precision(matches) == pytest.approx(scores["ap"] / 100, abs=1e-9)
        assert average_precision(matches, iou=0.5) == pytest.approx(scores["ap50"] / 100, abs=1e-9)
        table = DetectionTable.load(folder / "detections.npz")
        assert table.fingerprint == matches.fingerprint == dataset.fingerprint("val")
        again = score_table(dataset.split("val"), table, dataset.names)
        assert again == {key: scores[key] for key in again}
        assert scores["history"][-1]["ap"] == scores["ap"]
    assert max(scores["ap"] for _, scores in runs_of(collect(run))) > 0


def test_predict_finds_what_was_measured(finished: tuple[Path, Witness], data: Path, tmp_path: Path) -> None:
    run, _ = finished
    folders = [model_folder(run, arm=label, seed=scores["seed"]) for label, scores in runs_of(collect(run))]
    tables = [DetectionTable.load(folder.parent / "detections.npz") for folder in folders]
    table, folder = max(zip(tables, folders, strict=True), key=lambda pair: len(pair[0]))
    detector, stored = load_detector(folder, device="cpu")
    # In the middle of the widest gap between two scores: rounding moves none across it.
    scores = np.sort(table.score[table.score > np.quantile(table.score, 0.3)])
    gap = int(np.diff(scores).argmax())
    confidence = float(scores[gap : gap + 2].mean())
    records = open_dataset(data).split("val")
    paths = [record.path for record in records]
    answers = predict_files(
        detector, paths, names=stored.names, imgsz=stored.imgsz, confidence=confidence, folder=tmp_path
    )
    for index, answer in enumerate(answers):
        rows = (table.image == index) & (table.score >= confidence)
        stored_rows = np.column_stack((table.label[rows], table.score[rows], table.boxes[rows]))
        got = np.array([[d["label"], d["score"], *d["box"]] for d in answer["detections"]]).reshape(-1, 6)
        assert len(got) == len(stored_rows)
        # One image at a time may round otherwise than a batch does, and equal scores may swap.
        for row in got:
            far = np.abs(stored_rows - row).max(axis=1) if len(stored_rows) else np.ones(1)
            assert far.min() < 1e-3
            stored_rows = np.delete(stored_rows, far.argmin(), axis=0)
    assert sum(len(answer["detections"]) for answer in answers) > 5


def test_two_seeds_are_not_enough(finished: tuple[Path, Witness]) -> None:
    run, _ = finished
    judged = collect(run)["arms"][1]["comparison"]
    assert judged["verdict"] == "not enough seeds" and judged["known"]
    assert collect(run)["sees"] == read_manifest(run)["sees"] != ""


def test_a_finished_study_is_not_trained_again(finished: tuple[Path, Witness]) -> None:
    run, _ = finished
    before = json.loads((run / "results.json").read_text(encoding="utf-8"))
    witness = Witness()
    assert json.loads(json.dumps(go(run, witness))) == before
    assert witness.on_disk == []


def test_one_arm_done_again_alone_is_the_same(finished: tuple[Path, Witness], tmp_path: Path) -> None:
    run = tmp_path / "copy"
    shutil.copytree(finished[0], run)
    shutil.rmtree(arm_folder(run, "se-neck.p3", 1))
    assert collect(run)["status"] == "partial"
    witness = Witness()
    results = go(run, witness)
    assert witness.labels == [("se-neck.p3",)] and results["status"] == "complete"
    folders = [model_folder(r, arm="se-neck.p3", seed=1) for r in (finished[0], run)]
    one, other = (read_model(folder) for folder in folders)
    assert one.about == other.about and one.spec == other.spec
    assert all(torch.equal(one.tensors[key], other.tensors[key]) for key in one.tensors)
    old, new = (json.loads((f.parent / "scores.json").read_text(encoding="utf-8")) for f in folders)
    timing = ("seconds", "images_per_second", "process_peak_mb")
    assert {k: v for k, v in old.items() if k not in timing} == {
        k: v for k, v in new.items() if k not in timing
    }


def test_models_are_picked_by_name(finished: tuple[Path, Witness], data: Path) -> None:
    run, _ = finished
    folder = model_folder(run, arm="baseline")
    assert folder == arm_folder(run, "baseline", 0) / "model" and model_folder(folder) == folder
    assert data_of(folder) == str(data.resolve())
    for wrong in ({}, {"arm": "nam"}, {"arm": "baseline", "seed": 7}):
        with pytest.raises(CheckpointError, match="YG407"):
            model_folder(run, **wrong)


def test_data_that_changed_are_refused(data: Path, tmp_path: Path) -> None:
    own = tmp_path / "data"
    shutil.copytree(data, own)
    run = start(plan_of(own, GRAFT), tmp_path)
    file = own / "annotations" / "instances_val.json"
    document = json.loads(file.read_text(encoding="utf-8"))
    document["annotations"][0]["bbox"][2] -= 1
    file.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(StudyError, match=r"YG604.*split 'val'"):
        go(run, Witness())
    assert not (run / "arms").exists() and not (run / "lock.json").exists()


def test_another_thread_count_is_said(finished: tuple[Path, Witness], tmp_path: Path) -> None:
    run = tmp_path / "copy"
    shutil.copytree(finished[0], run)
    manifest = read_manifest(run)
    manifest["environment"]["threads"] = 64
    (run / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    witness = Witness()
    go(run, witness)
    assert [note for note in witness.notes if note.startswith("not bitwise: threads was 64")]
