"""Index files that are wrong in one way each, and what is said of them; stock rows are never blamed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yolograft.graph.dialect.align import nearest
from yolograft.graph.dialect.nodes import parse_nodes
from yolograft.graph.dialect.read import parse_index_file
from yolograft.graph.dialect.stock import read_stock
from yolograft.graph.lint.finding import Finding
from yolograft.graph.lint.lint import Lint, lint
from yolograft.graph.lint.mend import mend
from yolograft.graph.lint.mend_text import mended_text, row_text
from yolograft.graph.lint.words import SENTENCES, WHY
from yolograft.models.dialect_words import WORDS

ROOT = Path(__file__).resolve().parents[2]
SEEDS = ROOT / "tests" / "seeds"
V8 = (SEEDS / "stock_yolov8.yaml").read_text(encoding="utf-8")
V5 = (SEEDS / "seed_001_nam.yaml").read_text(encoding="utf-8")
V5 = V5.replace("   [-1, 1, NAMAttention, [1024]],\n", "").replace("[17, 20, 24]", "[17, 20, 23]")
STOCKS = [read_stock(file) for file in (ROOT / "src/yolograft/models/zoo").glob("yolov[58]*.yaml")]


def examined(text: str) -> Lint:
    file = parse_index_file(text, name="my.yaml")
    found = nearest(file.rows, [s for s in STOCKS if s.family == file.family], words=WORDS)
    scale = next(iter(file.scales.values()))
    return lint(file, found, words=WORDS, scale=scale, top=parse_nodes(text, name="my.yaml").value)


def found(text: str) -> list[Finding]:
    return list(examined(text).findings)


def keys(text: str) -> list[str]:
    return [finding.key for finding in found(text)]


def with_row(text: str, row: str, after: int) -> str:
    """The text with a row put in and nothing else changed."""
    lines = text.splitlines()
    rows = [i for i, line in enumerate(lines) if line.startswith("  - [") and "," in line]
    return "\n".join([*lines[: rows[after] + 1], f"  - {row}", *lines[rows[after] + 1 :]]) + "\n"


@pytest.mark.parametrize("text", [V8, V5], ids=["yolov8", "yolov5"])
def test_a_stock_file_has_no_findings(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    ("old", "new", "key", "code"),
    [
        ("[[-1, 12], 1, Concat", "[[-1, 14], 1, Concat", "stale", "YG150"),
        ("[[-1, 6], 1, Concat", "[[-1, 5], 1, Concat", "stale_same", "YG150"),
        ("[[-1, 9], 1, Concat", "[[-1, 8], 1, Concat", "stale_same", "YG150"),
        ("[[15, 18, 21]", "[[15, 18]", "fewer_levels", "YG151"),
        ("[[15, 18, 21]", "[[14, 17, 20]", "on_concat", "YG151"),
        ("[[15, 18, 21]", "[[21, 18, 15]", "wrong_levels", "YG151"),
        ("[[15, 18, 21]", "[[2, 15, 18, 21]", "more_levels", "YG151"),
        ("Detect, [nc]", "Detect, [7]", "classes", "YG159"),
        ("nc: 80", "nc: 80\nnames: [cat, dog]", "names", "YG159"),
        ("n: [0.33, 0.25, 1024]", "n: [0.25, 0.33, 1024]", "scale_swapped", "YG160"),
        ("n: [0.33, 0.25, 1024]", "n: [0.33, 0.25, 8]", "scale_order", "YG160"),
    ],
)
def test_one_slip_in_yolov8_is_one_kind_of_finding(old: str, new: str, key: str, code: str) -> None:
    assert old in V8
    slipped = [(f.key, f.code) for f in found(V8.replace(old, new, 1))]
    assert (key, code) in slipped, slipped


def test_a_stock_row_taken_out_is_noted_and_its_readers_read_on() -> None:
    text = V8.replace("  - [-1, 1, SPPF, [1024, 5]]\n", "").replace("[15, 18, 21]", "[14, 17, 20]")
    text = text.replace("[-1, 12]", "[-1, 11]").replace("[[-1, 9]", "[[-1, 8]")
    (finding,) = found(text)
    assert (finding.code, finding.key, finding.note) == ("YG168", "missing", True)


def test_anchors_for_fewer_levels() -> None:
    assert "anchor_levels" in keys(V5.replace("  - [116,90, 156,198, 373,326]\n", ""))


@pytest.mark.parametrize(("each", "said"), [(3, False), (2, True)])
def test_a_bare_number_of_anchors_needs_as_many_stock_ones(each: int, said: bool) -> None:
    before, _, after = V5.partition("anchors:\n")
    text = f"{before}anchors: {each}\n{after[after.index('backbone:') :]}"
    assert ("no_sides" in keys(text)) == said


def test_a_finding_says_place_cause_and_fix_in_one_line() -> None:
    (finding,) = found(V8.replace("[[-1, 6], 1, Concat", "[[-1, 5], 1, Concat"))
    line = finding.line_of("my.yaml")
    assert line.startswith("YG150 my.yaml:21: Concat reads row 5, the Conv at stride 16; ")
    assert line.endswith("row 6 now: where shapes fit it trains, as another network -> write 6")
    assert "第 5 行" in finding.line_of("my.yaml", "zh")
    assert set(finding.as_dict()) == {"code", "key", "line", "note", "what", "why", "fix"}


def test_a_long_finding_keeps_its_fix() -> None:
    far = Finding("YG156", "refused", 3, {"module": "M" * 300, "args": "[]", "error": "no"})
    assert len(far.line_of("my.yaml")) <= 240 and far.line_of("my.yaml").endswith("-> correct the arguments")


def test_maps_of_unlike_stride_are_found_without_a_stock_row() -> None:
    text = V8.replace("  - [[15, 18, 21]", "  - [[15, 18], 1, Concat, [1]]\n  - [[15, 18, 21]")
    assert "unlike" in keys(text)


def test_a_row_nobody_reads() -> None:
    text = with_row(V8, "[-1, 1, SE, []]", 21)
    (finding,) = found(text)
    assert (finding.code, finding.values["row"], finding.values["readers"]) == ("YG153", 22, "23")


def test_nothing_comes_after_detect_and_there_is_one() -> None:
    assert "not_last" in keys(V8 + "  - [21, 1, SE, []]\n")
    assert "two_heads" in keys(V8 + "  - [[15, 18, 21], 1, Detect, [nc]]\n")


def test_a_design_of_its_own_is_left_alone() -> None:
    rows = "\n".join(f"  - [-1, 1, SE, []]  # {i}" for i in range(30))
    text = f"nc: 3\nbackbone:\n  - [-1, 1, Conv, [64, 3, 2]]\n{rows}\nhead:\n  - [[1], 1, Detect, [nc]]\n"
    assert not any(finding.code == "YG150" for finding in found(text))


def test_a_block_in_the_place_of_a_stock_block_stands_for_it() -> None:
    text = V8.replace("[-1, 6, C2f, [512, True]]", "[-1, 6, C3, [512, True]]")
    assert [f.key for f in found(text) if f.code != "YG168"] == []
    assert examined(text).line.places[6] == 6


@pytest.mark.parametrize(
    ("row", "code", "word"),
    [
        ("[-1, 1, Nobody, [1024]]", "YG154", "Nobody"),
        ("[-1, 1, CoordAtt, [1024]]", "YG155", "out_channels"),
        ("[-1, 1, CBAM, [1024, 16, 4]]", "YG165", "4"),
        ("[-1, 1, SE, [1024, 16, 3, 9, 9]]", "YG156", "arguments"),
        ("[-1, 1, SE, [1000]]", "YG157", "1000"),
        ("[-1, 1, SE, [1024]]", "YG157", "256"),
        ("[-1, 1, EfficientAttention, [8, [6, 3], [3]]]", "YG156", "adds up to 9"),
    ],
)
def test_arguments_of_the_users_own_row(row: str, code: str, word: str) -> None:
    text = with_row(V8, row, 21).replace("[[15, 18, 21]", "[[15, 18, 22]")
    lines = [f.line_of("my.yaml") for f in found(text)]
    assert any(line.startswith(code) and word in line for line in lines), lines


@settings(max_examples=25)
@given(
    after=st.integers(0, 21),
    module=st.sampled_from(["SE", "CBAM", "SimAM", "ECA"]),
    family=st.sampled_from(["yolov8", "yolov5"]),
)
def test_a_row_put_in_anywhere_is_mended_to_the_stock_wiring(after: int, module: str, family: str) -> None:
    """Insert a row and shift nothing: the mended file has no finding, mending it again changes nothing."""
    lines = (V8 if family == "yolov8" else V5_BLOCK).splitlines()
    text = with_row("\n".join(lines), f"[-1, 1, {module}, []]", after)
    checked = examined(text) if _readable(text) else None
    if checked is None:
        return
    mended = mend(checked.line, neck=10)
    fixed = mended_text(text, mended.rows, backbone=mended.backbone, name="my.yaml")
    again = examined(fixed)
    assert again.findings == (), [f.line_of("x") for f in again.findings]
    own = [i for i, place in enumerate(again.line.places) if place is None]
    assert len(own) == 1 and own[0] == after + 1
    assert mend(again.line, neck=10).rows == mended.rows


def _readable(text: str) -> bool:
    from yolograft.errors import SpecError

    try:
        parse_index_file(text)
    except SpecError:
        return False
    return True


def _block(text: str) -> str:
    """Rows of a flow list as block rows."""
    import re

    out = re.sub(r"^\s+\[?(\[.*\]),$", r"  - \1", text, flags=re.MULTILINE)
    return out.replace("\n  ]\n", "\n")


V5_BLOCK = _block(V5)


def test_rows_are_written_as_they_are_read() -> None:
    file = parse_index_file(V8)
    text = mended_text(V8, file.rows, backbone=10, name="v8")
    assert parse_index_file(text).rows and [r.inputs for r in parse_index_file(text).rows] == [
        r.inputs for r in file.rows
    ]
    assert row_text(file.rows[10]) == "[-1, 1, nn.Upsample, [None, 2, 'nearest']]"


def test_every_sentence_is_there_in_both_languages() -> None:
    from string import Formatter

    for key, sentence in SENTENCES.items():
        for english, chinese in filter(None, (sentence.what, sentence.fix, sentence.why)):
            fields = [{name for _, name, _, _ in Formatter().parse(t) if name} for t in (english, chinese)]
            assert english and chinese, key
            assert key == "flat" or fields[0] - {"near"} >= fields[1] - {"near"}, key
    assert all(english and chinese for english, chinese in WHY.values())
