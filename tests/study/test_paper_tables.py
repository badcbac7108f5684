"""Tables for a paper: structure, escaping, bold, and numbers that are those of the results."""

from __future__ import annotations

import re
import statistics
from dataclasses import replace
from pathlib import Path

import pytest
from report_inputs import sample, synthetic
from report_page import value_of

from yolograft.errors import StudyError
from yolograft.graph.ablate import ablate
from yolograft.study.paper import latex, markdown
from yolograft.study.paper.tables import paper_tables, write_tables
from yolograft.study.report.page import render_report, write_report
from yolograft.study.report.wording import LANGUAGES, Wording

NASTY = r"a_b 50% & $x^2$ {c} #1 ~ \d | e*f `g` <h> 细胞"


def parsed_latex(source: str) -> list[dict]:
    """The tabulars of a LaTeX source; checks braces, environments, rules and the cells of every row."""
    body = re.sub(r"(?m)(?<!\\)%.*$", "", source)
    depth, stack = 0, []
    for token in re.findall(r"\\begin\{[^}]*\}|\\end\{[^}]*\}|\\[{}\\]|[{}]", body):
        if token.startswith("\\begin"):
            stack.append((token[7:-1], depth))
        elif token.startswith("\\end"):
            assert stack.pop() == (token[5:-1], depth), token
        elif token in "{}":
            depth += 1 if token == "{" else -1
            assert depth >= 0
    assert depth == 0 and not stack
    assert len(re.findall(r"(?<!\\)\$", body)) % 2 == 0
    found = []
    for spec, inner in re.findall(
        r"\\begin\{tabular\}\{(@\{\}[lr]+@\{\})\}(.*?)\\end\{tabular\}", body, re.S
    ):
        lines = [line for line in inner.split("\n") if line.strip()]
        assert [line for line in lines if not line.endswith(r" \\")] == [
            r"\toprule",
            r"\midrule",
            r"\bottomrule",
        ]
        rows = [re.split(r"(?<!\\)&", line[:-3]) for line in lines if line.endswith(r" \\")]
        columns = len(re.sub(r"@\{\}", "", spec))
        assert all(len(row) == columns for row in rows), [len(row) for row in rows]
        found.append({"columns": columns, "rows": [[cell.strip() for cell in row] for row in rows]})
    assert "|" not in body and "hline" not in body
    return found


def parsed_markdown(source: str) -> list[list[list[str]]]:
    """The tables of a Markdown source, ruler rows checked and removed."""
    tables: list[list[list[str]]] = []
    previous = ""
    for line in source.splitlines():
        if line.startswith("| "):
            cells = [c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]]
            if not previous.startswith("| "):
                tables.append([])
            tables[-1].append(cells)
        previous = line
    for table in tables:
        assert len({len(row) for row in table}) == 1
        assert all(re.fullmatch(r":---|---:", cell) for cell in table.pop(1))
    return tables


@pytest.mark.parametrize("lang", LANGUAGES)
def test_both_forms_have_the_same_shape_and_three_rules(lang):
    pair = paper_tables(synthetic(), lang=lang)
    tex, md = parsed_latex(latex.document(pair, lang=lang)), parsed_markdown(markdown.document(pair))
    assert [t["columns"] for t in tex] == [11, 6] == [len(t[0]) for t in md]
    assert [len(t["rows"]) for t in tex] == [4, 4] == [len(t) for t in md]


def test_numbers_are_those_of_the_results():
    results = synthetic()
    accuracy, cost = parsed_markdown(markdown.document(paper_tables(results)))
    keys = ("p", "r", "f1", "ap50", "ap", "ap_s", "ap_m", "ap_l")
    for row, arm in zip(accuracy[1:], results["arms"], strict=True):
        assert row[0] == arm["label"].replace("_", r"\_")
        for cell, key in zip(row[1:9], keys, strict=True):
            shown = value_of(re.sub(r"[*]", "", cell).partition(" ± ")[0])
            assert shown == pytest.approx(arm["mean"][key], abs=0.0501)
        sd = statistics.stdev(run["ap"] for run in arm["runs"])
        assert value_of(row[5].partition(" ± ")[2]) == pytest.approx(sd, abs=0.0501)
        if not arm["baseline"]:
            found = [value_of(n) for n in re.findall(r"[+−]?\d[\d.]*", row[9])]
            expected = [arm["comparison"][k] for k in ("delta", "low", "high")]
            assert found == pytest.approx(expected, abs=0.0501)
            assert row[10] == arm["comparison"]["verdict"]
    for row, arm in zip(cost[1:], results["arms"], strict=True):
        shown = [value_of(cell.strip("*")) for cell in row[1:]]
        expected = [arm["params"] / 1e6, arm["flops"] / 1e9, arm["gflops_ultralytics"]]
        expected += [arm["latency_ms"]["p50"], arm["fps"]]
        assert shown == pytest.approx(expected, abs=0.0501)


