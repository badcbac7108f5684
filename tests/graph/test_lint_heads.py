"""Heads of other shapes than the stock's: four levels, fewer by choice, other tasks."""

from __future__ import annotations

import json

import index_files
import pytest

from yolograft.doctor.index_check import IndexCheck, check_text, fixed_text, unfixable
from yolograft.graph.dialect.indexfile import IndexFile
from yolograft.graph.dialect.nodes import parse_nodes
from yolograft.graph.dialect.read import parse_index_file
from yolograft.graph.dialect.stock import Stock, index_rows
from yolograft.graph.lint.mend_text import row_text
from yolograft.models.dialect_words import WORDS
from yolograft.models.modelfile import stocks

V8, V5 = index_files.V8, index_files.V5
COMPARED = {stock.name: stock for stock in stocks()}
ANCHORS = "[[10,13, 16,30, 33,23], [30,61, 62,45, 59,119], [116,90, 156,198, 373,326]]"


def written(stock: Stock) -> str:
    """The stock graph as a file at scale n."""
    v5 = stock.family == "yolov5"
    rows = [row_text(row) for row in index_rows(stock, WORDS)]
    rows[-1] = rows[-1].replace("[nc]", "[nc, anchors]") if v5 else rows[-1]
    level = f"  - [{', '.join(['10'] * 6)}]\n"
    top = "nc: 80\nscales:\n  n: [0.33, 0.25, 1024]\n" + (
        "anchors:\n" + level * len(stock.layers[-1].inputs) if v5 else ""
    )
    listed = [f"  - {row}\n" for row in rows]
    return f"{top}backbone:\n{''.join(listed[:10])}head:\n{''.join(listed[10:])}"


def after_each_level(head: str) -> str:
    """Attention behind P3, P4 and P5, all other indices shifted, Detect reading ``head``."""
    text = V8
    for channels, line in ((1024, "# 21"), (512, "# 18"), (256, "# 15")):
        text = index_files.with_rows(text, line, f"- [-1, 1, CBAM, [{channels}]]")
    return text.replace("[15, 18, 21]", head)


def wiring(checked: IndexCheck) -> list[tuple[str, bool]]:
    codes = ("YG145", "YG150", "YG151", "YG152", "YG153")
    return [(finding.key, finding.note) for finding in checked.findings if finding.code in codes]


def heads(text: str) -> list[str]:
    return [row_text(row) for row in parse_index_file(text).rows[-1:]]


@pytest.mark.parametrize("name", sorted(COMPARED))
def test_every_graph_that_is_compared_with_is_itself(name: str) -> None:
    checked = check_text(written(COMPARED[name]), name="my.yaml")
    assert checked.nearest.stock.name == name and checked.findings == ()


@pytest.mark.parametrize("name", ["yolov5-p2", "yolov5-p6", "yolov8-p6"])
def test_a_stale_index_in_four_levels_is_found_and_mended(name: str) -> None:
    text = written(COMPARED[name])
    rows = parse_index_file(text).rows
    last = next(row for row in reversed(rows) if row.module == "Concat")
    stale = text.replace(row_text(last), row_text(last).replace(str(last.inputs[1]), str(last.inputs[1] - 1)))
    checked = check_text(stale)
    assert {finding.code for finding in checked.findings} == {"YG150"}
    assert [row_text(row) for row in parse_index_file(fixed_text(checked)).rows] == [
        row_text(row) for row in rows
    ]


def test_five_levels_are_a_design_of_their_own() -> None:
    text = written(COMPARED["yolov8-p6"])
    more = "  - [-1, 1, Conv, [1024, 3, 2]]\n  - [[20, 23, 26, 29, 30], 1, Detect"
    text = text.replace("  - [[20, 23, 26, 29], 1, Detect", more).replace("[-1, 14]", "[-1, 13]")
    checked = check_text(text)
    assert set(wiring(checked)) == {("stale_same", True), ("more_levels", True)} and checked.clean


def test_every_input_of_the_head_becomes_what_the_message_prints() -> None:
    checked = check_text(after_each_level("[15, 18, 21]"))
    finding = next(finding for finding in checked.findings if finding.code == "YG151")
    assert finding.fix() == "write [16, 20, 24]"
    assert heads(fixed_text(checked)) == ["[[16, 20, 24], 1, Detect, [nc]]"]


