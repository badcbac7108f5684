"""The report: numbers come from the results, markup is well-formed, hostile and partial input renders."""

from __future__ import annotations

import copy
import json
import re
import statistics
import xml.etree.ElementTree as ElementTree
from typing import Any

import numpy as np
import pytest
from report_inputs import sample, synthetic
from report_page import Page, checked, value_of

from yolograft.errors import StudyError
from yolograft.study.report.charts import class_chart, interval_chart, seed_chart
from yolograft.study.report.notation import duration
from yolograft.study.report.page import render_report, write_report
from yolograft.study.report.reading import read_arms
from yolograft.study.report.svg import esc
from yolograft.study.report.wording import LANGUAGES, WORDS, Wording

SVG = "{http://www.w3.org/2000/svg}"
NASTY = '</title><script>alert("1")</script>&\'"细胞'


# --- numbers ---------------------------------------------------------------------------------------------


def table_rows(page: str, kind: str) -> list[list[str]]:
    """Cell texts of a table's body, row by row, markup removed."""
    body = re.search(rf'<table class="{kind}">.*?<tbody>(.*?)</tbody>', page, re.S)
    assert body
    cells = [re.findall(r"<t[hd]\b[^>]*>(.*?)</t[hd]>", row, re.S) for row in body[1].split("<tr")[1:]]
    return [[re.sub(r"<[^>]+>", "", cell).strip() for cell in row] for row in cells]


def test_result_table_recomputes_from_results():
    results = synthetic()
    rows = [row for row in table_rows(render_report(results), "results") if len(row) > 2]
    assert len(rows) == 3
    for row, arm in zip(rows, results["arms"], strict=True):
        runs = arm["runs"]
        assert row[0] == arm["label"]
        for cell, key in zip(row[1:5], ("p", "r", "f1", "ap50"), strict=True):
            assert value_of(cell) == pytest.approx(statistics.fmean(r[key] for r in runs), abs=0.0501)
        mean, sd = (value_of(part) for part in row[5].split("±"))
        assert mean == pytest.approx(statistics.fmean(r["ap"] for r in runs), abs=0.0501)
        assert sd == pytest.approx(statistics.stdev(r["ap"] for r in runs), abs=0.0501)
        for cell, key in zip(row[6:9], ("ap_s", "ap_m", "ap_l"), strict=True):
            assert value_of(cell) == pytest.approx(statistics.fmean(r[key] for r in runs), abs=0.0501)
        if not arm["baseline"]:
            known = arm["comparison"]
            numbers = [value_of(n) for n in re.findall(r"[+−]?[\d.]+", row[9])]
            assert numbers == pytest.approx([known[k] for k in ("delta", "low", "high")], abs=0.0501)
            assert row[10] == esc(known["verdict"])
        assert value_of(row[11]) == pytest.approx(arm["params"] / 1e6, abs=5.1e-4)
        assert value_of(row[12]) == pytest.approx(arm["flops"] / 1e9, abs=5.1e-4)
        assert value_of(row[13]) == pytest.approx(arm["gflops_ultralytics"], abs=0.0501)
        p50, p90 = (value_of(part) for part in row[14].split("/"))
        assert (p50, p90) == pytest.approx(tuple(arm["latency_ms"].values()), abs=0.0501)
        assert value_of(row[15]) == pytest.approx(arm["fps"], abs=0.0501)
        assert row[16] == duration(arm["train_seconds"])


def test_cost_line_is_exact():
    page = render_report(synthetic())
    changes = [row[1] for row in table_rows(page, "results") if len(row) == 2]
    before, after = 3_011_433, round(3_011_433 * 1.009)
    assert f"params {before:,} → {after:,} (+{after - before:,}, +0.90 %)" in changes[0]
    assert "latency p50 11.2 → 11.5 ms (+2.7 %)" in changes[0]
    assert "train time 150 → 168 s (+12.0 %)" in changes[1]


def test_seed_table_holds_every_run():
    results = synthetic()
    for row, arm in zip(table_rows(render_report(results), "plain"), results["arms"], strict=True):
        shown = [value_of(cell) for cell in row[1:4]]
        assert shown == pytest.approx([run["ap"] for run in arm["runs"]], abs=0.00501)