def test_the_best_of_every_column_is_bold_ties_too_and_nothing_else():
    results = synthetic()
    for arm, ap, p in zip(results["arms"], (45.0, 46.04, 46.01), (70.0, 70.0, 70.0), strict=True):
        arm["mean"].update(ap=ap, p=p)
    accuracy, cost = parsed_markdown(markdown.document(paper_tables(results)))
    assert ["**" in row[5] for row in accuracy[1:]] == [False, True, True]
    assert not any("**" in row[1] for row in accuracy[1:])
    assert [row[1].startswith("**") for row in cost[1:]] == [True, False, False]
    assert [row[5].startswith("**") for row in cost[1:]] == [True, False, False]
    tex = parsed_latex(latex.document(paper_tables(results), lang="en"))[0]["rows"]
    assert [r"\textbf{46.0}$\pm$" in row[5].replace(" ", "") for row in tex[1:]] == [False, True, True]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_hostile_names_are_escaped(lang):
    results = synthetic()
    results["model"] = results["data"]["name"] = NASTY
    results["arms"][1]["label"] = results["arms"][1]["expression"] = NASTY
    pair = paper_tables(results, lang=lang)
    source = latex.document(pair, lang=lang)
    label = parsed_latex(source)[0]["rows"][2][0]
    assert label == (
        r"a\_b 50\% \& \$x\textasciicircum{}2\$ \{c\} \#1 \textasciitilde{} \textbackslash{}d "
        r"\textbar{} e*f `g` \textless{}h\textgreater{} 细胞"
    )
    cell = parsed_markdown(markdown.document(pair))[0][2][0]
    assert cell == r"a\_b 50% & $x^2$ {c} \#1 \~ \\d \| e\*f \`g\` &lt;h&gt; 细胞".replace("& ", "&amp; ")


def test_an_unescaped_percent_is_caught():
    with pytest.raises(AssertionError):
        parsed_latex(latex.document(paper_tables(synthetic()), lang="en").replace(r"95 \%", "95 %"))


def test_an_ablation_has_one_column_a_part():
    made = ablate("CA=coord_att@neck.p3; double_att@neck.p4")
    results = synthetic()
    for arm, label in zip(results["arms"], ("baseline", "ca", "ca-b"), strict=True):
        arm["label"] = label
    results["ablation"] = made.to_json()
    pair = paper_tables(results)
    accuracy, cost = parsed_markdown(markdown.document(pair))
    assert accuracy[0][:2] == ["ca", "b"] and cost[0][:2] == ["ca", "b"]
    assert [row[:2] for row in accuracy[1:]] == [["", ""], ["√", ""], ["√", "√"]]
    tex = parsed_latex(latex.document(pair, lang="en"))[0]["rows"]
    assert pair[0].note.startswith("ca: coord_att@neck.p3; b: double_att@neck.p4. ")
    assert [row[:2] for row in tex[1:]] == [["", ""], [r"$\checkmark$", ""], [r"$\checkmark$"] * 2]


@pytest.mark.parametrize(
    "change", [dict.clear, lambda r: r.update(arms=[]), lambda r: r.update(arms=r["arms"][:1])]
)
def test_studies_with_holes_write_tables_too(change, tmp_path):
    results = synthetic()
    change(results)
    written = write_tables(results, tmp_path / "tables")
    names = {"ablation.en.md", "ablation.en.tex", "ablation.zh.md", "ablation.zh.tex"}
    assert {p.name for p in written} == {p.name for p in (tmp_path / "tables").iterdir()} == names
    for path in written:
        text = path.read_text(encoding="utf-8")
        parsed_latex(text) if path.suffix == ".tex" else parsed_markdown(text)
        assert not re.search(r"\b(nan|None|inf)\b", text)


def test_chinese_headings_and_an_unknown_language():
    pair = paper_tables(synthetic(), lang="zh")
    assert pair[0].heads[-1].text == "结论" and "ctex" in latex.document(pair, lang="zh").splitlines()[0]
    with pytest.raises(StudyError, match="YG620"):
        paper_tables(synthetic(), lang="fr")


