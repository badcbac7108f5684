"""Every module's page: whole in both languages, true to class and catalog, drawn and written out."""

from __future__ import annotations

import importlib.util
import re
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from yolograft.cli.app import run
from yolograft.cli.module_text import wrapped
from yolograft.metrics.module_cost import MAPS_AT_640, module_cost
from yolograft.models.catalog import ENTRIES, LISTED, find
from yolograft.models.pages import (
    WIDE,
    Figure,
    ModulePage,
    Words,
    fold,
    option_defaults,
    read_page,
    read_pages,
)

ROOT = Path(__file__).resolve().parents[2]
GRAFTABLE = {entry.name: entry for entry in ENTRIES if entry.kind in LISTED}
PAGES = dict(read_pages())
HAN = re.compile("[\u4e00-\u9fff]")
each = pytest.mark.parametrize("name", GRAFTABLE)


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    """`tools/module_pages.py` as a module."""
    spec = importlib.util.spec_from_file_location("module_pages", ROOT / "tools" / "module_pages.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def figures(tool: ModuleType) -> ModuleType:
    """`tools/module_figure.py` as a module."""
    return sys.modules["module_figure"]


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """printed("modules", "se") runs a command line and returns what it printed."""

    def go(*words: str) -> str:
        capsys.readouterr()
        assert run(list(words)) == 0
        return capsys.readouterr().out

    return go


def texts(value: object) -> Iterator[Words]:
    """Every bilingual text inside a page."""
    if isinstance(value, Words):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, tuple):
        for item in value:
            yield from texts(item)
    elif hasattr(type(value), "model_fields"):
        for field in type(value).model_fields:
            yield from texts(getattr(value, field))


def test_every_graftable_module_has_a_page_and_every_page_a_module() -> None:
    assert PAGES.keys() == GRAFTABLE.keys()
    assert read_page("conv") is None and read_page("../catalog") is None


@each
def test_both_languages_say_everything(name: str) -> None:
    said = list(texts(PAGES[name]))
    assert len(said) >= 9
    for words in said:
        english, chinese = words.of("en"), words.of("zh")
        assert not HAN.search(english), english
        # Lines of symbols hold no Han character, but the punctuation is Chinese.
        assert re.search(f"[{WIDE}]", chinese), chinese
        assert "  " not in english and "  " not in chinese
    principle = PAGES[name].principle
    assert 3 <= len(re.findall(r"\.(?= |$)", principle.of("en"))) <= 8
    assert 3 <= principle.of("zh").count("。") <= 8
    assert not HAN.search(" ".join(PAGES[name].equation.plain))


@each
def test_every_option_is_explained_and_no_other(name: str) -> None:
    assert list(PAGES[name].options) == list(option_defaults(GRAFTABLE[name].cls))


@each
def test_the_summary_is_the_catalog_row(name: str) -> None:
    assert PAGES[name].summary.of("en") == GRAFTABLE[name].summary


@each
def test_the_citation_agrees_with_the_catalog_row(name: str) -> None:
    row, citation = GRAFTABLE[name].paper, PAGES[name].citation
    year = re.search(r"year\s*=\s*\{(\d{4})\}", citation)
    number = re.search(r"eprint\s*=\s*\{([\d.]+)\}", citation)
    assert year and f" {year[1]}, " in row
    if "arXiv" in row:
        assert number and f"arXiv {number[1]}" in row
    else:
        assert number is None
    surname = re.search(r"author\s*=\s*\{(\w+),", citation)
    assert surname and row.startswith(surname[1])
    assert citation.count("{") == citation.count("}")


@each
def test_evidence_names_its_source(name: str) -> None:
    for evidence in PAGES[name].evidence:
        if evidence.kind == "paper" and "arXiv" in GRAFTABLE[name].paper:
            number = GRAFTABLE[name].paper.rpartition("arXiv ")[2]
            assert number in evidence.source
        if evidence.kind == "blog":
            assert "no seeds" in evidence.source or "no numbers" in evidence.source


def test_double_attention_says_there_is_no_local_module() -> None:
    principle = PAGES["double_att"].principle
    assert "There is no local module" in principle.of("en") and "gather, then distribute" in principle.of(
        "en"
    )
    assert "没有局部模块" in principle.of("zh") and "先汇集、再分发" in principle.of("zh")


def test_nam_says_what_the_printed_code_leaves_out() -> None:
    principle = PAGES["nam"].principle
    assert ".data" in principle.of("en") and ".data" in principle.of("zh")


def test_an_unknown_key_and_a_loose_arrow_are_refused() -> None:
    page = PAGES["se"].model_dump()
    with pytest.raises(ValidationError, match="extra"):
        ModulePage.model_validate(page | {"colour": "red"})
    node = {"at": (0, 0), "op": "x"}
    with pytest.raises(ValidationError, match="differ"):
        Figure.model_validate({"nodes": {"x": node}, "flow": ["x > y"]})
    with pytest.raises(ValidationError, match="share a place"):
        Figure.model_validate({"nodes": {"x": node, "y": node}, "flow": ["x > y"]})


def test_folding_leaves_no_space_in_chinese() -> None:
    assert fold("先对\n  全部，\n位置 BN 求平均；\n c_n 张") == "先对全部，位置 BN 求平均；c_n 张"
    assert fold("two\n  lines “quoted” here") == "two lines “quoted” here"


