"""Arm against arm: named beforehand, counted among the verdicts, shown beside them."""

from __future__ import annotations

from pathlib import Path

import pytest
from fabricated import study
from test_study_verdicts import planned

from yolograft.errors import StudyError
from yolograft.study.paper.figures import paper_figures
from yolograft.study.planning.contrasts import check_contrasts, read_contrast
from yolograft.study.planning.earlier import tried_in
from yolograft.study.planning.manifest import read_manifest
from yolograft.study.results import collect
from yolograft.study.run import publish

QUALITIES = {"baseline": 0.5, "one": 0.52, "two": 0.72}
MODELS = dict.fromkeys(QUALITIES, "yolov8n")


def test_an_arm_against_an_arm_is_a_verdict_of_its_own(tmp_path: Path) -> None:
    run = study(tmp_path / "run", QUALITIES, contrasts=[["two", "one"]])
    results = collect(run)
    (found,) = results["contrasts"]
    mean = {arm["label"]: arm["mean"]["ap"] for arm in results["arms"]}
    assert found["delta"] == pytest.approx(mean["two"] - mean["one"], abs=1e-12)
    assert (found["label"], found["against"], found["verdict"]) == ("two", "one", "helps")
    assert found["sentence"].startswith("two vs one: ")
    page = (publish(run, None), (run / "report.html").read_text(encoding="utf-8"))[1]
    assert "two vs one" in page
    intervals = paper_figures(results)["intervals"]
    assert (
        "two vs one" in intervals
        and "two vs one" not in paper_figures(collect(study(tmp_path / "b", QUALITIES)))["intervals"]
    )


def test_it_takes_its_share_of_the_error(tmp_path: Path) -> None:
    with_it = study(tmp_path / "with", QUALITIES, contrasts=[["two", "one"]])
    without = study(tmp_path / "without", QUALITIES)
    assert (tried_in(read_manifest(with_it)), tried_in(read_manifest(without))) == (3, 2)
    wide, narrow = (
        {arm["label"]: arm["comparison"]["critical"] for arm in collect(run)["arms"] if arm["comparison"]}
        for run in (with_it, without)
    )
    assert all(wide[label] > narrow[label] for label in ("one", "two"))


def test_an_unfinished_or_unsound_study_has_none(tmp_path: Path) -> None:
    partial = study(tmp_path / "a", QUALITIES, seeds=(0, 1), planned=(0, 1, 2), contrasts=[["two", "one"]])
    (found,) = collect(partial)["contrasts"]
    assert found["verdict"] == "not enough seeds" and "not finished" in found["sentence"]


@pytest.mark.parametrize(
    ("pair", "looks", "said"),
    [
        (("two", "three"), 1, "no arm 'three'"),
        (("two", "baseline"), 1, "'two' is judged against baseline anyway"),
        (("baseline", "two"), 1, "'two' is judged against baseline anyway"),
        (("two", "one"), 3, "several looks"),
    ],
)
def test_what_is_no_contrast_is_refused(pair: tuple[str, str], looks: int, said: str) -> None:
    with pytest.raises(StudyError, match=said):
        check_contrasts([pair], MODELS, bases=["baseline"], looks=looks)


def test_another_models_baseline_may_stand_in_a_contrast() -> None:
    models = MODELS | {"other": "yolov5n"}
    check_contrasts([("other", "baseline"), ("two", "other")], models, bases=["baseline", "other"], looks=1)


def test_a_contrast_is_asked_once() -> None:
    with pytest.raises(StudyError, match="twice"):
        check_contrasts([("two", "one"), ("one", "two")], MODELS, bases=["baseline"], looks=1)


@pytest.mark.parametrize("text", ["one", "one,", "one,one", "a,b,c"])
def test_text_that_does_not_name_two_arms(text: str) -> None:
    with pytest.raises(StudyError, match="YG645"):
        read_contrast(text)


def test_the_manifest_names_it_before_the_first_run(tmp_path: Path) -> None:
    run = planned(tmp_path, "a=se@neck.p3", "b=eca@neck.p3", contrasts=(("a", "b"),))
    assert read_manifest(run)["contrasts"] == [["a", "b"]]
    with pytest.raises(StudyError, match="YG645"):
        planned(tmp_path, "a=se@neck.p3", contrasts=(("a", "b"),))


def test_baselines_judged_across_models_are_no_contrast() -> None:
    models = {"A": "yolov8n", "B": "yolov5n", "C": "yolox-nano"}
    with pytest.raises(StudyError, match="anyway"):
        check_contrasts([("B", "A")], models, bases=list(models), looks=1, across=True)
    check_contrasts([("B", "C")], models, bases=list(models), looks=1, across=True)
    check_contrasts([("B", "A")], models, bases=list(models), looks=1)
