"""Every planted defect is found by its own check, with its own reason; a good module passes them all."""

from __future__ import annotations

from pathlib import Path

import planted_defects as plants
import pytest
import torch
from torch import nn

from yolograft.doctor import check_module
from yolograft.doctor.examine import CHECKS, SLOW
from yolograft.doctor.report import Report, Row, failed
from yolograft.doctor.wording import FIXES, NAMES, REASONS
from yolograft.errors import ModuleError, SpecError

QUICK = [name for name in CHECKS if name not in SLOW]
FILE = Path(plants.__file__)

# Checks that run backward: autograd itself refuses what was written over.
TRAINED = {"finite", "gradient", "derivative", "bf16", "fp16"}
# class, the check that must find it, the key of its reason, words the reason must hold, and the checks
# that follow from the defect and fail with it.
PLANTED: list[tuple[type[nn.Module], str, str, str, set[str]]] = [
    (plants.DeadParameter, "gradient", "dead", "bn.weight, bn.bias never change the output", set()),
    (plants.BatchSoftmax, "batch", "batch_mixed", "dimension 0", set()),
    (plants.ImplicitSoftmax, "batch", "softmax_over_batch", "softmax without dim=", set()),
    (plants.DataGate, "derivative", "not_the_slope", "bn.weight", {"finite"}),
    (
        plants.DetachedGate,
        "gradient",
        "cut_off",
        "gate change the output but get no gradient",
        {"derivative"},
    ),
    (plants.InPlace, "untouched", "writes_input", "writes into its input", TRAINED),
    (plants.WrongChannels, "shape", "wrong_channels", "32 channels, 64 declared", {"large"}),
    (plants.ZeroByZero, "finite", "not_finite_zeros", "nan", set()),
    (plants.LostBuffer, "state_dict", "state_lost", "not in it", set()),
    (plants.PlainTensor, "registered", "plain_tensor", "grid", {"bf16", "fp16"}),
    (plants.InList, "registered", "hidden", "convs[0].weight", {"state_dict"}),
    (plants.Swallows, "options", "option_swallowed", "**kwargs", set()),
    (
        plants.FixedSize,
        "shape",
        "size_fails",
        "13, 20",
        {"large", "finite", "gradient", "derivative", "batch", "position", "deterministic", "state_dict"},
    ),
    (plants.Lazy, "parameters", "made_by_map", "conv.weight", set(QUICK)),
    (plants.Flat, "position", "flat", "one value at all positions", {"gradient"}),
    (plants.Loud, "scale", "loud", "output std is", {"bf16", "fp16"}),
    (plants.Overflows, "fp16", "half_not_finite", "65504", set()),
    (plants.AlwaysDrops, "deterministic", "not_repeated", "random numbers", set(QUICK)),
    (plants.PooledNorm, "batch_of_one", "norm_of_one_value", "one value per channel", {"shape"}),
    (plants.ReturnsNothing, "runs", "no_tensor", "returns NoneType", set()),
    (plants.Tokens, "runs", "several_inputs", "tokens", set()),
    (plants.Raises, "builds", "raises", "no plan for 64 channels", set()),
]


@pytest.mark.parametrize(
    ("cls", "check", "key", "words", "along"), PLANTED, ids=lambda v: getattr(v, "__name__", "")
)
def test_a_planted_defect_is_found_by_its_own_check(
    cls: type[nn.Module], check: str, key: str, words: str, along: set[str]
) -> None:
    report = check_module(cls, checks=QUICK)
    row = report.row(check)
    assert (row.status, row.key) == ("fail", key), report.text()
    assert words in row.reason(), row.reason()
    assert not report.passed
    assert {failure.name for failure in report.failures} <= {check, *along}, report.text()


def test_a_half_open_pool_is_found_by_the_export() -> None:
    report = check_module(plants.HalfOpenPool, checks=["onnx", "channels_last"])
    row = report.row("onnx")
    assert (row.status, row.key) == ("fail", "half_open_pool"), report.text()
    assert "rows (AdaptiveAvgPool2d((None, 1)))" in row.reason() and "mean(3, keepdim=True)" in row.fix()
    assert report.failures == (row,)


