"""The table of foreign names: complete, true to our signatures, and read as the published code takes it."""

from __future__ import annotations

import inspect
import math
from typing import Any

import pytest

from yolograft.errors import SpecError, YolograftError
from yolograft.graph.dialect.indexfile import Row, Scale
from yolograft.graph.dialect.rowargs import Width, read_arguments, write_arguments
from yolograft.models.build import build, inspect_spec
from yolograft.models.catalog import BY_NAME, ENTRIES
from yolograft.models.dialect_words import ATTENTION, BLOCKS, WORDS
from yolograft.models.modelfile import is_model_file, read_model, stocks

ALL = (*BLOCKS, *ATTENTION)


def test_every_attention_and_every_alias_has_a_word() -> None:
    for entry in ENTRIES:
        if entry.kind == "attention":
            for name in (entry.name, *entry.aliases):
                assert WORDS[name].module == entry.name, name


def test_words_name_modules_of_the_catalog_and_their_options() -> None:
    for word in ALL:
        parameters = inspect.signature(BY_NAME[word.module].cls).parameters
        for form in word.forms:
            for slot in form.slots:
                if not slot.option or slot.option == "out_channels":
                    continue
                default = parameters[slot.option].default
                expected = None if default is inspect.Parameter.empty else default
                assert slot.default == expected, (word.names, slot)
            assert all(key in parameters for key, _ in form.fixed)


def test_what_keeps_shape_is_attention() -> None:
    for word in ALL:
        kind = BY_NAME[word.module].kind
        assert word.keeps == (kind in ("attention", "probe")) and word.probe == (kind == "probe")


def options(module: str, *args: Any, real: int | None = 64, written: int | None = 256) -> dict[str, Any]:
    row = Row(3, (-1,), (2,), 1, module, args, 7)
    found = read_arguments(
        row, WORDS[module], width=Width(real, written), scale=Scale(0.33, 0.25, 1024), file="my.yaml"
    )
    assert not found.notes, found.notes
    return dict(found.options)


READ = [
    # Names as posts and repositories use them; 64 real channels, 256 before scaling.
    ("NAMAttention", [], {}),
    ("NAMAttention", [256], {}),
    ("NAMAttention", [64, 64, True], {}),
    ("CoordAtt", [256], {}),
    ("CoordAtt", [64, 64], {}),
    ("CoordAtt", [64, 64, 16], {"reduction": 16}),
    ("CoordAtt", [256, 16], {"reduction": 16}),
    ("CA", [16], {"reduction": 16}),
    ("CAM", [256, 16], {"reduction": 16}),
    ("SE", [256, 4], {"reduction": 4}),
    ("SEAttention", [64, 64, 8], {"reduction": 8}),
    ("SELayer", [16], {}),
    ("ECA", [], {}),
    ("ECA", [256, 5], {"kernel": 5}),
    ("ECAAttention", [256], {"kernel": 3}),
    ("ECAAttention", [5], {"kernel": 5}),
    ("CBAM", [256], {}),
    ("CBAM", [256, 3], {"kernel": 3}),
    ("CBAM", [64, 64, 16, 7], {}),
    ("CBAM", [256, 8, 3], {"reduction": 8, "kernel": 3}),
    ("CBAM", [7], {}),
    ("SimAM", [], {}),
    ("SimAM", [256, 1e-3], {"e_lambda": 1e-3}),
    ("EMA", [64], {"groups": 32}),
    ("EMA", [64, 64, 8], {}),
    ("EMA", [8], {}),
    ("TripletAttention", [], {}),
    ("TripletAttention", [True], {"spatial": False}),
    ("GCBlock", [64, 0.25], {"reduction": 4}),
    ("ELA", [256, 5], {"kernel": 5}),
    ("DoubleAttentionLayer", [64, 64, 8], {"reproject": False, "c_m": 64, "c_n": 8}),
    ("DoubleAttentionLayer", [64, 32, 8, True], {"skip": False, "c_m": 32, "c_n": 8}),
    ("DoubleAttention", [256, 64, 8], {"skip": False, "c_m": 64, "c_n": 8}),
    ("A2", [32, 8], {"skip": False, "c_m": 32, "c_n": 8}),
    (
        "EfficientAttention",
        [256, 16, [4, 12], [9], 1],
        {"heads": 16, "group_split": (4, 12), "kernels": (9,), "window": 1},
    ),
    ("EfficientAttention", [8, [4, 4], [3]], {"group_split": (4, 4), "kernels": (3,)}),
    ("Conv", [256, 3, 2], {"out_channels": 64, "kernel": 3, "stride": 2}),
    ("Conv", [64, 6, 2, 2], {"out_channels": 16, "kernel": 6, "stride": 2, "padding": 2}),
    ("Conv", [256, 3, 1, 1], {"out_channels": 64, "kernel": 3}),
    ("Conv", [256, 3, 1, None, 4], {"out_channels": 64, "kernel": 3, "groups": 4}),
    ("C3", [256], {"out_channels": 64, "shortcut": True}),
    ("C3", [256, False], {"out_channels": 64}),
    ("C2f", [256], {"out_channels": 64}),
    ("Focus", [64, 3], {"out_channels": 16}),
    ("SPP", [1024, [5, 9, 13]], {"out_channels": 256}),
    ("SPPF", [1024], {"out_channels": 256}),
    ("nn.Upsample", [None, 2, "bilinear"], {"mode": "bilinear"}),
]


