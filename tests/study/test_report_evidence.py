"""What a verdict rests on, where the difference lies, and what a paper takes from a study."""

from __future__ import annotations

import copy
import math
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from report_inputs import sample, synthetic
from report_page import checked, value_of

from yolograft.engine.checkpoint import write_json
from yolograft.errors import StudyError
from yolograft.study.explain import _Writer
from yolograft.study.paper.citations import bibtex, bibtex_of
from yolograft.study.paper.figures import paper_figures
from yolograft.study.paper.folder import write_paper
from yolograft.study.paper.methods import methods_paragraph
from yolograft.study.paper.vector_pdf import pdf_of
from yolograft.study.report.evidence_section import look_line, placebo_line, variance_parts
from yolograft.study.report.maps import MAPS, read_maps
from yolograft.study.report.page import render_report, write_report
from yolograft.study.report.where_figure import read_where, where_chart
from yolograft.study.report.wording import Wording
from yolograft.study.statistics.evidence import Evidence, evidence_json
from yolograft.study.study import Study, Verdict

EVIDENCE = Evidence(
    label="coord_att",
    delta=0.8,
    low=-1.2,
    high=2.8,
    level=0.972,
    equivalence_half=1.5,
    margin=0.5,
    seeds=(3, 3),
    failed=(0, 0),
    tried=2,
    needed=112,
    wide=2.0,
    wide_needed=9,
    scope="new images like these",
    critical=2.89,
    df=6.0,
    se=0.7,
    sd_base=0.71,
    sd_arm=0.99,
    v_seed=0.49,
    v_img=0.16,
    v_int=0.09,
    units=96,
    alpha=0.05,
)


def full() -> dict:
    """Results with everything a finished study can hold."""
    results = synthetic()
    results["scope"] = "new images like these"
    results["recipe"] = {"optimizer": "adamw", "lr": "auto", "weight_decay": 0.0005, "warmup_epochs": 3.0}
    results["recipe"] |= {"ema_decay": 0.9999, "close_mosaic": 10}
    results["recipe_sha256"], results["from_weights"] = "ab" * 32, False
    results["looks"], results["alpha_plan"] = [3, 5, 10], [0.01, 0.02, 0.028]
    results["noise"] = {"sd": 0.7, "runs": 9, "rho": 0.27, "image_share": 0.3}
    found = results["arms"][1]["comparison"]
    found |= {
        "evidence": evidence_json(EVIDENCE),
        "look": {"seeds": 3, "alpha": 0.01, "of": [3, 5, 10], "open": 1},
    }
    found["placebo"] = {"delta": 0.3, "low": -0.9, "high": 1.5, "against": "coord_att-placebo"}
    placebo = copy.deepcopy(results["arms"][1])
    placebo |= {"label": "coord_att-placebo", "control": "placebo", "of": "coord_att", "comparison": None}
    results["arms"].append(placebo)
    rows = [
        {"name": n, "delta": d, "low": d - 2, "high": d + 1.5, "boxes": b}
        for n, d, b in (("RBC", 1.25, 967), ("WBC", -3.5, 84), ("Platelets", 0.0, 86))
    ]
    about = {"level": 0.95, "rule": "Bonferroni", "over": 3, "scope": "new images like these"}
    kinds = {"class": rows, "size": [{**rows[0], "name": "small"}], "crowding": [{**rows[0], "name": "1-3"}]}
    kinds |= {"overlap": [{**rows[0], "name": "0.03-0.19"}], "error": [{**rows[1], "name": "Loc"}]}
    results["where"] = [
        {"arm": "coord_att", "kind": kind, "rows": own, **about} for kind, own in kinds.items()
    ]
    return results


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_page_says_what_the_verdict_rests_on_and_where(lang: str) -> None:
    page = checked(render_report(full(), lang=lang))
    sections = {a.get("id") for tag, a in page.tags if tag == "section"}
    assert {"evidence", "where", "methods"} <= sections
    for shown in ("0.71", "0.99", "0.70", "0.40", "0.30", "2.89"):  # sds, roots of the parts, critical value
        assert shown in page.text
    assert {"en": "look at 3 seeds", "zh": "每组 3 个种子"}[lang] in page.text
    assert {"en": "Minus its placebo coord_att-placebo: +0.3 AP", "zh": "减去其安慰剂"}[lang] in page.text
    assert {"en": "Exploratory", "zh": "探索性"}[lang] in page.text
    assert {"en": "1–3 boxes", "zh": "1–3 个框"}[lang] in page.text
    assert "Bonferroni" in page.text and "2008.08115" in page.text
    # A control without a judgement of its own has no card.
    assert render_report(full(), lang=lang).count("<article") == 2


