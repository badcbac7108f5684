"""Curves, confusion, ablation, warnings, best epochs and chosen samples in the report."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import numpy as np
import pytest
from report_inputs import sample, synthetic
from report_page import checked, value_of
from test_report import _holes

from yolograft.graph.ablate import ablate
from yolograft.metrics.detections import DetectionTable
from yolograft.metrics.matches import MatchTable
from yolograft.study.ablation import interactions
from yolograft.study.detail import curve_text, detail, read_bands, read_confusion
from yolograft.study.report.confusion_figure import MOST_CLASSES, confusion_figure, fold
from yolograft.study.report.gallery import Disagreement, sample_caption, shown_score
from yolograft.study.report.page import render_report
from yolograft.study.report.rate_curves import rate_panels
from yolograft.study.report.reading import read_arms
from yolograft.study.report.samples import Found, disagreements, errors
from yolograft.study.report.wording import LANGUAGES, Wording
from yolograft.study.statistics.compare import ArmScores, compare
from yolograft.study.statistics.evidence import evidence_json

SVG = "{http://www.w3.org/2000/svg}"
CELLS = "0,0,90 0,1,4 0,3,6 1,1,80 1,3,4 2,2,70 2,3,16 3,0,12 3,1,3"


def measured(seed: int) -> dict:
    """What `score_run` adds to a run's scores."""
    fall = np.linspace(100 - seed, 20, 101)
    rise = np.linspace(30, 95, 101)
    precision = rise.copy()
    precision[90:] = np.nan
    lines = {"recall": fall, "p": precision, "r": fall, "f1": np.minimum(rise, fall + seed)}
    counts = {"iou": 0.5, "confidence": 0.3 + seed / 100, "classes": 3, "cells": CELLS}
    return {"curves": {k: curve_text(v) for k, v in lines.items()}, "confusion": counts}


def full(seeds: int = 3) -> dict:
    results = synthetic(seeds=seeds, epochs=4)
    for arm in results["arms"]:
        for run in arm["runs"]:
            run |= measured(run["seed"])
            run["best"] = {"epoch": 2, "ap": run["ap"] + 1, "note": "not for verdicts"}
            run["f1_confidence"] = 0.31
    results["warnings"] = ["9 of 87 val images have a near-duplicate in train.", "", None]
    return results


def test_an_arm_keeps_the_mean_the_extremes_and_the_summed_counts():
    runs = [{"status": "done", **measured(k)} for k in range(3)] + [{"status": "diverged"}]
    kept = detail(runs)
    bands, found = read_bands(kept), read_confusion(kept)
    assert bands["recall"].mean == pytest.approx(np.linspace(99, 20, 101), abs=0.06)
    assert (bands["recall"].low[0], bands["recall"].high[0], bands["recall"].seeds) == (98, 100, 3)
    assert np.isnan(bands["p"].mean[90:]).all() and np.isfinite(bands["p"].mean[:90]).all()
    assert found is not None and found.counts[0, 0] == 270 and found.counts.sum() == 3 * 285
    assert found.confidence == (0.3, 0.32) and found.seeds == 3
    again = read_bands({"runs": runs})
    assert (again["f1"].mean == bands["f1"].mean).all()
    assert len(str(kept)) < 9000


@pytest.mark.parametrize(
    "damage",
    [
        {"curves": {"recall": "1 2 3"}, "confusion": {"classes": 3, "cells": "9,9,1"}},
        {"curves": {"recall": "x " * 101}, "confusion": {"classes": 3, "cells": "1,1"}},
        {"curves": None, "confusion": {"classes": -1, "cells": ""}},
        {"curves": {"recall": "inf " * 101}, "confusion": {"classes": 3, "cells": "0,0,-4"}},
        {"curves": 7, "confusion": {"classes": 10**9, "cells": "0,0,1"}},
        {"curves": {"recall": None}, "confusion": "?"},
    ],
)
def test_damaged_detail_is_as_good_as_none(damage):
    kept = detail([{"status": "done", **damage}])
    assert kept == {"curves": {}, "confusion": None}
    assert read_bands(damage) == {} and read_confusion(damage) is None


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_page_shows_what_was_measured(lang):
    page, words = render_report(full(), lang=lang), Wording(lang)
    text = checked(page).text
    for key in ("rates", "confusion", "recall_panel", "f1_panel", "background", "best_epoch", "warnings"):
        assert words(key) in text
    assert "9 of 87 val images" in text and page.index("near-duplicate") < page.index("<svg")
    assert text.count(words("best_note")) == 1
    assert 'id="ablation"' not in page


def test_nothing_measured_shows_no_empty_section():
    page = render_report(synthetic(epochs=2))
    assert all(f'id="{key}"' not in page for key in ("rates", "confusion", "ablation", "steps"))
    assert Wording("en")("best_note") not in page and "Before you rely" not in page


def test_detail_with_random_holes_renders():
    for seed in range(12):
        results = _holes(full(), np.random.default_rng(seed))
        checked(render_report(results if isinstance(results, dict) else {}))


