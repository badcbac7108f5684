"""What a forward leaves behind, hides, or only shows in a run: each found by its row, with its reason."""

from __future__ import annotations

import planted_defects
import planted_effects as plants
import pytest
import torch
from torch import nn

from yolograft.doctor import check_module
from yolograft.doctor.examine import CHECKS, SLOW

QUICK = [name for name in CHECKS if name not in SLOW]
# class, row, status, key, words of the reason, and other rows that do not pass because of it.
FOUND: list[tuple[type[nn.Module], str, str, str, str, set[str]]] = [
    (plants.Table, "large", "fail", "size_fails", "[1, 64, 80, 80]", set()),
    (plants.Starved, "large", "skipped", "no_memory", "80x80 needs more memory", set()),
    (plants.InObject, "registered", "fail", "hidden", "box.weight", {"device"}),
    (plants.InClosure, "registered", "fail", "hidden", "gate.weight", {"device"}),
    (plants.OutOfSight, "registered", "fail", "hidden", "Parameter [64, 1, 1]", {"device"}),
    (plants.StoresMap, "nothing_left", "warn", "graph_kept", "last keeps the graph", set()),
    (plants.WeightNorm, "nothing_left", "fail", "copy_fails", "deepcopy", set()),
    (plants.SpectralNorm, "nothing_left", "warn", "copy_later", "deepcopy", set()),
    (plants.FlipsMode, "nothing_left", "fail", "mode_changed", "norm has another mode", set()),
    (plants.RunningInEval, "nothing_left", "fail", "buffers_change", "writes into mean", {"derivative"}),
    (plants.Reseeds, "nothing_left", "fail", "reseeds", "torch.manual_seed", set()),
    (plants.LossOfCells, "nothing_left", "fail", "loss_no_scalar", "[2, 1, 16, 16]", set()),
    (plants.LossIsFloat, "nothing_left", "fail", "loss_no_scalar", "returns float", set()),
    (plants.LossIsNone, "nothing_left", "fail", "loss_no_scalar", "returns NoneType", set()),
    (plants.Frozen, "gradient", "warn", "frozen", "all 2 parameter tensors are frozen", set()),
    (plants.StraightThrough, "derivative", "warn", "substitute", "conv.weight, conv.bias", set()),
    (planted_defects.Views, "channels_last", "warn", "contiguous_copy", "planted_defects.py:", set()),
    (plants.ViewsItsOwn, "channels_last", "warn", "contiguous_copy", "planted_effects.py:", set()),
    (plants.ViewsWhenTraining, "channels_last", "fail", "layout_fails", "view", set()),
]


@pytest.mark.parametrize(
    ("cls", "check", "status", "key", "words", "along"), FOUND, ids=lambda v: getattr(v, "__name__", "")
)
def test_it_is_found_by_its_own_row(
    cls: type[nn.Module], check: str, status: str, key: str, words: str, along: set[str]
) -> None:
    report = check_module(cls, checks=QUICK)
    row = report.row(check)
    assert (row.status, row.key) == (status, key), report.text()
    assert words in row.reason() and row.reason("zh"), row.reason()
    assert status == "skipped" or (row.fix() and row.fix("zh"))
    assert {other.name for other in report.rows if other.status != "pass"} <= {check, *along}, report.text()


@pytest.mark.parametrize(
    "cls",
    [plants.StoresPicture, plants.NewNorms, plants.Drops, plants.FixedBlur, plants.Experts, plants.Reads],
)
def test_what_is_right_passes_every_quick_check(cls: type[nn.Module]) -> None:
    report = check_module(cls, checks=QUICK)
    assert {row.status for row in report.rows} == {"pass"}, report.text()


def test_a_loss_that_needs_a_box_fails_where_there_is_none() -> None:
    row = check_module(plants.NoBoxes, checks=["nothing_left"]).row("nothing_left")
    assert row.key == "raises" and "IndexError" in row.reason() and "planted_effects.py:" in row.reason()


def test_a_reference_cycle_in_a_plain_object_ends() -> None:
    class Round(plants.InObject):
        def __init__(self, in_channels: int) -> None:
            super().__init__(in_channels)
            self.box.__dict__["me"] = self.box
            self.box.__dict__["owner"] = self

    row = check_module(Round, checks=["registered"]).row("registered")
    assert row.key == "hidden" and "box.weight" in row.reason()
    assert torch.is_grad_enabled()