@each
def test_the_figure_flows_from_x_to_y_past_every_other_step(name: str, figures: ModuleType) -> None:
    drawing = PAGES[name].figure
    edges = drawing.edges()
    ends = {target for _, target in edges}
    sources = {node for node in drawing.nodes if node not in ends}
    assert "x" in sources and {node for node in drawing.nodes if node not in {s for s, _ in edges}} == {"y"}
    # Parameters may be sources too (the scales of NAM); nothing else comes from nowhere.
    assert all(drawing.nodes[source].kind in ("map", "learned") for source in sources)
    layout = figures.lay_out(drawing)
    assert list(figures.crossed(layout)) == []
    boxes = list(layout.boxes.values())
    for i, a in enumerate(boxes):
        assert a.x - a.half_width >= 0 and a.x + a.half_width <= layout.width
        for b in boxes[i + 1 :]:
            apart = (
                abs(a.x - b.x) - a.half_width - b.half_width,
                abs(a.y - b.y) - a.half_height - b.half_height,
            )
            assert max(apart) >= 20


def test_a_planted_crossing_is_seen(figures: ModuleType) -> None:
    nodes = {name: {"at": (column, 0), "op": name} for column, name in enumerate("xmy")}
    drawing = Figure.model_validate({"nodes": nodes, "flow": ["x > m > y", "x > y"]})
    assert list(figures.crossed(figures.lay_out(drawing))) == ["x > y through m"]


@each
def test_learned_steps_stand_for_parameters(name: str, figures: ModuleType) -> None:
    drawing = PAGES[name].figure
    learned = any(node.kind == "learned" for node in drawing.nodes.values())
    assert learned == any(True for _ in GRAFTABLE[name].cls(64).parameters())
    root = ET.fromstring(figures.draw(drawing, "a < b & c"))
    shown = {element.text for element in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {line for node in drawing.nodes.values() for line in figures.lines_of(node)} <= shown


def test_costs_are_counted() -> None:
    conv = module_cost(lambda channels: nn.Conv2d(channels, channels, 3, padding=1), (8, 5, 7))
    assert (conv.parameters, conv.flops, conv.kept) == (8 * 8 * 9 + 8, 2 * 8 * 8 * 9 * 35, 0.0)
    squares = module_cost(lambda _: nn.Sequential(nn.Sigmoid(), nn.Tanh()), (8, 1, 1))
    assert (squares.parameters, squares.flops, squares.kept) == (0, 0, 2.0)
    se = find("se").cls
    assert module_cost(se, MAPS_AT_640["P3"]).parameters == 2 * 64 * 8 + 8 + 64


def test_counting_leaves_the_random_numbers_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    module_cost(find("se").cls, (16, 3, 3))
    assert torch.equal(torch.rand(4), expected)


def test_the_documentation_is_up_to_date(tool: ModuleType, tmp_path: Path) -> None:
    wanted = dict(tool.documents())
    assert tool.out_of_date(ROOT, wanted) == []
    # The check itself: a missing tree, a changed word and a page without a source are all found.
    changed = tmp_path / "docs/modules/se.zh.md"
    changed.parent.mkdir(parents=True)
    text = (ROOT / "docs/modules/se.zh.md").read_text(encoding="utf-8")
    changed.write_text(text.replace("全局", "局部", 1), encoding="utf-8")
    (changed.parent / "gone.md").write_text("", encoding="utf-8")
    found = tool.out_of_date(tmp_path, wanted)
    assert "docs/modules/se.zh.md" in found and "docs/modules/gone.md (no source)" in found
    assert len(found) == 3 * len(PAGES) + 2 + 1


def test_links_and_figures_of_the_pages_exist() -> None:
    for file in (ROOT / "docs/modules").glob("*.md"):
        for target in re.findall(r"\]\(([^)]+)\)", file.read_text(encoding="utf-8")):
            assert (file.parent / target).is_file(), f"{file.name}: {target}"


def test_the_terminal_prints_a_page_in_both_languages(printed: Callable[..., str]) -> None:
    english, chinese = printed("modules", "nam"), printed("modules", "NAM", "--lang", "zh")
    entry = GRAFTABLE["nam"]
    for text, lang in ((english, "en"), (chinese, "zh")):
        page = PAGES["nam"]
        assert page.title.of(lang) in text and entry.paper in text and "@article{liu2021nam" in text
        assert all(option in text for option in page.options) and "64 x 80 x 80" in text
        assert '"nam@neck.p3"' in text and all(line in text for line in page.equation.plain)
    for heading in ("Principle", "Equation", "Options", "Cost", "Published evidence", "Pitfalls", "Citation"):
        assert f"\n{heading}\n" in english
    for heading in ("原理", "公式", "选项", "开销", "已发表的证据", "陷阱", "引用", "用法"):
        assert f"\n{heading}\n" in chinese
    assert not HAN.search(english)


def test_json_holds_the_page(printed: Callable[..., str]) -> None:
    import json

    got = json.loads(printed("modules", "double_att", "--json", "--lang", "zh"))
    assert got["name"] == "double_att" and got["options"]["c_n"] == 0
    assert got["option_meanings"].keys() == got["options"].keys()
    assert got["cost"]["P4"]["channels"] == 128 and got["cost"]["P4"]["flops"] > 0
    assert got["principle"] == PAGES["double_att"].principle.of("zh")
    assert [e["kind"] for e in got["evidence"]] == [e.kind for e in PAGES["double_att"].evidence]


def test_lists_and_plain_blocks(printed: Callable[..., str]) -> None:
    chinese = printed("modules", "--lang", "zh")
    assert all(name in chinese and page.summary.of("zh") in chinese for name, page in PAGES.items())
    assert "cross-stage" in printed("modules", "c2f") and "options: " in printed("modules", "conv")


def test_wrapping_counts_cells_and_keeps_every_character() -> None:
    from rich.cells import cell_len

    for page in PAGES.values():
        for words in texts(page):
            for lang in ("en", "zh"):
                text = words.of(lang)
                lines = list(wrapped(text))
                assert all(cell_len(line) <= 104 for line in lines)  # closing marks may hang over
                assert "".join("".join(lines).split()) == "".join(text.split())