@pytest.mark.parametrize(("module", "args", "expected"), READ, ids=[f"{m}{a}" for m, a, _ in READ])
def test_arguments_are_read_in_their_usual_orders(module: str, args: list[Any], expected: dict) -> None:
    assert options(module, *args) == {k: tuple(v) if isinstance(v, list) else v for k, v in expected.items()}


WRONG = [
    ("NAMAttention", ["wide"], "order: [channels, out_channels, no_spatial?] or [channels?, no_spatial?]"),
    ("SE", [64, "soft"], "order: [channels, out_channels, reduction?] or [channels?, reduction?]"),
    ("SE", [64, 64, 16, 7], "4 arguments, it takes at most 3"),
    ("ECA", [64, 4], "order: [channels, out_channels, k_size?] or [channels?, k_size?]"),
    ("CoordAtt", [64, 128], "an argument of the wrong kind"),
    ("CBAM", [64, "6"], "an argument of the wrong kind or range"),
    ("EfficientAttention", [64, 16, "4", [9]], "order: [channels, num_heads, group_split, kernel_sizes"),
    ("Conv", [], "0 arguments, it needs 1"),
    ("Conv", [64, 3, 2, 1, 1, 2], "an argument of the wrong kind or range"),
    ("Conv", [10**9], "an argument of the wrong kind or range"),
    ("C2f", [64, True, 1, 0.25], "order: [out_channels, shortcut?, groups?, expansion?]"),
    ("nn.Upsample", [[20, 20], 2, "nearest"], "order: [size, scale_factor"),
]


@pytest.mark.parametrize(("module", "args", "said"), WRONG, ids=[f"{m}{a}" for m, a, _ in WRONG])
def test_wrong_arguments_name_the_line_and_the_order(module: str, args: list[Any], said: str) -> None:
    with pytest.raises(SpecError, match=r"YG145 my\.yaml:7: ") as caught:
        options(module, *args)
    assert said in caught.value.line()


def notes(module: str, *args: Any) -> list[tuple[str, bool]]:
    row = Row(3, (-1,), (2,), 1, module, args, 7)
    found = read_arguments(row, WORDS[module], width=Width(64, 256), scale=Scale(1, 1), file="my.yaml")
    return [(note.code, note.wrong) for note in found.notes]


def test_a_channel_count_that_is_neither_is_noted() -> None:
    assert notes("NAMAttention", 256) == notes("NAMAttention", 64) == notes("NAMAttention") == []
    assert notes("NAMAttention", 128) == notes("SE", 512) == notes("CoordAtt", 128, 128) == [("YG146", False)]


def test_missing_arguments_are_read_but_wrong() -> None:
    assert notes("DoubleAttentionLayer", 256, 1) == notes("EfficientAttention") == [("YG145", True)]
    assert notes("DoubleAttentionLayer") == [("YG145", True)]


@pytest.mark.parametrize("word", ATTENTION, ids=lambda word: word.names[0])
def test_what_is_written_reads_back(word: Any) -> None:
    for form in word.forms:
        width = Width(64, 64)
        args = write_arguments(word, dict(form.fixed), width)
        if args is not None:
            back = read_arguments(
                Row(0, (-1,), (-1,), 1, word.names[0], tuple(args), 1),
                word,
                width=width,
                scale=Scale(1, 1),
                file="",
            )
            assert back.options == dict(form.fixed)


# Parameter totals of the packages, measured by running them: see the research notes on the printed files.
NAM = "- [-1, 1, NAMAttention, [1024]]"