def test_parts_of_the_interval_add_up_as_the_law_says() -> None:
    parts = variance_parts(EVIDENCE)
    seed, image, both = (parts[key] or 0.0 for key in ("se_seed", "se_image", "se_both"))
    assert max(seed**2 + max(image**2 - both**2, 0), image**2) == pytest.approx(0.56)
    assert variance_parts(Evidence(**{**_plain(EVIDENCE), "v_img": math.nan}))["se_image"] is None


def _plain(evidence: Evidence) -> dict:
    return {name: getattr(evidence, name) for name in Evidence.__dataclass_fields__}


def test_an_older_study_shows_none_of_it() -> None:
    page = checked(render_report(synthetic()))
    sections = {a.get("id") for tag, a in page.tags if tag == "section"}
    assert not {"evidence", "where"} & sections
    assert look_line({}, Wording()) == placebo_line({}, Wording()) == ""


def test_where_rows_lie_on_their_axis() -> None:
    results = full()
    from yolograft.study.report.reading import read_arms

    arms = read_arms(results)
    svg = where_chart([t for t in read_where(results) if t.kind == "class"], arms, words=Wording())
    root = ElementTree.fromstring(svg)
    dots = [e for e in root.iter() if e.tag.endswith("circle")]
    ticks = [e for e in root.iter() if e.tag.endswith("text") and e.get("text-anchor") == "middle"]
    known = [
        (value_of(e.text or ""), float(e.get("x", 0)))
        for e in ticks
        if re.fullmatch(r"[−+\d.]+", e.text or "")
    ]
    slope, start = np.polyfit([v for v, _ in known], [x for _, x in known], 1)
    assert [float(d.get("cx", 0)) for d in dots] == pytest.approx(
        [start + slope * v for v in (1.25, -3.5, 0.0)], abs=0.05
    )
    assert "n = 967" in svg and "+1.2 [−0.8, +2.8]" in svg


@pytest.mark.parametrize(
    "damage", [None, 3, "x", [None], [{"kind": "class", "rows": [{"name": "a"}]}], {"tables": 1}]
)
def test_damaged_rows_are_as_good_as_none(damage: object) -> None:
    results = full() | {"where": damage}
    assert read_where(results) == ()
    assert 'id="where"' not in render_report(results)


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_every_number_of_the_methods_comes_from_the_study(lang: str) -> None:
    results = full()
    said = methods_paragraph(results, lang=lang, cite=True)
    for shown in ("205", "2,804", "87", "1,137", "40", "16", "0.0005", "0.9999", "3", "0.01", "abababababab"):
        assert shown in said
    assert "[hou2021coordinate]" in said and "{" not in said
    other = copy.deepcopy(results)
    other["budget"]["epochs"], other["margin"] = 41, 0.75
    assert methods_paragraph(other, lang=lang) != methods_paragraph(results, lang=lang)
    assert "0.75 AP" in methods_paragraph(other, lang=lang)


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_methods_say_how_kept_tensors_were_trained(lang: str) -> None:
    tuned = full() | {"from_weights": True}
    tuned["recipe"] |= {"kept_lr": 0.25, "new_lr": 1.5, "freeze_epochs": 7, "freeze": "backbone"}
    said = methods_paragraph(tuned, lang=lang)
    assert all(
        shown in said for shown in ("0.25", "1.5", "7", {"en": "of the backbone", "zh": "仅主干"}[lang])
    )
    # From scratch nothing is kept, whatever the recipe holds.
    assert "0.25" not in methods_paragraph(tuned | {"from_weights": False}, lang=lang)


def test_methods_of_a_study_with_holes_leave_sentences_out() -> None:
    assert methods_paragraph({}) and "None" not in methods_paragraph({}) and "?" not in methods_paragraph({})


