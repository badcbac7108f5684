"""A study with a teacher: what is refused, what the manifest keeps, and one that is run to its end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from test_study_verdicts import Silent, planned

from yolograft.cli.launch import design_lines
from yolograft.data.shapes import shapes
from yolograft.engine.arm import Arm
from yolograft.engine.checkpoint import read_json
from yolograft.engine.memory import need_of_lesson
from yolograft.engine.modelfolder import read_model, store_model, tensors_sha256
from yolograft.engine.recipe import Recipe
from yolograft.engine.runfolder import arm_folder
from yolograft.engine.train import Settings
from yolograft.errors import CheckpointError, ModuleError, SpecError, StudyError
from yolograft.graph.expr import parse_graft
from yolograft.metrics.cost import training_memory_mb
from yolograft.models.build import build, model_spec
from yolograft.models.codebook import code_of
from yolograft.study import teacher as teaching
from yolograft.study.paper.citations import bibtex
from yolograft.study.paper.methods import methods_paragraph
from yolograft.study.planning.arms import planned_arms
from yolograft.study.planning.controls import control_arms
from yolograft.study.planning.manifest import read_manifest
from yolograft.study.records.merge import differing
from yolograft.study.records.studyrecord import COST
from yolograft.study.results import collect
from yolograft.study.run import Execution, run_study
from yolograft.study.teacher import teacher_of, with_lessons

NAMES = ["circle", "square", "triangle", "cross", "ring"]


def teacher(
    folder: Path, *, model: str = "yolov8n", names: list[str] | None = None, seed: int = 7, **about: Any
) -> Path:
    """A model folder of the shapes' classes in their order, or of those named."""
    called = names or list(shapes(train=8, val=4, size=64).names)
    spec = model_spec(model, num_classes=len(called))
    store_model(
        folder,
        Arm("baseline", spec),
        build(spec, seed=seed).state_dict(),
        {"imgsz": [64, 64], "names": called, **about},
    )
    return folder


@pytest.mark.parametrize(
    ("grafts", "named", "error", "message"),
    [
        (("distill:cwd",), False, SpecError, "YG446 distill:cwd without a teacher -> add --teacher RUN"),
        (("se@neck.p3",), True, SpecError, "YG446 --teacher, and no arm that learns from it"),
        ((), True, SpecError, "YG446 --teacher"),
        (("distill:fgd",), True, SpecError, "YG447 no method of distillation 'fgd'"),
        (("distill:cwd:tua=1",), True, SpecError, "YG447 distill:cwd has no option 'tua'"),
        (("distill:mgd:mask=2",), True, ModuleError, "YG210 mgd: mask"),
    ],
)
def test_one_without_the_other_is_refused_before_anything_is_read(
    grafts: tuple[str, ...], named: bool, error: type[Exception], message: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=message):
        planned(tmp_path, *grafts, teacher="nowhere" if named else "")
    assert list(tmp_path.iterdir()) == []


def test_a_teacher_that_does_not_fit_the_data(tmp_path: Path) -> None:
    turned = teacher(tmp_path / "turned", names=NAMES[::-1])
    for method in ("logit", "ld"):
        with pytest.raises(
            CheckpointError, match=rf"YG448 .*distill:{method}: the teacher's class 'ring' is"
        ):
            planned(tmp_path / "runs", f"distill:{method}", teacher=str(turned))
    other = teacher(tmp_path / "other", names=["a", "b"], model="yolox-nano")
    with pytest.raises(CheckpointError, match=r"YG448 .*heads of two families"):
        planned(tmp_path / "runs", "distill:logit", teacher=str(other))
    # Maps have no classes.
    run = planned(tmp_path / "runs", "distill:cwd", teacher=str(other))
    assert read_manifest(run)["teacher"]["model"] == "yolox-nano"


def test_a_teacher_that_has_seen_what_is_measured(tmp_path: Path) -> None:
    seen = shapes(train=8, val=4, size=64).fingerprint("val")
    leaking = teacher(tmp_path / "leaking", data={"train": seen, "eval": "e" * 64})
    with pytest.raises(CheckpointError, match=r"YG448 .*trained on 'val', on which this study is measured"):
        planned(tmp_path / "runs", "distill:cwd", teacher=str(leaking))
    # Chosen there is less than trained there: it is said.
    best = {"which": "best", "chosen_on": "val", "epoch": 4, "data": {"train": "f" * 64, "eval": seen}}
    chosen = teacher(tmp_path / "best", **best)
    manifest = read_manifest(planned(tmp_path / "runs", "distill:cwd", teacher=str(chosen)))
    said = "best of the curve (epoch 5), chosen on 'val': its numbers there flatter; not for verdicts"
    assert manifest["teacher"]["notes"] == [said] and f"teacher: {said}" in design_lines(manifest)