def total(text: str, tmp_path: Any, *, name: str = "mine.yaml") -> int:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    return sum(fact.params for fact in inspect_spec(read_model(str(file)).reading.spec))


def v5(*, nc: int, width: float, insert: tuple[str, str] = ("", ""), p4: int, p5: int, detect: str) -> str:
    rows = [
        *("[-1, 1, Conv, [64, 6, 2, 2]]", "[-1, 1, Conv, [128, 3, 2]]", "[-1, 3, C3, [128]]"),
        *(
            "[-1, 1, Conv, [256, 3, 2]]",
            "[-1, 6, C3, [256]]",
            "[-1, 1, Conv, [512, 3, 2]]",
            "[-1, 9, C3, [512]]",
        ),
        *("[-1, 1, Conv, [1024, 3, 2]]", "[-1, 3, C3, [1024]]", insert[0], "[-1, 1, SPPF, [1024, 5]]"),
    ]
    head = [
        *(
            "[-1, 1, Conv, [512, 1, 1]]",
            "[-1, 1, nn.Upsample, [None, 2, 'nearest']]",
            "[[-1, 6], 1, Concat, [1]]",
        ),
        *(
            "[-1, 3, C3, [512, False]]",
            "[-1, 1, Conv, [256, 1, 1]]",
            "[-1, 1, nn.Upsample, [None, 2, 'nearest']]",
        ),
        *("[[-1, 4], 1, Concat, [1]]", "[-1, 3, C3, [256, False]]", "[-1, 1, Conv, [256, 3, 2]]"),
        *(f"[[-1, {p4}], 1, Concat, [1]]", "[-1, 3, C3, [512, False]]", "[-1, 1, Conv, [512, 3, 2]]"),
        *(f"[[-1, {p5}], 1, Concat, [1]]", "[-1, 3, C3, [1024, False]]", insert[1]),
        f"[{detect}, 1, Detect, [nc, anchors]]",
    ]
    anchors = (
        "anchors:\n  - [10,13, 16,30, 33,23]\n  - [30,61, 62,45, 59,119]\n  - [116,90, 156,198, 373,326]\n"
    )
    top = f"nc: {nc}\ndepth_multiple: 0.33\nwidth_multiple: {width}\n{anchors}"
    parts = [[f"  - {row}" for row in part if row] for part in (rows, head)]
    return "\n".join([top, "backbone:", *parts[0], "head:", *parts[1], ""])


def test_printed_files_have_the_parameters_the_packages_count(tmp_path: Any) -> None:
    nam = v5(nc=10, width=0.5, insert=("", NAM[2:]), p4=14, p5=10, detect="[17, 20, 24]")
    assert total(nam, tmp_path) == 7_047_623
    attention = "[-1, 1, EfficientAttention, [1024, 16, [4, 12], [9], 1]]"
    # As printed one index is stale, which builds in silence; then with it corrected.
    stale = v5(nc=80, width=0.25, insert=(attention, ""), p4=14, p5=11, detect="[18, 21, 24]")
    assert total(stale, tmp_path) == 2_167_581
    assert total(stale.replace("[[-1, 14]", "[[-1, 15]"), tmp_path) == 2_159_389


def test_a_file_by_name_and_scale(tmp_path: Any) -> None:
    assert is_model_file("my.yaml") and is_model_file("a/b.yml:s") and is_model_file("C:\\x\\my.yaml:m")
    assert not is_model_file("yolov8n") and not is_model_file("run.pt")
    with pytest.raises(SpecError, match=r"YG140 .*no such file -> the stock model is yolov8n, without .yaml"):
        read_model("yolov8n.yaml")


OWN = """
from torch import nn
class Gate(nn.Module):
    def __init__(self, c1, k=3, wide=(1, 2)):
        super().__init__()
        self.conv = nn.Conv2d(c1, c1, k, padding=k // 2)
    def forward(self, x):
        return x * self.conv(x).sigmoid()
class Widen(nn.Module):
    def __init__(self, c1, c2):
        super().__init__()
        self.out_channels = c2
        self.conv = nn.Conv2d(c1, c2, 1)
    def forward(self, x):
        return self.conv(x)
"""