def test_citations_are_those_of_the_grafts() -> None:
    results = full()
    results["arms"][2]["expression"] = "my_att.py::MyAtt@neck.p3"
    text = bibtex(results)
    assert "eprint = {2103.02907}" in text and "1810.11579" not in text
    assert "% no paper is known for my_att.py::MyAtt" in text
    assert bibtex_of("Xu, Wan 2024, Efficient Local Attention, arXiv 2403.01123").startswith(
        "@misc{xu2024efficient"
    )
    assert "Xu and Wan}" in bibtex_of("Xu, Wan 2024, Efficient Local Attention, arXiv 2403.01123")
    assert "note = {ICML 2021" in bibtex_of("Yang et al. 2021, SimAM, ICML 2021, PMLR 139:11863-11874")
    assert bibtex_of("no paper of this form") == ""


def test_every_paper_of_the_catalog_makes_an_entry() -> None:
    from yolograft.models.catalog import ENTRIES

    grafts = [entry.paper for entry in ENTRIES if entry.kind == "attention" and entry.paper]
    made = [bibtex_of(paper) for paper in grafts]
    assert all(made) and len({entry.split(",")[0] for entry in made}) == len(made)


def test_a_paper_finds_all_its_files(tmp_path: Path) -> None:
    written = {path.relative_to(tmp_path).as_posix() for path in write_paper(full(), tmp_path)}
    assert {"ablation.en.tex", "methods.zh.md", "methods.en.tex", "citations.bib"} <= written
    assert {"figures/intervals.en.svg", "figures/where-class.zh.svg", "figures/seeds.en.svg"} <= written
    assert r"\cite{hou2021coordinate}" in (tmp_path / "methods.en.tex").read_text(encoding="utf-8")
    for path in (tmp_path / "figures").iterdir():
        ElementTree.fromstring(path.read_text(encoding="utf-8"))
    assert not [path for path in tmp_path.rglob("*.tmp")]


def test_a_figure_as_pdf_keeps_its_size_its_text_and_embedded_fonts() -> None:
    pytest.importorskip("matplotlib")
    svg = paper_figures(full())["intervals"]
    pdf = pdf_of(svg)
    width = float(re.findall(r'width="([\d.]+)"', svg)[0])
    box = [float(v) for v in re.findall(rb"/MediaBox \[ ?0 0 ([\d.]+)", pdf)]
    assert pdf.startswith(b"%PDF") and box == pytest.approx([0.75 * width])
    assert b"/FontFile" in pdf and b"/Subtype /Image" not in pdf
    assert pdf == pdf_of(svg)


def test_verdicts_show_themselves() -> None:
    study = Study(Path("runs/x"), full())
    verdict = study["coord_att"]
    assert [v.label for v in study] == ["coord_att", "double_att"] and len(study) == 2
    assert isinstance(verdict, Verdict) and verdict.word == "not enough seeds" and "coord_att" in str(verdict)
    assert "<svg" in study._repr_html_() and "not enough seeds" in verdict._repr_html_()
    assert "种子数不足" in Study(Path("x"), full(), lang="zh")["coord_att"]._repr_html_()
    with pytest.raises(StudyError, match="YG622"):
        study["nam"]
    with pytest.raises(AttributeError):
        study.lang = "zh"  # type: ignore[misc]
    hostile = full()
    hostile["arms"][1]["label"] = "<script>alert(1)</script>"
    assert "<script>" not in Study(Path("x"), hostile)._repr_html_()


def test_maps_join_the_gallery_and_bad_ones_do_not(tmp_path: Path) -> None:
    shown = sample()
    folder = tmp_path / MAPS
    folder.mkdir()
    panel = _Writer(folder, "00-coord_att").panel(
        shown.image,
        np.zeros(shown.image.shape[:2], np.float32),
        0.19,
        0.28,
        kind="gain",
        layer="neck.p3+coord_att",
    )
    bad = [{**panel, "file": "../out.png"}, {**panel, "file": "none.png"}, {**panel, "low": None}, 3]
    arms = [{"arm": "coord_att", "panels": [panel, *bad]}]
    write_json(folder / "maps.json", {"images": [{"image_id": shown.image_id, "arms": arms}]})
    found = read_maps(folder)
    assert [p.layer for p in found[shown.image_id]] == ["neck.p3+coord_att"]
    page = write_report(full(), tmp_path / "report.html", samples=[shown]).read_text(encoding="utf-8")
    assert "gain, neck.p3+coord_att" in checked(page).text and "0.19" in page
    (folder / "maps.json").write_text("{", encoding="utf-8")
    assert read_maps(folder) == {} == read_maps(tmp_path / "gone")
