"""The 28 defects of the five posts: each found where the page docs/posts.md says, by the code it says."""

from __future__ import annotations

import re
from pathlib import Path

import post_classes as posts
import pytest

from yolograft.doctor import check_module
from yolograft.doctor.examine import CHECKS, SLOW
from yolograft.doctor.index_check import IndexCheck, check_text, fixed_text
from yolograft.doctor.report import Row
from yolograft.errors import ModuleError
from yolograft.models.build import inspect_spec, model_spec
from yolograft.models.usercode import load_user_class

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CLASSES = str(HERE / "post_classes.py")
QUICK = [name for name in CHECKS if name not in SLOW]
SEEDS = {
    "001": "seed_001_nam.yaml",
    "003": "seed_003_double_attention.yaml",
    "004": "seed_004_cloformer.yaml",
}

V8 = (ROOT / "tests/seeds/stock_yolov8.yaml").read_text(encoding="utf-8")


def printed(seed: str) -> str:
    return (HERE / SEEDS[seed]).read_text(encoding="utf-8")


def inserted(row: str, *, after: int = 21) -> str:
    """The stock file of YOLOv8 with one row behind a row of it, the last in front of Detect when left out."""
    lines = V8.splitlines()
    rows = [i for i, line in enumerate(lines) if line.startswith("  - [")]
    lines.insert(rows[after] + 1, f"  - {row}")
    text = "\n".join(lines)
    return text.replace("[[15, 18, 21]", "[[15, 18, 22]") if after == 21 else text


def codes(checked: IndexCheck, *, notes: bool = True) -> set[str]:
    return {finding.code for finding in checked.findings if notes or not finding.note}


def doctor(reference: str, check: str, *, channels: int = 64) -> Row:
    return check_module(f"{CLASSES}::{reference}", checks=[check], channels=channels).row(check)


def test_nothing_is_found_in_the_stock_file() -> None:
    assert check_text(V8).findings == ()


@pytest.mark.parametrize(
    ("seed", "line"), [("1", "class CAM(nn.Module):"), ("22", "x = MemoryEfficientSwish")]
)
def test_1_and_22_a_missing_import_is_said_as_such(tmp_path: Path, seed: str, line: str) -> None:
    file = tmp_path / "att.py"
    file.write_text(f"{line}\n    pass\n" if line.endswith(":") else f"{line}\n", encoding="utf-8")
    with pytest.raises(ModuleError, match=r"YG221.*att\.py:1.*NameError"):
        load_user_class(file, "CAM")


@pytest.mark.parametrize(
    ("number", "reference", "check", "key", "channels"),
    [
        (2, "CAM", "gradient", "dead", 64),
        (3, "CAM", "narrow", "narrow_fails", 64),
        (3, "CAM", "runs", "does_not_run", 16),
        (6, "CoordAtt:oup=128", "runs", "does_not_run", 64),
        (8, "CAM", "scale", "damped", 64),
        (8, "CoordAtt", "scale", "damped", 64),
        (9, "NAMAttention", "derivative", "not_the_slope", 64),
        (10, "NAMAttention", "scale", "only_scales", 64),
        (11, "NAMAttention", "finite", "not_finite_gamma", 64),
        (13, "NAMAttention", "options", "option_unread", 64),
        (15, "DoubleAttentionLayer:c_m=64,c_n=8", "runs", "no_tensor", 64),
        (25, "EfficientAttention", "runs", "does_not_run", 64),
        (26, "EfficientAttention", "runs", "does_not_run", 64),
        (27, "EfficientAttention:kernel=4", "runs", "does_not_run", 64),
    ],
)
def test_doctor_finds(number: int, reference: str, check: str, key: str, channels: int) -> None:
    row = doctor(reference, check, channels=channels)
    assert row.key == key, row.reason()


@pytest.mark.slow
def test_5_the_export_is_right_at_one_size_only() -> None:
    row = doctor("CAM", "onnx")
    assert row.status == "fail" and row.key in {
        "onnx_differs",
        "onnx_fails",
        "half_open_pool",
        "export_fails",
    }