def test_a_graft_beside_an_ablation_is_named() -> None:
    results = synthetic()
    for arm, label in zip(results["arms"], ("baseline", "a", "extra"), strict=True):
        arm["label"] = label
    results["ablation"] = ablate("se@neck.p3; nam@neck.p4").to_json()
    accuracy, cost = parsed_markdown(markdown.document(paper_tables(results)))
    for shown in (accuracy, cost):
        assert shown[0][:3] == ["Arm", "a", "b"]
        assert [row[:3] for row in shown[1:]] == [["baseline", "", ""], ["a", "√", ""], ["extra", "", ""]]


def test_the_caption_counts_what_ended_and_the_note_says_what_did_not() -> None:
    results = synthetic(seeds=3)
    assert "3 finished seed(s)" in paper_tables(results)[0].caption
    results["arms"][1]["runs"][0] = {"seed": 0, "status": "diverged", "reason": "loss nan"}
    results["arms"][2]["runs"][1:] = [{"seed": seed, "status": "missing"} for seed in (1, 2)]
    results["status"] = "partial"
    accuracy = paper_tables(results)[0]
    assert "1–3 finished seed(s)" in accuracy.caption
    assert "coord_att: 1 of 3 runs diverged." in accuracy.note and "double_att:" not in accuracy.note
    assert "6 of 9 runs are finished" in accuracy.note
    chinese = paper_tables(results, lang="zh")[0]
    assert "1–3 个已完成种子" in chinese.caption and "3 次训练中有 1 次发散" in chinese.note
    assert "已完成 6 次" in chinese.note


@pytest.mark.parametrize(
    ("lang", "said"), [("en", "helps, smaller than your margin"), ("zh", "有效，但小于设定阈值")]
)
def test_an_effect_below_the_margin_says_so_in_its_cell(lang: str, said: str) -> None:
    results = synthetic()
    results["margin"] = 0.5
    results["arms"][1]["comparison"] |= {"delta": 0.3, "low": 0.1, "high": 0.5, "verdict": "helps"}
    results["arms"][2]["comparison"] |= {"delta": 0.5, "low": 0.1, "high": 0.9, "verdict": "helps"}
    cells = [row[-1].text for row in paper_tables(results, lang=lang)[0].rows]
    assert cells[1] == said and cells[2] == Wording(lang).verdict("helps")


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_chinese_name_asks_for_ctex_in_any_language(lang: str) -> None:
    results = synthetic()
    results["data"]["name"] = '"训练" 数据'
    source = latex.document(paper_tables(results, lang=lang), lang=lang)
    head = source.splitlines()[0]
    assert r"\usepackage{ctex}" in head and "XeLaTeX" in head and "fontenc" not in head
    assert r"\char34{}训练\char34{}" in source and "textquotedbl" not in source
    plain = latex.document(paper_tables(synthetic()), lang="en").splitlines()[0]
    assert "ctex" not in plain and "fontenc" in plain


def test_levels_and_trained_weights_are_part_of_what_was_measured() -> None:
    results = synthetic() | {"levels": ["p3", "p4", "p5"], "from_weights": False}
    assert paper_tables(results)[0].caption.startswith("yolov8n on bccd")
    results |= {"levels": ["p2", "p3"], "from_weights": True}
    for made in paper_tables(results):
        assert made.caption.startswith("yolov8n (levels p2, p3; from trained weights) on bccd")
    assert paper_tables(results, lang="zh")[1].caption.startswith(
        "yolov8n（检测层 p2、p3；从已训练的权重开始）"
    )
    assert "yolov8n (levels p2, p3; from trained weights)" in render_report(results)


def test_a_name_of_undecodable_bytes_is_written(tmp_path: Path) -> None:
    results = synthetic()
    results["name"] = results["data"]["name"] = "\udcd1\udcb5"
    shown = [replace(sample(), image_id="images/\udcd1.jpg", names=("\udcd1", "b", "c"))]
    for lang in LANGUAGES:
        page = write_report(results, tmp_path / "report.html", samples=shown, lang=lang)
        assert r"images/\udcd1.jpg" in page.read_text(encoding="utf-8")
    tex = next(path for path in write_tables(results, tmp_path) if path.name == "ablation.en.tex")
    text = tex.read_text(encoding="utf-8")
    parsed_latex(text)
    assert r"\textbackslash{}udcd1\textbackslash{}udcb5" in text
