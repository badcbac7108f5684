"""Studies of several models: labels, who is judged against whom, and what the report says of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from report_inputs import synthetic
from test_study_verdicts import planned, scored

from yolograft.errors import StudyError
from yolograft.study.paper.latex import document as latex
from yolograft.study.paper.markdown import document as markdown
from yolograft.study.paper.tables import paper_tables
from yolograft.study.planning.arms import judged_against
from yolograft.study.planning.manifest import MANIFEST, read_manifest
from yolograft.study.report.page import render_report
from yolograft.study.report.reading import baseline_of, read_arms
from yolograft.study.report.svg import BASELINE
from yolograft.study.report.wording import LANGUAGES, Wording
from yolograft.study.results import collect
from yolograft.study.run import publish
from yolograft.study.statistics.compare import ArmScores, compare

GRAFT = "ca=coord_att@neck.p3"
Finished = dict[bool, dict[str, Any]]
LABELS = ["yolov8n", "yolov8n.ca", "yolov5n", "yolov5n.ca"]
VALUES = {
    "yolov8n": (40.0, 40.4, 39.8),
    "yolov8n.ca": (42.0, 42.3, 41.9),
    "yolov5n": (30.0, 30.5, 29.9),
    "yolov5n.ca": (30.1, 30.4, 29.8),
}


def study(base: Path, *, across: bool = False, done: bool = True) -> Path:
    run = planned(base, GRAFT, more_models=("yolov5n",), across=across)
    for label, values in VALUES.items() if done else ():
        scored(run, label, values)
    return run


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """Results of a finished study, without and with verdicts between the models."""
    return {
        across: collect(study(tmp_path_factory.mktemp("runs"), across=across)) for across in (False, True)
    }


def scores(label: str, name: str = "") -> ArmScores:
    return ArmScores(name or label, VALUES[label])


def test_every_model_has_its_baseline_and_every_graft(tmp_path: Path) -> None:
    manifest = read_manifest(study(tmp_path, done=False))
    arms = manifest["arms"]
    assert [arm["label"] for arm in arms] == LABELS
    assert [arm["baseline"] for arm in arms] == [True, False, True, False]
    assert [arm["model"] for arm in arms] == ["yolov8n", "yolov8n", "yolov5n", "yolov5n"]
    assert [arm["spec"]["family"] for arm in arms] == ["yolov8", "yolov8", "yolov5", "yolov5"]
    assert manifest["models"] == ["yolov8n", "yolov5n"] and manifest["model"] == "yolov8n, yolov5n"
    assert arms[1]["expression"] == arms[3]["expression"] == "coord_att@neck.p3"
    one = read_manifest(planned(tmp_path, GRAFT))
    assert [arm["label"] for arm in one["arms"]] == ["baseline", "ca"] and one["model"] == "yolov8n"


def test_a_graft_is_judged_against_its_own_model_and_the_error_is_shared(finished: Finished) -> None:
    arms = {arm["label"]: arm for arm in finished[False]["arms"]}
    assert arms["yolov8n"]["comparison"] is arms["yolov5n"]["comparison"] is None
    for model in ("yolov8n", "yolov5n"):
        found = arms[f"{model}.ca"]["comparison"]
        expected = compare(scores(model), [scores(f"{model}.ca")], tried=2)[0]
        assert (found["against"], found["delta"], found["low"]) == (model, expected.delta, expected.low)
        assert found["level"] == 0.975 and found["evidence"]["tried"] == 2
        assert found["p_value"] == expected.p_value and "tried 2" in found["sentence"]
    assert arms["yolov8n.ca"]["comparison"]["verdict"] == "helps"
    assert arms["yolov5n.ca"]["comparison"]["verdict"] != "helps"


def test_a_common_recipe_judges_the_models_too(finished: Finished) -> None:
    results = finished[True]
    arms = {arm["label"]: arm for arm in results["arms"]}
    found = arms["yolov5n"]["comparison"]
    expected = compare(scores("yolov8n"), [scores("yolov5n", "yolov5n vs yolov8n")], tried=3)[0]
    assert (found["against"], found["sentence"]) == ("yolov8n", expected.sentence)
    assert found["sentence"].startswith("yolov5n vs yolov8n: -9.93 AP") and found["verdict"] == "hurts"
    # Each verdict more costs all of them.
    assert arms["yolov8n.ca"]["comparison"]["level"] == pytest.approx(1 - 0.05 / 3)
    assert arms["yolov8n"]["comparison"] is None and arms["yolov5n.ca"]["comparison"]["against"] == "yolov5n"
    assert "3 seeds per arm" in results["sees"]


def test_more_verdicts_widen_the_interval_and_planning_counts_them(finished: Finished) -> None:
    apart, across = finished[False], finished[True]
    narrow, wide = (r["arms"][1]["comparison"] for r in (apart, across))
    assert wide["high"] - wide["low"] > narrow["high"] - narrow["low"] and wide["delta"] == narrow["delta"]
    assert apart["sees"] != across["sees"]


@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("lang", LANGUAGES)
def test_report_and_tables_say_what_a_row_of_another_model_means(
    across: bool, lang: str, finished: Finished
) -> None:
    results = finished[across]
    words = Wording(lang)
    note = words("models_across" if across else "models_apart")
    page, pair = render_report(results, lang=lang), paper_tables(results, lang=lang)
    assert page.count(note) == 2 and note in pair[0].note
    assert words("list_comma").join(("yolov8n", "yolov5n")) in page
    assert (words("not_judged") in page) == (not across)
    cells = {row[0].text: row[-1].text for row in pair[0].rows}
    assert cells["yolov8n"] == words("baseline_word")
    assert cells["yolov5n"] == (words.verdict("hurts") if across else words("not_judged"))
    assert page.count("<article") == (3 if across else 2)
    for text in (markdown(pair), latex(pair, lang=lang)):
        assert "yolov5n.ca" in text
    one = render_report(synthetic(), lang=lang)
    assert note not in one and words("not_judged") not in one


def test_an_unfinished_study_gives_no_verdict(tmp_path: Path) -> None:
    run = study(tmp_path, across=True, done=False)
    scored(run, "yolov8n", VALUES["yolov8n"])
    for arm in publish(run, None)["arms"][1:]:
        assert arm["comparison"]["verdict"] == "not enough seeds" and arm["comparison"]["low"] is None


def test_every_graft_is_read_with_its_own_baseline(finished: Finished) -> None:
    arms = read_arms(finished[False])
    base = [baseline_of(arm, arms) for arm in arms]
    assert [found.label for found in base if found] == ["yolov8n", "yolov8n", "yolov5n", "yolov5n"]
    colours = [arm.colour for arm in arms]
    assert colours[0] == BASELINE and len(set(colours)) == 4


def test_a_manifest_from_before_there_were_several_models_is_read(tmp_path: Path) -> None:
    run = planned(tmp_path, GRAFT)
    manifest = read_manifest(run)
    for key in ("models", "across", "anchors"):
        manifest.pop(key, None)
    for arm in manifest["arms"]:
        del arm["model"]
    (run / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    scored(run, "baseline", VALUES["yolov8n"])
    scored(run, "ca", VALUES["yolov8n.ca"])
    results = publish(run, None)
    assert results["models"] == ["yolov8n"] and results["arms"][1]["comparison"]["verdict"] == "helps"
    # Results that were written then are shown as well.
    for key in ("models", "across"):
        del results[key]
    for arm in results["arms"]:
        del arm["model"]
    page = render_report(results)
    assert "yolov8n" in page and "not judged" not in page


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"more_models": ("yolov8n",)}, "YG172.*one of them twice"),
        ({"more_models": ("yolov5n",), "weights": "somewhere"}, "YG172.*--weights"),
        ({"more_models": ("yolov5n",), "ablation": {"parts": []}}, "YG172.*--ablate"),
        ({"across": True}, "YG173 yolov8n alone"),
    ],
)
def test_what_several_models_cannot_have(values: dict[str, Any], code: str, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=code):
        planned(tmp_path, GRAFT, **values)
    assert list(tmp_path.iterdir()) == []


def test_two_grafts_of_one_label_are_refused_for_every_model(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"YG603.*yolov5n\.x"):
        planned(tmp_path, "x=se@neck.p3", "x=se@neck.p4", more_models=("yolov5n",))


def test_a_model_that_is_no_text_is_refused(tmp_path: Path) -> None:
    run = planned(tmp_path, GRAFT)
    manifest = read_manifest(run)
    manifest["arms"][0]["model"] = ["yolov8n"]
    (run / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(Exception, match="YG403"):
        read_manifest(run)


def test_pairs_without_a_baseline_or_without_grafts() -> None:
    lone = [{"label": "se", "baseline": False, "model": "yolov8n"}]
    assert judged_against(lone, across=False) == []
    two = [{"label": name, "baseline": True, "model": name} for name in ("a", "b", "c")]
    assert judged_against(two, across=False) == []
    assert judged_against(two, across=True) == [("a", ("b", "c"))]
