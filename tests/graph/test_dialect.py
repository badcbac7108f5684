"""Files of the index dialect read as data; every mistake is one line with its place."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from index_files import V5, V8, read, stock_spec, with_rows

from yolograft.errors import MAX_LINE, SpecError
from yolograft.graph.dialect.indexfile import Scale
from yolograft.graph.dialect.indexspec import choose_scale
from yolograft.graph.dialect.read import parse_index_file, read_index_file

BY_NUMBER = V5[: V5.index("anchors:\n")] + "anchors: 3\n" + V5[V5.index("backbone:") :]


@pytest.mark.parametrize("scale", ["n", "s", "m", "l", "x"])
def test_the_stock_file_of_yolov8_is_the_stock_detector(scale: str) -> None:
    found = read(V8, scale=scale)
    assert found.spec == stock_spec("yolov8", scale) and not found.notes
    assert found.spec.digest() == stock_spec("yolov8", scale).digest()


def test_the_stock_file_of_yolov5_is_the_stock_detector() -> None:
    found = read(V5)
    assert found.spec == stock_spec("yolov5", "n") and found.spec.name == "yolov5n" and not found.notes
    assert read(V5.replace("0.25", "0.50").replace("nc: 80", "nc: 3")).spec == stock_spec("yolov5", "s", 3)


def test_rows_are_data_with_lines_and_absolute_inputs() -> None:
    file = parse_index_file(V8, name="v8.yaml")
    assert (file.family, file.num_classes, len(file.rows)) == ("yolov8", 80, 23)
    assert file.scales["m"] == Scale(0.67, 0.75, 768.0) and file.anchors == ()
    cat = file.rows[11]
    assert (cat.sources, cat.inputs, cat.repeats, cat.module, cat.args) == (
        (-1, 6),
        (10, 6),
        1,
        "Concat",
        (1,),
    )
    assert V8.splitlines()[cat.line - 1].strip().startswith("- [[-1, 6], 1, Concat")
    assert file.rows[0].inputs == (-1,) and file.rows[10].args == (None, 2, "nearest")
    assert file.rows[-1].args == ("nc",) and file.rows[2].args == (128, True)
    v5 = parse_index_file(V5)
    assert v5.family == "yolov5" and v5.scales == {"": Scale(0.33, 0.25, math.inf)}
    assert v5.anchors[0] == (10, 13, 16, 30, 33, 23) and len(v5.anchors) == 3


def test_relative_and_absolute_indices_mean_the_same() -> None:
    lines = V8.replace("[-1, 6], 1, Concat", "[10, -5], 1, Concat")
    assert read(lines).spec == stock_spec("yolov8", "n")


def test_the_letter_in_the_name_chooses_the_scale() -> None:
    def chosen(name: str, asked: str = "") -> str:
        return choose_scale(parse_index_file(V8, name=name), asked)

    assert chosen("yolov8s-cbam.yaml") == "s" and chosen("yolov8x.yaml") == "x"
    assert (
        chosen("yolov8-cbam.yaml") == "n"
        and chosen("mine.yaml") == "n"
        and chosen("yolov8s.yaml", "m") == "m"
    )
    with pytest.raises(SpecError, match=r"YG130 mine.yaml: no scale 'q' -> scales: n, s, m, l, x"):
        chosen("mine.yaml", "q")
    with pytest.raises(SpecError, match="one only"):
        choose_scale(parse_index_file(V5), "n")


def test_classes_come_from_the_caller_the_file_or_the_custom() -> None:
    assert read(V8.replace("nc: 80", "nc: 7")).spec.num_classes == 7
    assert read(V8.replace("nc: 80 # number of classes\n", "")).spec.num_classes == 80
    assert read(V8, num_classes=3).spec.num_classes == 3


def test_a_number_of_anchors_takes_the_stock_ones() -> None:
    assert parse_index_file(BY_NUMBER).anchors_each == 3
    assert read(BY_NUMBER).spec == stock_spec("yolov5", "n")


def test_a_byte_order_mark_and_windows_lines_change_nothing(tmp_path: Path) -> None:
    file = tmp_path / "v8.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + V8.replace("\n", "\r\n").encode())
    assert read_index_file(file).rows == parse_index_file(V8).rows


def replaced(old: str, new: str, text: str = V8) -> str:
    assert old in text
    return text.replace(old, new, 1)


MISTAKES = {
    "empty": ("", "YG140", 1),
    "a list": ("- 1\n", "YG141", 1),
    "no head": (V8[: V8.index("head:")], "YG141", 1),
    "no backbone": (replaced("backbone:", "names:"), "YG141", 1),
    "empty head": (V8[: V8.index("head:")] + "head:\n", "YG141", 19),
    "unknown key": (replaced("nc: 80", "depht_multiple: 0.3\nnc: 80"), "YG141", 1),
    "activation": ("activation: nn.ReLU()\n" + V8, "YG141", 1),
    "no classes": (replaced("nc: 80", "nc: 0"), "YG141", 1),
    "classes as text": (replaced("nc: 80", "nc: many"), "YG141", 1),
    "a scale of one number": (replaced("n: [0.33, 0.25, 1024]", "n: [0.33]"), "YG141", 3),
    "a scale of text": (replaced("n: [0.33, 0.25, 1024]", "n: small"), "YG141", 3),
    "a scale of nan": (replaced("n: [0.33, 0.25, 1024]", "n: [.nan, 1, 1]"), "YG141", 3),
    "an endless width": (replaced("0.25", "1.0e+300"), "YG141", 3),
    "a multiple of nothing": (replaced("0.33", "0", V5), "YG141", 3),
    "odd anchors": (replaced("[10,13, 16,30, 33,23]", "[10,13, 16]", V5), "YG141", 5),
    "uneven anchors": (replaced("[10,13, 16,30, 33,23]", "[10,13]", V5), "YG141", 5),
    "a row of three": (replaced("[-1, 3, C2f, [128, True]]", "[-1, C2f, [128, True]]"), "YG142", 11),
    "a row that is text": (replaced("[-1, 3, C2f, [128, True]]", "C2f"), "YG142", 11),
    "from is text": (replaced("[-1, 3, C2f, [128, True]]", "[a, 3, C2f, [128]]"), "YG142", 11),
    "from is a switch": (replaced("[-1, 3, C2f, [128, True]]", "[True, 3, C2f, [128]]"), "YG142", 11),
    "from is empty": (replaced("[[-1, 6], 1, Concat, [1]]", "[[], 1, Concat, [1]]"), "YG142", 21),
    "number is 0": (replaced("[-1, 3, C2f, [128, True]]", "[-1, 0, C2f, [128]]"), "YG142", 11),
    "number is huge": (replaced("[-1, 3, C2f, [128, True]]", "[-1, 999999, C2f, [128]]"), "YG142", 11),
    "number is half": (replaced("[-1, 3, C2f, [128, True]]", "[-1, 0.5, C2f, [128]]"), "YG142", 11),
    "arguments are a number": (replaced("[-1, 3, C2f, [128, True]]", "[-1, 3, C2f, 128]"), "YG142", 11),
    "a module of no name": (replaced("[-1, 3, C2f, [128, True]]", "[-1, 3, 5, [128]]"), "YG142", 11),
    "row 0 reads a row": (replaced("[-1, 1, Conv, [64, 3, 2]]", "[0, 1, Conv, [64, 3, 2]]"), "YG143", 9),
    "a later row": (replaced("[-1, 6], 1", "[-1, 16], 1"), "YG143", 21),
    "itself": (replaced("[-1, 6], 1", "[-1, 11], 1"), "YG143", 21),
    "before the first": (replaced("[-1, 3, C2f, [128, True]]", "[-4, 3, C2f, [128]]"), "YG143", 11),
    "a module nobody can read": (replaced("SPPF", '"SP\\e[31mPF"'), "YG142", 18),
    "a module of spaces": (replaced("SPPF", '" "'), "YG142", 18),
    "no such module": (replaced("SPPF", "SPFF"), "YG144", 18),
    "a dotted name": (replaced("SPPF", "os.system"), "YG144", 18),
    "no arguments": (replaced("[64, 3, 2]", "[]"), "YG145", 9),
    "a surplus argument": (replaced("[1024, 5]", "[1024, 5, 5]"), "YG145", 18),
    "channels as text": (replaced("[64, 3, 2]", "[wide, 3, 2]"), "YG145", 9),
    "text that would compute": (replaced("[64, 3, 2]", "['__import__(\"os\")', 3, 2]"), "YG145", 9),
    "a module of one map given two": (
        replaced("[-1, 3, C2f, [512]]", "[[-1, 6], 3, C2f, [512]]"),
        "YG145",
        22,
    ),
    "a join of one map": (replaced("[[-1, 6], 1, Concat, [1]]", "[-1, 1, Concat, [1]]"), "YG145", 21),
    "another dimension": (replaced("Concat, [1]", "Concat, [0]"), "YG145", 21),
    "Detect of others": (replaced("[nc]", "[3]"), "YG145", 32),
    "Detect in the middle": (V8 + "  - [-1, 1, Conv, [64]]\n", "YG147", 32),
    "no Detect": (V8[: V8.rindex("  - [[15")], "YG147", 31),
    "more layers than any": (replaced("0.33", "16", V5.replace("-1, 9,", "-1, 200,")), "YG141", 17),
    "more channels than any": (
        replaced("0.25", "16", V5.replace("[64, 6, 2, 2]", "[65536, 6, 2, 2]")),
        "YG145",
        11,
    ),
    "four anchors": (BY_NUMBER.replace("anchors: 3", "anchors: 4"), "YG147", 34),
    "a number of anchors for two levels": (replaced("[17, 20, 23]", "[17, 20]", BY_NUMBER), "YG147", 34),
    "a level without anchors": (replaced("[17, 20, 23]", "[17, 20]", V5), "YG147", 37),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_one_line_with_its_place(case: str) -> None:
    text, code, line = MISTAKES[case]
    with pytest.raises(SpecError) as caught:
        read(text, name="my.yaml")
    said = caught.value.line()
    assert caught.value.code == code and caught.value.where == f"my.yaml:{line}"
    assert "\n" not in said and len(said) <= MAX_LINE
    assert caught.value.fix or code in ("YG141", "YG142", "YG145", "YG147")


def test_the_nearest_name_is_offered() -> None:
    with pytest.raises(SpecError, match="did you mean CoordAtt"):
        read(with_rows(V8, "# 15", "- [-1, 1, CoordAt, [256]]"))


def test_too_many_rows_are_refused() -> None:
    with pytest.raises(SpecError, match="YG141"):
        read(with_rows(V8, "[1024, True]", *["- [-1, 1, SE, []]"] * 600))
    with pytest.raises(SpecError, match="YG141"):
        read(with_rows(V8, "[1024, True]", *["- [-1, 200, SE, []]"] * 11))