def test_curves_lie_on_their_axes():
    arms = read_arms(full())
    svg = rate_panels(arms, words=Wording("en"))[0]
    root = ElementTree.fromstring(svg)
    lines = [t.get("points", "").split() for t in root.iter(f"{SVG}polyline")]
    assert len(lines) == 3 and all(len(points) == 101 for points in lines)
    ticks = {t.text: float(t.get("y", "")) for t in root.iter(f"{SVG}text") if t.get("text-anchor") == "end"}
    top, bottom = ticks["100"] - 4, ticks["0"] - 4
    read = [(bottom - float(p.split(",")[1])) / (bottom - top) * 100 for p in lines[0]]
    assert read == pytest.approx(arms[0].bands["recall"].mean, abs=0.05)
    precision = ElementTree.fromstring(rate_panels(arms, words=Wording("en"))[2])
    assert {len(t.get("points", "").split()) for t in precision.iter(f"{SVG}polyline")} == {90}


def test_the_heat_map_holds_every_count_and_true_shares():
    arm = read_arms(full())[1]
    svg = confusion_figure(arm, ["RBC", "WBC", "Platelets"], words=Wording("en"))
    shown = [t.text for t in ElementTree.fromstring(svg).iter(f"{SVG}text")]
    assert {"270", "12", "18", "240", "210", "48", "36", "9", "background"} <= set(shown)
    assert "90 %" in shown and "80 %" in shown
    hints = [t.text for t in ElementTree.fromstring(svg).iter(f"{SVG}title")]
    assert "270 (90.0 %)" in hints


def test_a_share_never_rounds_to_none_or_all():
    results = full(seeds=1)
    results["arms"][0]["runs"][0]["confusion"]["cells"] = "0,0,999 0,1,1 1,1,5"
    svg = confusion_figure(read_arms(results)[0], ["a", "b", "c"], words=Wording("en"))
    assert "&lt;1 %" in svg and "&gt;99 %" in svg and ">100 %" in svg


def test_many_classes_are_folded_without_losing_a_count():
    rng = np.random.default_rng(1)
    counts = rng.integers(0, 50, (81, 81))
    names = [f"类{k}" for k in range(80)]
    folded, labels = fold(counts, names, "other")
    assert folded.shape == (MOST_CLASSES + 1, MOST_CLASSES + 1) and len(labels) == MOST_CLASSES
    assert folded.sum() == counts.sum() and folded[-1, -1] == counts[-1, -1]
    kept = [names.index(label) for label in labels[:-1]]
    assert (folded[: len(kept), : len(kept)] == counts[np.ix_(kept, kept)]).all()
    least = min(counts[k].sum() for k in kept)
    assert all(counts[k].sum() <= least for k in range(80) if k not in kept)
    few = counts[:4, :4]
    assert fold(few, ["a"], "other") == (few, ["a", "1", "2"]) or (fold(few, ["a"], "other")[0] == few).all()


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("cumulative", [False, True])
def test_an_ablation_shows_its_contrasts(lang, cumulative):
    results = synthetic(epochs=2)
    made = ablate("se@neck.p3; nam@neck.p4", cumulative=cumulative)
    base, extra = results["arms"][0], results["arms"][2]
    for arm, label in zip(results["arms"], ("baseline", "a", "a-b"), strict=True):
        arm["label"] = label
    if not cumulative:
        results["arms"].insert(2, {**extra, "label": "b"})
    results["ablation"] = interactions(made.to_json(), results["arms"])
    row = results["ablation"]["rows"][-1]
    page, words = render_report(results, lang=lang), Wording(lang)
    text = checked(page).text
    assert words("steps" if cumulative else "ablation") in text
    section = page[page.index('id="steps"' if cumulative else 'id="ablation"') :]
    cells = re.findall(r"<td>(?:<b>)?([+−]?[\d.]+)", section)
    expected = [row["found"], row["value"]] if cumulative else [row["found"], row["sum"], row["value"]]
    assert [value_of(cell) for cell in cells[-len(expected) :]][: len(expected)] != []
    assert all(any(value_of(c) == pytest.approx(e, abs=0.0501) for c in cells) for e in expected)
    assert "a + b" in text and "se@neck.p3" in text and base["label"] == "baseline"


def test_the_chinese_page_says_the_judges_sentence_in_chinese():
    results = synthetic(epochs=2)
    arms = [ArmScores(a["label"], tuple(r["ap"] for r in a["runs"])) for a in results["arms"]]
    for arm, judged in zip(results["arms"][1:], compare(arms[0], arms[1:]), strict=True):
        arm["comparison"] |= {"verdict": judged.verdict, "sentence": judged.sentence, "known": judged.known}
        arm["comparison"]["evidence"] = evidence_json(judged.evidence)
    english, chinese = (checked(render_report(results, lang=lang)).text for lang in LANGUAGES)
    assert "tried 2" in english and "tried 2" not in chinese and "共尝试 2 个改动" in chinese
    assert "ruled out" in english and "ruled out" not in chinese


# --- samples -----------------------------------------------------------------------------------------------