def test_seed_dots_and_intervals_lie_on_their_axes():
    """Reads positions back through the axis labels, as a reader with a ruler would."""
    results = synthetic()
    arms, words = read_arms(results), Wording("en")
    for svg, expected in (
        (seed_chart(arms, words=words), [r["ap"] for a in results["arms"] for r in a["runs"]]),
        (
            interval_chart(arms, margin=0.5, words=words),
            [a["comparison"]["delta"] for a in results["arms"][1:]],
        ),
    ):
        root = ElementTree.fromstring(svg)
        ticks = [
            (float(t.get("x", "")), value_of(t.text or ""))
            for t in root.iter(f"{SVG}text")
            if t.get("text-anchor") == "middle" and re.fullmatch(r"−?[\d.]+", t.text or "")
        ]
        (x0, v0), (x1, v1) = ticks[0], ticks[-1]
        read = [v0 + (float(c.get("cx", "")) - x0) / (x1 - x0) * (v1 - v0) for c in root.iter(f"{SVG}circle")]
        assert read == pytest.approx(expected, abs=0.05)


def test_class_chart_shows_the_mean_of_finished_runs():
    results = synthetic()
    results["arms"][0]["runs"][0]["status"] = "diverged"
    svg = class_chart(read_arms(results), words=Wording("en"))
    kept = results["arms"][0]["runs"][1:]
    mean = statistics.fmean(run["per_class"][0]["ap"] for run in kept)
    assert f">{mean:.1f}<" in svg and ">n = 967<" in svg


def test_missing_means_are_recomputed_and_given_ones_kept():
    results = synthetic()
    results["arms"][0]["mean"], results["arms"][0]["sd"] = None, {}
    arm = read_arms(results)[0]
    aps = [run["ap"] for run in results["arms"][0]["runs"]]
    assert arm.mean["ap"] == pytest.approx(statistics.fmean(aps))
    assert arm.sd["ap"] == pytest.approx(statistics.stdev(aps))


# --- the page ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", LANGUAGES)
def test_page_is_well_formed_and_complete(lang, tmp_path):
    out = write_report(synthetic(), tmp_path / "deep" / "report.html", samples=[sample()], lang=lang)
    assert [p.name for p in out.parent.iterdir()] == ["report.html"]
    page = out.read_text(encoding="utf-8")
    parsed, words = checked(page), Wording(lang)
    for key in (
        "answer",
        "intervals",
        "results",
        "placement",
        "curves",
        "classes",
        "cost",
        "samples",
        "how",
        "limits",
    ):
        assert words(key) in parsed.text
    for key in ("this evaluation split", "not enough seeds", "hurts"):
        assert words.verdict(key) in parsed.text
    assert "9f2c" * 16 in parsed.text and "2.9.1" in parsed.text


def test_answer_stands_before_everything_else():
    page = render_report(synthetic())
    assert page.index("hurts") < page.index("<svg")
    assert page.index('id="answer"') < page.index('id="intervals"') < page.index('id="limits"')


def test_words_exist_in_both_languages_with_the_same_fields():
    for key, texts in WORDS.items():
        fields = [set(re.findall(r"\{(\w+)\}", text)) for text in texts]
        assert len(texts) == 2 and all(texts) and fields[0] == fields[1], key
    with pytest.raises(StudyError, match="YG620"):
        render_report(synthetic(), lang="fr")


def test_hostile_names_stay_text():
    results = synthetic(names=(NASTY, "红细胞", "a<b>c"))
    results["name"] = results["command"] = results["sees"] = NASTY
    results["environment"] = {NASTY: NASTY}
    for arm in results["arms"]:
        arm["label"] += NASTY + "\x00\x1b"
        for layer in arm["layers"]:
            layer["module"] = f"f{NASTY}.py::My{NASTY}"
        if arm["comparison"]:
            arm["comparison"].update(verdict=NASTY, sentence=NASTY, known=NASTY)
    page = render_report(results, samples=[sample(names=(NASTY, "红细胞", "a<b>c"))], lang="zh")
    parsed = checked(page)
    assert "<script" not in page
    assert NASTY in parsed.text and "红细胞" in page


