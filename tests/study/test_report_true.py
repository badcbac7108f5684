"""What report and methods say is what was run: settings, seeds, placebos, citations, language."""

from __future__ import annotations

import copy
import re

import pytest
from report_inputs import synthetic
from report_page import checked
from test_report_evidence import full

from yolograft.models.catalog import BY_NAME
from yolograft.study.paper.citations import bibtex, bibtex_of
from yolograft.study.paper.methods import methods_paragraph
from yolograft.study.paper.tables import paper_tables
from yolograft.study.report.curves import curve_chart
from yolograft.study.report.evidence_section import placebo_line
from yolograft.study.report.page import render_report
from yolograft.study.report.reading import levels_of, read_arms
from yolograft.study.report.samples import chosen_by_gain
from yolograft.study.report.svg import fit
from yolograft.study.report.tables import seed_table, timed_on
from yolograft.study.report.where_figure import row_titles
from yolograft.study.report.wording import Wording

EN, ZH = Wording("en"), Wording("zh")


def test_the_optimiser_is_told_as_the_engine_takes_it() -> None:
    results = full()
    results["budget"]["epochs"] = 8
    said = methods_paragraph(results)
    # 8 epochs of 13 steps: a quarter is 2 epochs, a tenth of 104 steps is 10; 0.01 / (4 + 3 classes).
    assert "last 2 epochs went without mosaic" in said and "first 10 steps" in said and "0.001429" in said
    results["recipe"]["augment"] = {"mosaic": 0}
    assert "mosaic" not in methods_paragraph(results)
    results["recipe"] |= {"augment": {}, "close_mosaic": 0, "warmup_epochs": 0}
    assert not re.search("mosaic|warm", methods_paragraph(results))


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_an_arm_that_stopped_earlier_is_said_everywhere(lang: str) -> None:
    results, words = full(), Wording(lang)
    note = words("stopped_note")
    assert note not in render_report(results, lang=lang)
    results["arms"][1]["runs"] = results["arms"][1]["runs"][:2]
    assert words("seeds_count", count="2–3") in render_report(results, lang=lang)
    assert note in checked(render_report(results, lang=lang)).text
    assert note in paper_tables(results, lang=lang)[0].note
    assert "2–3" in methods_paragraph(results, lang=lang)


def test_the_joint_level_is_that_of_every_look() -> None:
    results = full()
    second = copy.deepcopy(results["arms"][1]["comparison"])
    second["evidence"]["alpha"] = 0.01
    results["arms"][2]["comparison"] = second
    assert "95 %, 99 %" in methods_paragraph(results)


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_plan_is_part_of_report_and_methods(lang: str) -> None:
    results = full() | {"group": "folder", "tried_before": 7, "branch_at": 24}
    results["bank"] = [{"values": [1.0, 2.0]}, {"values": [1.0] * 9}]
    results["follows"] = [{"name": "compare-041", "seeds": [9], "tried": 7}]
    results["contrasts"] = [{"label": "coord_att", "against": "double_att"}]
    page = checked(render_report(results, lang=lang)).text
    for said in (methods_paragraph(results, lang=lang), page):
        for shown in ("folder", "11", "compare-041", "coord_att vs double_att", "24", "7"):
            assert shown in said


def test_every_key_stands_behind_its_own_graft() -> None:
    results = full()
    results["arms"][2]["expression"] = "my_att.py::MyAtt@neck.p3"
    results["arms"][3]["expression"] = "placebo:r=4@neck.p3"
    said = methods_paragraph(results, cite=True)
    assert "neck.p5 [hou2021coordinate]; my_att.py::MyAtt@neck.p3." in said
    assert "Beside 1 of 2 grafts" in said and "1x1 convolutions [he2016deep]" in said
    assert "Deep Residual Learning for Image Recognition" in bibtex(results)
    results["arms"].pop(3)
    assert "1512.03385" not in bibtex(results)


def test_papers_have_their_own_titles() -> None:
    assert "MobileNets: Efficient" in bibtex_of(BY_NAME["dwconv"].paper)
    assert "eprint = {1704.04861}" in bibtex_of(BY_NAME["dwconv"].paper)
    assert "{{SimAM: A Simple, Parameter-Free" in bibtex_of(BY_NAME["simam"].paper)