def test_a_file_that_does_not_all_fit_teaches_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        cause, fix = "the weights do not fit yolov8n", "--force takes what fits, the rest starts anew"
        raise CheckpointError("YG441", cause, where="last.pt", fix=fix)

    monkeypatch.setattr(teaching, "read_source", refuse)
    with pytest.raises(CheckpointError) as caught:
        planned(tmp_path, "distill:cwd", teacher=str(tmp_path / "last.pt"))
    assert str(caught.value) == "YG441 last.pt: the weights do not fit yolov8n -> another teacher"


def test_a_study_with_a_teacher(tmp_path: Path) -> None:
    folder = teacher(tmp_path / "teacher")
    recipe = Recipe.model_validate({"epochs": 1, "batch": 4, "imgsz": (64, 64), "precision": "fp32"})
    values: dict[str, Any] = {"kind": "train", "baseline": False, "seeds": (0,), "recipe": recipe}
    run = planned(tmp_path, "kd=distill:cwd:tau=2+distill:logit", teacher=str(folder), **values)
    manifest = read_manifest(run)
    sha256 = tensors_sha256(folder)
    assert manifest["teacher"]["sha256"] == sha256 and manifest["teacher"]["path"] == str(folder)
    (arm,) = manifest["arms"]
    assert arm["expression"] == "distill:cwd:tau=2+distill:logit"
    assert arm["distill"] == [{"method": "cwd", "options": {"tau": 2}}, {"method": "logit", "options": {}}]
    assert arm["spec_sha256"] == model_spec("yolov8n", num_classes=5).digest()
    run_study(run, code={}, execution=Execution(Settings()), progress=Silent())
    scores = read_json(arm_folder(run, "kd", 0) / "scores.json")
    assert scores["history"][0]["distill_cwd"] > 0 and "distill_logit" in scores["history"][0]
    finished = read_model(arm_folder(run, "kd", 0) / "model")
    assert finished.about["taught_by"] == manifest["teacher"]
    assert finished.detector().state_dict().keys() == finished.tensors.keys()
    results = collect(run)
    assert results["teacher"] == {"model": "yolov8n", "sha256": sha256}
    said = methods_paragraph(results)
    assert sha256[:12] in said and "holds for this one teacher, whose own training is in no interval" in said
    assert all(number in bibtex(results) for number in ("2011.13256", "1503.02531", "2308.14286"))
    # The memory of its training is that of a plain one and of its lessons.
    (taught,) = with_lessons([Arm("kd", finished.spec)], manifest["arms"], teacher_of(manifest, {}))
    stock = build(finished.spec)
    lesson = need_of_lesson(taught, stock, (64, 64)).of(4) / 2**20
    plain = training_memory_mb(stock, (64, 64), batch=4)
    cost = read_json(arm_folder(run, "kd", 0).parent / COST)
    assert lesson > 10 and cost["peak_memory_mb"] == pytest.approx(plain + lesson)
    # Another teacher in its place is noticed, and two studies of two teachers are not one.
    teacher(folder, seed=8)
    with pytest.raises(StudyError, match=r"YG449 .*teacher have changed"):
        teacher_of(manifest, {})
    again = read_manifest(
        planned(tmp_path, "kd=distill:cwd:tau=2+distill:logit", teacher=str(folder), **values)
    )
    assert differing(manifest, again) == "the teacher"
    hotter = read_manifest(planned(tmp_path, "kd=distill:cwd+distill:logit", teacher=str(folder), **values))
    assert differing(again, hotter) == "arm kd"


def test_arms_learn_as_their_rows_say_and_placebos_as_their_grafts() -> None:
    stock = model_spec("yolov8n", num_classes=3)
    grafts = [
        parse_graft(text, init="identity") for text in ("both=se@neck.p3+distill:cwd", "kd=distill:mgd")
    ]
    arms = planned_arms({"yolov8n": stock}, grafts)
    assert [arm.baseline for arm in arms] == [True, False, False] and arms[2].spec == stock
    assert [[ref.text() for ref in arm.distill] for arm in arms] == [[], ["cwd"], ["mgd"]]
    controls, notes = control_arms(arms, ("placebo",), {}, code={})
    assert [arm.label for arm in controls] == ["both.placebo"] and controls[0].distill == arms[1].distill
    assert controls[0].expression.endswith("+distill:cwd") and notes == [
        "kd has no placebo: it places no module"
    ]
    rows = [{"label": "baseline"}, {"label": "kd", "distill": [{"method": "mgd", "options": {"mask": 0.5}}]}]
    plain, kd = with_lessons([Arm("baseline", stock), Arm("kd", stock, code_of(stock, {}))], rows, None)
    assert plain.distill == () and [ref.text() for ref in kd.distill] == ["mgd:mask=0.5"]