def test_planted_raw_markup_is_caught():
    with pytest.raises(AssertionError):
        checked(render_report(synthetic()).replace("<h1>", "<h1><script>x</script>"))
    with pytest.raises(AssertionError):
        checked(render_report(synthetic()).replace("<h1>", '<h1><img src="https://example.org/x.png">'))


def _diverged(results: dict) -> None:
    run = results["arms"][1]["runs"][1]
    run.update(status="diverged", ap=None, ap50=None, per_class=None, history=run["history"][:9])
    run["history"][-1]["loss"] = float("nan")


def _holes(value: Any, rng: np.random.Generator) -> Any:
    if rng.random() < 0.12:
        return [None, float("nan"), float("inf")][int(rng.integers(3))]
    if isinstance(value, dict):
        return {k: _holes(v, rng) for k, v in value.items() if rng.random() > 0.06}
    return [_holes(v, rng) for v in value] if isinstance(value, list) else value


def _only(results: dict, **changes: Any) -> None:
    results.update(changes)


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize(
    "change",
    [
        lambda r: r.clear(),
        lambda r: _only(r, arms=[]),
        lambda r: _only(r, arms=None, data=None, budget=None, environment=None, margin=None, scope=None),
        lambda r: _only(r, arms=r["arms"][:1]),
        lambda r: _only(r, arms=r["arms"][1:2]),
        lambda r: [arm.update(runs=[], mean=None, sd=None, comparison=None) for arm in r["arms"]],
        lambda r: [arm.update(runs=arm["runs"][:1], sd={}, mean={}) for arm in r["arms"]],
        lambda r: [run.update(ap_s=float("nan")) for arm in r["arms"] for run in arm["runs"]],
        lambda r: [run.update(ap=0.0) for arm in r["arms"] for run in arm["runs"]],
        lambda r: [run.update(history=run["history"][:1]) for arm in r["arms"] for run in arm["runs"]],
        lambda r: [arm["comparison"].update(low=None, high=None) for arm in r["arms"][1:]],
        lambda r: [arm.update(label=r["arms"][0]["label"] * 40) for arm in r["arms"]],
        lambda r: _only(r, arms=[copy.deepcopy(a) for a in r["arms"] for _ in range(4)]),
        _diverged,
    ],
)
def test_partial_results_render(change, lang):
    results = synthetic(epochs=10)
    results["status"] = "partial"
    change(results)
    text = checked(render_report(results, samples=[sample()], lang=lang)).text
    assert not re.search(r"\b(nan|None|inf)\b", text)


def test_results_with_random_holes_render():
    for seed in range(40):
        results = _holes(synthetic(epochs=4), np.random.default_rng(seed))
        checked(render_report(results if isinstance(results, dict) else {}))


def test_a_diverged_run_is_named_and_leaves_the_means():
    results = synthetic()
    _diverged(results)
    results["arms"][1]["mean"] = results["arms"][1]["sd"] = None
    page = render_report(results)
    assert "1 of 3 runs diverged (seed 1)" in Page(page).text
    kept = [results["arms"][1]["runs"][i]["ap"] for i in (0, 2)]
    assert read_arms(results)[1].mean["ap"] == pytest.approx(statistics.fmean(kept))
    row = table_rows(page, "plain")[1]
    assert row[2] == "diverged"


def test_partial_study_counts_its_runs():
    results = synthetic()
    results["status"] = "partial"
    results["arms"][2]["runs"] = results["arms"][2]["runs"][:1]
    assert "7 of 9 runs are finished" in Page(render_report(results)).text


def test_fewer_than_three_seeds_are_said_to_give_no_verdict():
    few = Page(render_report(synthetic(seeds=2))).text
    assert "Fewer than three seeds" in few
    assert "Fewer than three seeds" not in Page(render_report(synthetic())).text


def test_results_survive_json(tmp_path):
    results = json.loads(json.dumps(synthetic()))
    assert render_report(results) == render_report(synthetic())


def test_a_failed_write_leaves_the_old_report(tmp_path):
    out = write_report(synthetic(), tmp_path / "report.html")
    before = out.read_bytes()
    with pytest.raises(StudyError):
        write_report(synthetic(), out, lang="xx")
    assert out.read_bytes() == before and len(list(tmp_path.iterdir())) == 1