def test_a_head_that_reads_in_front_of_a_graft_is_noted() -> None:
    checked = check_text(after_each_level("[15, 20, 24]"))
    assert wiring(checked) == [("before_graft", True)] and checked.clean
    assert wiring(check_text(after_each_level("[16, 20, 24]"))) == []


@pytest.mark.parametrize("task", ["Segment, [nc, 32, 256]", "Pose, [nc, [17, 3]]", "OBB, [nc, 1]"])
def test_a_head_of_another_task_is_left_alone(task: str) -> None:
    checked = check_text(V8.replace("Detect, [nc]", task).replace("[-1, 12]", "[-1, 11]"))
    assert unfixable(checked) == "head" and fixed_text(checked) == checked.text


@pytest.mark.parametrize("last", ["nc, anchors", f"nc, {ANCHORS}"])
@pytest.mark.parametrize("top", ["as they are", "anchors: 3\n"])
def test_anchors_stay_where_they_are(last: str, top: str) -> None:
    text = V5.replace("nc, anchors", last).replace("[-1, 14]", "[-1, 13]")
    if top != "as they are":
        text = text[: text.index("anchors:")] + top + text[text.index("backbone:") :]
    checked = check_text(text)
    fixed = fixed_text(checked)
    assert parse_index_file(fixed).rows[-1].args == checked.file.rows[-1].args
    assert parse_index_file(fixed).anchors == checked.file.anchors
    assert (("head_arguments", False) in wiring(checked)) == (last != "nc, anchors")


@pytest.mark.parametrize(("args", "bad"), [("nc", False), ("nc, 16", True), ("nc, None, 3", True)])
def test_what_detect_does_not_take_is_said(args: str, bad: bool) -> None:
    text = V8.replace("Detect, [nc]", f"Detect, [{args}]")
    assert (("head_arguments", False) in wiring(check_text(text))) == bad


def without_p5(text: str) -> str:
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if "Conv, [512, 3, 2]" in line and i > 20)
    return "\n".join([*lines[:start], *lines[start + 3 :]]).replace("[15, 18, 21]", "[15, 18]") + "\n"


@pytest.mark.parametrize("text", [V8.replace("[15, 18, 21]", "[18, 21]"), without_p5(V8)])
def test_fewer_levels_by_choice_are_noted_and_stay(text: str) -> None:
    checked = check_text(text)
    assert ("some_levels", True) in wiring(checked) and checked.clean
    stale = check_text(text.replace("[-1, 12]", "[-1, 11]"))
    assert not stale.clean
    fixed: IndexFile = parse_index_file(fixed_text(stale))
    assert [row.inputs for row in fixed.rows] == [row.inputs for row in checked.file.rows]


@pytest.mark.parametrize("head", ["[21, 18]", "[15, 18]"])
def test_levels_in_the_wrong_order_or_computed_for_nothing_are_no_choice(head: str) -> None:
    checked = check_text(V8.replace("[15, 18, 21]", head))
    finding = next(finding for finding in checked.findings if finding.code == "YG151")
    assert (finding.key, finding.note, finding.fix()) == ("fewer_levels", False, "write [15, 18, 21]")
    assert heads(fixed_text(checked)) == ["[[15, 18, 21], 1, Detect, [nc]]"]


def test_grafts_side_by_side_joined_again_count_as_the_map_they_read() -> None:
    side = "- [15, 1, SE, []]\n  - [15, 1, ECA, []]\n  - [[22, 23], 1, Concat, [1]]\n"
    checked = check_text(V8.replace("- [[15, 18, 21]", f"{side}  - [[24, 18, 21]"))
    assert checked.clean and wiring(checked) == []


@pytest.mark.parametrize("indent", [None, 0, 2])
def test_a_file_in_braces_is_not_written_anew(indent: int | None) -> None:
    stale = V8.replace("[-1, 6]", "[-1, 5]")
    plain = {key: node.plain() for key, node in parse_nodes(stale, name="my.yaml").value.items()}
    checked = check_text(json.dumps(plain, indent=indent))
    assert [finding.code for finding in checked.findings] == ["YG150"]
    assert unfixable(checked) == "style" and fixed_text(checked) == checked.text
    assert unfixable(check_text(stale)) == ""