def test_a_good_module_passes_every_check_from_its_file() -> None:
    report = check_module(f"{FILE}::Good:reduction=4", options={}, channels=24)
    assert report.passed, report.text()
    assert [row.name for row in report.rows] == list(CHECKS)
    assert {row.status for row in report.rows} == {"pass"}, report.text()


@pytest.mark.skipif(torch.cuda.is_available(), reason="with a GPU it is tried there")
def test_a_tensor_left_on_the_cpu_is_a_warning_where_no_gpu_can_tell() -> None:
    row = check_module(plants.OnTheCPU, checks=["device"]).row("device")
    assert (row.status, row.key) == ("warn", "devices_mixed"), row.reason()
    assert "planted_defects.py:" in row.reason() and "device=x.device" in row.fix()
    row = check_module(plants.AsksForValues, checks=["device"]).row("device")
    assert (row.status, row.key) == ("skipped", "device_open"), row.reason()


@pytest.mark.gpu
def test_a_tensor_left_on_the_cpu_fails_on_a_gpu() -> None:
    row = check_module(plants.OnTheCPU, checks=["device"]).row("device")
    assert (row.status, row.key) == ("fail", "devices_mixed"), row.reason()
    assert check_module(plants.AsksForValues, checks=["device"]).row("device").status == "pass"


def test_after_a_gate_nothing_else_is_looked_at() -> None:
    report = check_module(plants.ReturnsNothing, checks=QUICK)
    assert {row.status for row in report.rows[2:]} == {"skipped"}
    assert "'runs' failed" in report.row("shape").reason()


def test_the_reason_names_the_line_of_the_file() -> None:
    line = FILE.read_text(encoding="utf-8").splitlines().index("        return x + self.place") + 1
    report = check_module(f"{FILE}::FixedSize", checks=["shape"])
    assert f"(planted_defects.py:{line})" in report.row("shape").reason()


def test_the_answer_is_the_same_again_and_leaves_the_generator_alone() -> None:
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    first, second = (check_module(plants.DataGate, checks=QUICK).as_dict() for _ in range(2))
    assert first == second
    assert torch.equal(torch.random.get_rng_state(), before)


def test_options_are_those_of_the_constructor() -> None:
    report = check_module(plants.Good, options={"reducton": 4}, checks=["shape"])
    assert report.row("builds").status == "fail" and "YG227" in report.row("builds").reason()


@pytest.mark.parametrize(
    ("module", "code"),
    [
        ("nothing_there", "YG201"),
        ("concat", "YG218"),
        ("no.py::X", "YG220"),
        (f"{FILE}::Nobody", "YG222"),
        ("", "YG112"),
    ],
)
def test_what_cannot_be_examined_is_one_error(module: str, code: str) -> None:
    with pytest.raises((ModuleError, SpecError)) as caught:
        check_module(module)
    assert caught.value.code == code


def test_an_unknown_check_is_refused() -> None:
    with pytest.raises(ModuleError, match=r"YG219.*shapes"):
        check_module("se", checks=["shapes"])


def test_every_sentence_exists_in_both_languages() -> None:
    for table in (NAMES, REASONS, FIXES):
        for english, chinese in table.values():
            assert english and chinese
    assert FIXES.keys() <= REASONS.keys() and CHECKS.keys() <= NAMES.keys()
    report = check_module(plants.WrongChannels, checks=["shape"])
    assert "实际 32 个通道" in report.text("zh") and report.row("shape").fix("zh")
    # Placeholders are the same on both sides, or one language would raise where the other speaks.
    for key in REASONS:
        for pair in (REASONS[key], FIXES.get(key, ("", ""))):
            assert set(_places(pair[0])) >= set(_places(pair[1])), key


def _places(sentence: str) -> list[str]:
    from string import Formatter

    return [name for _, name, _, _ in Formatter().parse(sentence) if name]


def test_a_reason_stays_in_one_line() -> None:
    row = Row("runs", failed("raises", error="a\nb " * 300))
    assert "\n" not in row.reason() and len(row.reason()) <= 240
    assert "a b" in Report("x", (row,)).text()