@pytest.mark.parametrize(
    "sentence",
    [
        "3 seeds per arm find a true difference of 4.7 AP four times out of five, if runs differ by an sd of "
        "1.3 AP (measured in 12 earlier runs)",
        "3 of 87 val images have a near-duplicate in train: the AP flatters every arm. First: 1.png of val "
        "is nearly the mirrored picture 2.png of train (and 2 more there)",
        "2 rows or images are not used (YG301 2): see `yolograft data check`",
        "7 seed 3 is missing",
        "7 seed 3 is not in the manifest: a study is never extended beyond its plan",
        "7 seed 3: another recipe than the manifest's (12ab, planned 34cd)",
        "7 seed 3 and 8 seed 3 are one and the same checkpoint",
        "7 seed 3 is there twice",
    ],
)
def test_stored_sentences_are_chinese_in_the_chinese_report(sentence: str) -> None:
    said = re.sub(r"`.*?`", "", ZH.verdict(sentence))
    words = re.findall(r"[A-Za-z]{2,}", said)
    assert set(words) <= {"AP", "YG", "val", "train", "png", "ab", "cd"} and said != sentence


def test_device_and_degrees_of_freedom_are_said_in_the_readers_language() -> None:
    results = {"arms": [{"latency_of": "cpu, 1 threads, fp32"}]}
    assert timed_on(results, EN) == "cpu, 1 thread, fp32" and timed_on(results, ZH) == "cpu, 1 线程, fp32"
    assert "自由度 6" in render_report(synthetic(epochs=2), lang="zh")
    assert ", df" not in render_report(synthetic(epochs=2), lang="zh")


def test_captions_promise_no_interval_where_none_is() -> None:
    results = full()
    for arm in results["arms"][1:3]:
        arm["comparison"] |= {"low": None, "high": None}
    for table in results["where"]:
        for row in table["rows"]:
            row |= {"low": None, "high": None}
    page = checked(render_report(results)).text
    assert "% interval" not in page and "intervals hold" not in page
    one = full()
    one["arms"][2]["comparison"] |= {"low": None, "level": 0.5}
    assert levels_of(read_arms(one)) == "95 %"
    assert placebo_line({"placebo": {"delta": 1.0, "against": "p"}}, EN) == "Minus its placebo p: +1.0 AP."


def test_an_ap_of_zero_has_ticks_that_differ() -> None:
    results = synthetic()
    for step in (s for arm in results["arms"] for run in arm["runs"] for s in run["history"]):
        step["ap"] = 0.0
    svg = curve_chart(read_arms(results), "ap", words=EN)
    ticks = re.findall(r'text-anchor="end"[^>]*>([\d.]+)<', svg)
    assert len(ticks) > 2 and len(set(ticks)) == len(ticks)


def test_one_epoch_makes_no_curve_and_no_best() -> None:
    results = synthetic()
    for run in (run for arm in results["arms"] for run in arm["runs"]):
        run["best"] = {"epoch": 2, "ap": run["ap"], "note": "not for verdicts"}
    arms = read_arms(results)
    assert curve_chart(arms, "ap", words=EN) and EN("best_epoch") in seed_table(arms, words=EN)
    for run in (run for arm in results["arms"] for run in arm["runs"]):
        for step in run["history"][:-1]:
            step.pop("ap", None)
    arms = read_arms(results)
    assert curve_chart(arms, "loss", words=EN) and curve_chart(arms, "ap", words=EN) == ""
    assert EN("best_epoch") not in seed_table(arms, words=EN)


def test_groups_by_overlap_share_no_border() -> None:
    titles = row_titles("overlap", ["0.00", "0.04", "0.04-0.71"], EN)
    assert list(titles) == ["0.00", "0.04", "0.04-0.71"]
    titles = row_titles("overlap", ["0.00", "0.01-0.04", "0.04-0.71"], EN)
    assert list(titles.values()) == ["no overlap (IoU 0.00)", "IoU 0.00–0.04", "IoU above 0.04"]


def test_a_cut_label_keeps_the_end_that_tells_it_apart() -> None:
    shown = [fit(f"coord_att-on-the-whole-neck.p{i}", 120, 13) for i in (3, 4)]
    assert shown[0] != shown[1] and all(s.startswith("coord") for s in shown)


def test_the_gallery_asks_all_seeds() -> None:
    row = {"arm": "a", "against": "b", "best": [{"image": 3, "gain": 0.5, "agree": 0.5}]}
    row["best"].append({"image": 5, "gain": 0.4, "agree": 1.0})
    row["worst"] = [{"image": 99, "gain": -9.0, "agree": 1.0}, {"image": 1, "gain": -0.2, "agree": 0.9}]
    control = {"arm": "c", "against": "b", "best": [{"image": 0, "gain": 9.0, "agree": 1.0}]}
    results = {"arms": [{"label": "c", "control": "placebo"}], "images": [control, row]}
    found = chosen_by_gain(results, {"a", "b", "c"}, images=10, without=[])
    assert {i: (d.arm, d.gain) for i, d in found.items()} == {5: ("a", 0.4), 1: ("a", -0.2)}
    assert list(chosen_by_gain(results, {"a", "b"}, images=10, without=[5])) == [3, 1]
    assert chosen_by_gain({}, {"a"}, images=10, without=[]) == {}
