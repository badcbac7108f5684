"""`check` on numbers no detector has: findings or one line, at once."""

from __future__ import annotations

import time

import pytest

from yolograft.doctor.index_check import check_text
from yolograft.doctor.row_checks import Place, examine_row
from yolograft.errors import SpecError
from yolograft.graph.spec import ModuleRef

FILE = """nc: 3
width_multiple: {width}
backbone:
  - [-1, 1, Conv, [64, 3, 2]]
{rows}
head:
  - [-1, 1, Conv, [64, 3, 2]]
  - [[-1], 1, Detect, [nc]]
"""


def checked(*rows: str, width: float = 1) -> dict[str, bool]:
    """Code -> whether a note, of every finding; each is one line."""
    text = FILE.format(width=width, rows="\n".join(f"  - {row}" for row in rows))
    found = check_text(text, name="my.yaml").findings
    assert all(len(f.line_of("my.yaml", lang)) <= 240 for f in found for lang in ("en", "zh"))  # type: ignore[arg-type]
    return {f.code: f.note for f in found}


@pytest.mark.parametrize("factor", ["999999999999999999", "8"])
def test_upsampling_without_end(factor: str) -> None:
    checked(
        *[f"[-1, 1, nn.Upsample, [None, {factor}]]"] * 20,
        "[-1, 1, SE, [64]]",
        "[-1, 1, EfficientAttention, []]",
    )


@pytest.mark.parametrize("stride", ["999999999999999999", "8", "1.0e300"])
def test_strides_without_end(stride: str) -> None:
    rows = [f"[-1, 1, Conv, [64, 3, {stride}]]"] * 400
    checked(*rows, "[-1, 1, SE, [64]]")


def test_a_number_without_end_is_one_line() -> None:
    with pytest.raises(SpecError, match=r"YG140 my\.yaml:5: a number without end: 1e999"):
        checked("[-1, 1, Conv, [64, 3, 1e999]]")


def test_maps_that_are_all_too_large_are_noted() -> None:
    found = examine_row(ModuleRef("se", ()), Place("SE", 7, 4096, 1), {})
    assert [(f.code, f.note) for f in found] == [("YG174", True)]


def test_rows_that_no_machine_could_try_are_noted() -> None:
    start = time.process_time()
    assert checked("[-1, 1, Conv, [65536, 3, 2]]", "[-1, 1, A2, []]")["YG174"]
    assert time.process_time() - start < 20
    wide = examine_row(ModuleRef("se", ()), Place("SE", 7, 4104, 32), {})
    heavy = examine_row(
        ModuleRef("conv", (("kernel", 63), ("out_channels", 256))), Place("X", 7, 256, 32), {}
    )
    for found in (wide, heavy):
        assert [(f.code, f.note, f.line) for f in found] == [("YG174", True, 7)]
    assert "4104 channels" in wide[0].what() and "260112" in heavy[0].what()


def test_pooled_attention_on_the_image_itself_is_not_waited_for() -> None:
    start = time.process_time()
    examine_row(ModuleRef("cloformer", ()), Place("EfficientAttention", 7, 64, 1), {})
    assert time.process_time() - start < 60


def test_a_large_row_is_tried_at_the_sides_it_can_be() -> None:
    start = time.process_time()
    codes = [f.code for f in examine_row(ModuleRef("se", ()), Place("SE", 7, 1024, 8), {})]
    assert "YG174" not in codes and time.process_time() - start < 30


def test_thousands_of_layers_are_one_line() -> None:
    text = FILE.format(width=1, rows="  - [-1, 200, Conv, [64, 3, 1]]").replace(
        "nc: 3", "nc: 3\ndepth_multiple: 16"
    )
    with pytest.raises(SpecError, match=r"YG141 my\.yaml:6: rows to here make 3201 layers at depth 16"):
        check_text(text, name="my.yaml")


def test_a_module_of_another_code_base_is_not_said_to_be_missing_there() -> None:
    text = FILE.format(width=1, rows="  - [-1, 1, C3Ghost, [64]]")
    said = next(f for f in check_text(text, name="my.yaml").findings if f.code == "YG154")
    assert said.what().startswith("C3Ghost is not known here") and "那里" not in said.what("zh")