@pytest.mark.parametrize(
    ("row", "args"),
    [
        ("[-1, 1, Gate, [1024]]", ()),
        ("[-1, 1, Gate, []]", ()),
        ("[-1, 1, Gate, [1024, 5]]", (("k", 5),)),
        ("[-1, 1, Gate, [5]]", (("k", 5),)),
        ("[-1, 1, Gate, [256, 5, [3, 4]]]", (("k", 5), ("wide", (3, 4)))),
        ("[-1, 1, Gate, [{k: 5}]]", (("k", 5),)),
        ("[-1, 1, Widen, [1024, 1024]]", ()),
        ("[-1, 1, Widen, [512]]", (("c2", 128),)),
    ],
)
def test_a_class_of_the_user_s_own(tmp_path: Any, row: str, args: tuple) -> None:
    from yolograft.models.build import model_spec
    from yolograft.models.modelfile import from_model

    file, code = tmp_path / "my.yaml", tmp_path / "my_att.py"
    text = v5(nc=3, width=0.25, insert=("", row), p4=14, p5=10, detect="[17, 20, 24]")
    file.write_text(text, encoding="utf-8")
    code.write_text(OWN, encoding="utf-8")
    with pytest.raises(SpecError, match=r"YG144 my.yaml:\d+: no module '(Gate|Widen)'.*--code FILE.py"):
        model_spec(str(file))
    book = from_model(str(file), [code])
    spec = model_spec(str(file), code=book)
    layer = next(item for item in spec if "+" in item.name)
    assert layer.module == f"{code}::{row.split(', ')[2]}" and layer.args == args
    build(spec, code=book)


def test_required_arguments_of_a_class_are_asked_for(tmp_path: Any) -> None:
    from yolograft.doctor.index_check import check_text

    code = tmp_path / "my_att.py"
    code.write_text(OWN.replace("c1, k=3, wide", "c1, k, wide"), encoding="utf-8")

    def codes(args: str) -> dict[str, str]:
        row = f"[-1, 1, Gate, {args}]"
        text = v5(nc=3, width=0.25, insert=("", row), p4=14, p5=10, detect="[17, 20, 24]")
        found = check_text(text, name="my.yaml", code=[code]).findings
        return {f.code: f.line_of("my.yaml") for f in found if not f.note}

    for args in ("[]", "[1024]"):
        assert "YG155" in (said := codes(args)) and "YG156" not in said, said
        assert "None" not in said["YG155"] and " k" in said["YG155"]
    assert codes("[1024, 3]") == codes("[3]") == codes("[{k: 3}]") == {}


@pytest.mark.parametrize("name", [word.names[0] for word in ATTENTION if "::" not in word.module])
def test_what_is_written_is_clean(name: str) -> None:
    """`check` refuses nothing that `export-yaml` wrote."""
    from yolograft.doctor.index_check import check_text
    from yolograft.graph.dialect.write import write_index_file
    from yolograft.graph.expr import parse_graft
    from yolograft.graph.graft import graft
    from yolograft.models.build import model_spec

    spec = graft(model_spec("yolov8n"), parse_graft(f"{WORDS[name].module}@neck.p3"))
    text = write_index_file(spec, words=WORDS, stocks=stocks()).text
    assert [f.line_of("x") for f in check_text(text).findings if f.code in ("YG155", "YG156")] == []


def test_code_runs_only_when_named(tmp_path: Any) -> None:
    canary, code = tmp_path / "canary", tmp_path / "my_att.py"
    code.write_text(f"open({str(canary)!r}, 'w').close()\n" + OWN, encoding="utf-8")
    file = tmp_path / "my.yaml"
    text = v5(nc=3, width=0.25, insert=("", "[-1, 1, Gate, [1024]]"), p4=14, p5=10, detect="[17, 20, 24]")
    for row in ("Gate", "my_att.Gate", f"{code}::Gate", "my_att.py::Gate"):
        file.write_text(text.replace("Gate", row), encoding="utf-8")
        with pytest.raises(YolograftError, match="YG144"):
            read_model(str(file))
    assert not canary.exists()


def test_a_depthwise_convolution_has_the_groups_of_both_counts(tmp_path: Any) -> None:
    text = v5(
        nc=3, width=0.25, insert=("", "[-1, 1, DWConv, [512, 3, 1]]"), p4=14, p5=10, detect="[17, 20, 24]"
    )
    file = tmp_path / "my.yaml"
    file.write_text(text, encoding="utf-8")
    layer = next(x for x in read_model(str(file)).spec if "+" in x.name)
    assert dict(layer.args)["groups"] == math.gcd(256, 128) and layer.name == "neck.p5.out+conv"


def test_stocks_are_those_with_a_head_in_the_dialect() -> None:
    assert {stock.family for stock in stocks()} == {"yolov5", "yolov8"}