def test_7_one_channel_count_where_the_class_takes_two() -> None:
    checked = check_text(inserted("[-1, 1, CoordAtt, [1024]]"))
    assert "YG155" in codes(checked, notes=False)
    assert check_text(fixed_text(checked)).clean


def test_7_with_the_class_given() -> None:
    checked = check_text(inserted("[-1, 1, CoordAtt, []]"), code=[CLASSES])
    assert checked.clean, checked.findings


@pytest.mark.parametrize(("number", "note"), [(1024, True), (512, False), (256, False)])
def test_14_a_channel_number_beside_the_map(number: int, note: bool) -> None:
    checked = check_text(printed("001").replace("NAMAttention, [1024]", f"NAMAttention, [{number}]"))
    found = [finding for finding in checked.findings if finding.code == "YG157"]
    assert [finding.note for finding in found] == [note] and checked.clean == note
    assert found[0].line == 35


def test_16_17_18_and_19_in_the_third_post_as_printed() -> None:
    checked = check_text(printed("003"))
    found = {finding.code: finding for finding in checked.findings}
    assert codes(checked, notes=False) == {"YG155", "YG161", "YG167", "YG150", "YG152"}
    assert "leaves out c_n" in found["YG155"].what()
    assert "one value at all positions" in found["YG161"].what()
    assert (found["YG150"].line, found["YG150"].values["now"], found["YG150"].values["meant"]) == (22, 6, 7)
    assert found["YG152"].values["more"] == 10


def stock_head_unshifted() -> str:
    tail = V8.splitlines()[-10:]
    return printed("003") + "\n".join(tail) + "\n"


def test_19_with_the_rest_of_the_stock_head() -> None:
    checked = check_text(stock_head_unshifted())
    wiring = [f for f in checked.findings if f.code in ("YG150", "YG151")]
    assert [f.code for f in wiring] == ["YG150"] * 4 + ["YG151"]
    assert [f.values["meant"] for f in wiring] == [7, 5, 13, 10, "16, 19, 22"]
    assert wiring[-1].key == "on_concat"


def test_20_detect_alone_shifted() -> None:
    checked = check_text(stock_head_unshifted().replace("[[15, 18, 21]", "[[16, 19, 22]"))
    wiring = [f.code for f in checked.findings if f.code in ("YG150", "YG151")]
    assert wiring == ["YG150"] * 4


def test_21_channels_that_change_and_multiples_of_another_family() -> None:
    changed = check_text(inserted("[-1, 1, DoubleAttentionLayer, [64, 8]]", after=2))
    assert "YG169" in codes(changed)
    foreign = check_text(V8.replace("x: [1.00, 1.25, 512]", "x: [1.33, 1.25, 512]"))
    assert [f.key for f in foreign.findings] == ["scale_foreign"]
    both = check_text("depth_multiple: 1.33\nwidth_multiple: 1.25\n" + V8)
    assert [f.key for f in both.findings] == ["two_tables"]


def test_23_and_24_in_the_fourth_post_as_printed() -> None:
    checked = check_text(printed("004"))
    assert codes(checked, notes=False) == {"YG155", "YG150"}
    stale = next(f for f in checked.findings if f.code == "YG150")
    assert (stale.line, stale.values["now"], stale.values["meant"]) == (31, 14, 15)


CLO = "[-1, 1, EfficientAttention, {args}]"


def test_25_and_26_a_window_that_does_not_divide_and_a_head_that_is_broadcast() -> None:
    ours = check_text(inserted(CLO.format(args="[8, [6, 2], [3]]"), after=8))
    assert [f.code for f in ours.findings if "window" in f.key] == ["YG163"]
    theirs = check_text(inserted(CLO.format(args="[8, 6, 3, 7]"), after=8), code=[CLASSES])
    found = {f.code: f for f in theirs.findings}
    assert found["YG163"].key == "some_sizes" and "224" in found["YG163"].values["passes"]  # type: ignore[operator]
    assert "640" in str(found["YG164"].values["images"]) and found["YG164"].key == "broadcast"