def found(
    label: str, hits: list[int], false: list[int], *, baseline: bool = False, scores: float = 0.9
) -> Found:
    """An arm that finds `hits` of two boxes an image and has `false` alarms, all of one class."""
    image = np.array(
        [i for i, n in enumerate(hits) for _ in range(n)] + [i for i, n in enumerate(false) for _ in range(n)]
    )
    count, images = len(image), len(hits)
    tp = np.zeros((4, count, 10), dtype=bool)
    tp[:, : sum(hits)] = True
    matches = MatchTable(
        image=image.astype(np.int32),
        label=np.zeros(count, np.int32),
        score=np.full(count, 0.9, np.float32),
        tp=tp,
        ignored=np.zeros_like(tp),
        gt_image=np.arange(images, dtype=np.int32),
        gt_label=np.zeros(images, np.int32),
        gt_count=np.full((images, 4), 2, np.int32),
        images=images,
        num_classes=1,
    )
    none = np.zeros(0, np.int32)
    empty = DetectionTable(none, none, np.zeros(0, np.float32), np.zeros((0, 4), np.float32), images)
    return Found(label, baseline, empty, matches, 0.5)


def test_errors_count_misses_and_alarms_above_the_threshold():
    arm = found("a", [2, 1, 0], [0, 3, 1])
    assert errors(arm).tolist() == [0, 4, 3]
    assert errors(replace(arm, threshold=0.95)).tolist() == [2, 2, 2]


def test_the_largest_win_and_loss_are_chosen_beside_the_even_ones():
    base = found("baseline", [1, 1, 1, 1], [0, 5, 0, 0], baseline=True)
    arms = [base, found("a", [1, 1, 2, 1], [0, 0, 0, 2]), found("b", [1, 1, 1, 0], [0, 4, 0, 3])]
    assert disagreements(arms, without=()) == {1: Disagreement("a", 5), 3: Disagreement("b", -4)}
    assert disagreements(arms, without=(1, 3)) == {2: Disagreement("a", 1)}
    assert disagreements([base, replace(base, label="a", baseline=False)], without=()) == {}
    assert disagreements([base], without=()) == disagreements([], without=()) == {}


def test_win_and_loss_on_one_image_leave_the_next_loss():
    base = found("baseline", [1, 1, 1, 1], [0, 5, 0, 0], baseline=True)
    arms = [base, found("a", [1, 1, 1, 1], [0, 0, 0, 0]), found("b", [1, 1, 1, 1], [0, 9, 0, 2])]
    assert disagreements(arms, without=(0,)) == {1: Disagreement("a", 5), 3: Disagreement("b", -2)}
    # Where every arm is better everywhere, there is no loss to show; and the other way round no win.
    all_better = [found("baseline", [1, 1], [3, 2], baseline=True), found("a", [1, 1], [0, 0])]
    assert disagreements(all_better, without=()) == {0: Disagreement("a", 3)}
    all_worse = [found("baseline", [1, 1], [0, 0], baseline=True), found("a", [1, 1], [3, 2])]
    assert disagreements(all_worse, without=()) == {0: Disagreement("a", -3)}


@pytest.mark.parametrize("lang", LANGUAGES)
def test_an_effect_below_the_margin_is_qualified_on_its_card(lang):
    results = synthetic(epochs=2)
    results["margin"] = 0.5
    results["arms"][1]["comparison"] |= {"delta": 0.3, "low": 0.1, "high": 0.5, "verdict": "helps"}
    page = checked(render_report(results, lang=lang)).text
    words = Wording(lang)
    cells = {"en": "helps, smaller than your margin", "zh": "有效，但小于设定阈值"}
    assert cells[lang] in page and words.verdict("smaller than your margin") in page
    html = render_report(results, lang=lang)
    assert f'<p class="qualifier">{words.verdict("smaller than your margin")}</p>' in html
    # At the margin itself it is no longer smaller.
    results["arms"][1]["comparison"]["delta"] = -0.5
    assert cells[lang] not in render_report(results, lang=lang)


def test_the_confusion_caption_counts_the_seeds_behind_it():
    results = full(seeds=3)
    for arm in results["arms"]:
        arm |= detail(arm["runs"])
    del results["arms"][1]["runs"][2]
    results["arms"][1] |= detail(results["arms"][1]["runs"])
    assert "over 2–3 finished seed(s) per arm" in checked(render_report(results)).text


@pytest.mark.parametrize("lang", LANGUAGES)
def test_samples_say_their_confidence_and_why_they_were_chosen(lang):
    chosen = replace(sample(), thresholds={"baseline": 0.319}, chosen=Disagreement("coord_att", -3))
    text = checked(render_report(synthetic(epochs=2), samples=[chosen], lang=lang)).text
    words = Wording(lang)
    assert words("at_confidence", score="0.31") in text and words("at_confidence", score="0.25") in text
    assert sample_caption(chosen, words=words) in text and "3" in sample_caption(chosen, words=words)
    assert sample_caption(sample(), words=words) == sample().image_id


def test_a_shown_confidence_is_never_above_the_one_used():
    assert (shown_score(0.319), shown_score(0.3), shown_score(0.0042)) == ("0.31", "0.30", "0.004")