def test_27_even_kernels_and_heads_that_do_not_divide() -> None:
    even = check_text(inserted(CLO.format(args="[8, [6, 2], [4]]"), after=8))
    assert "YG165" in codes(even, notes=False)
    heads = check_text(inserted(CLO.format(args="[6, [4, 2], [3]]"), after=8))
    assert "YG164" in codes(heads, notes=False)


def test_28_every_position_with_every_other() -> None:
    stale = check_text(inserted(CLO.format(args="[8, [4, 4], [3], 1]"), after=8))
    checked = check_text(fixed_text(stale))
    assert codes(checked) == {"YG166"} and checked.clean


def test_a_graft_nobody_reads_as_cam4_of_the_first_post() -> None:
    text = inserted("[18, 1, CAM, []]", after=18).replace(
        "[-1, 1, Conv, [512, 3, 2]]  # 19", "[18, 1, Conv, [512, 3, 2]]"
    )
    text = text.replace("[[15, 18, 21]", "[[15, 18, 22]")
    checked = check_text(text)
    assert "YG153" in codes(checked, notes=False)
    again = check_text(fixed_text(checked))
    assert again.clean and not again.findings


@pytest.mark.parametrize(
    ("seed", "classes", "params"), [("001", 10, 7_047_623), ("003", 80, 3_158_784), ("004", 80, None)]
)
def test_fixed_files_build_to_the_right_counts(
    tmp_path: Path, seed: str, classes: int, params: int | None
) -> None:
    fixed = fixed_text(check_text(printed(seed)))
    assert check_text(fixed).clean
    file = tmp_path / "fixed.yaml"
    file.write_text(fixed, encoding="utf-8")
    spec = model_spec(str(file))
    assert spec.num_classes == classes
    counted = sum(fact.params for fact in inspect_spec(spec))
    assert params is None or counted == params
    assert fixed_text(check_text(fixed)) == fixed


@pytest.mark.parametrize(
    ("scale", "params"),
    [("n", 3_158_784), ("s", 11_171_760), ("m", 25_913_504), ("l", 43_710_096), ("x", 68_257_984)],
)
def test_the_third_post_fixed_at_every_scale(tmp_path: Path, scale: str, params: int) -> None:
    file = tmp_path / "fixed.yaml"
    file.write_text(fixed_text(check_text(printed("003"))), encoding="utf-8")
    assert sum(fact.params for fact in inspect_spec(model_spec(f"{file}:{scale}"))) == params


@pytest.mark.parametrize(("width", "depth", "params"), [(0.25, 0.33, 2_159_389), (0.5, 0.33, 8_350_525)])
def test_the_fourth_post_fixed_with_the_arguments_of_the_reference(
    tmp_path: Path, width: float, depth: float, params: int
) -> None:
    text = printed("004").replace("EfficientAttention, []", "EfficientAttention, [16, [4, 12], [9], 1]")
    text = text.replace("width_multiple: 0.25", f"width_multiple: {width}")
    checked = check_text(text)
    assert codes(checked, notes=False) == {"YG150"}
    file = tmp_path / "fixed.yaml"
    file.write_text(fixed_text(checked), encoding="utf-8")
    assert sum(fact.params for fact in inspect_spec(model_spec(str(file)))) == params


TABLE_ROW = re.compile(r"^\| (\d+) \|.*$", re.MULTILINE)


@pytest.mark.parametrize("page", ["posts.md", "posts.zh.md"])
def test_the_page_names_every_defect_and_codes_that_exist(page: str) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert [int(number) for number in TABLE_ROW.findall(text)] == list(range(1, 29))
    messages = "".join(f.read_text(encoding="utf-8") for f in (ROOT / "docs/messages").glob("*.yaml"))
    named = set(re.findall(r"YG\d{3}", text))
    assert named and all(f"  {code}:" in messages for code in named)
    checks = set(re.findall(r"`doctor`: ([a-z_]+)", text))
    assert checks and checks <= set(CHECKS)


def test_the_classes_are_what_the_page_says() -> None:
    assert posts.CAM.__doc__ and "norm nobody calls" in posts.CAM.__doc__
