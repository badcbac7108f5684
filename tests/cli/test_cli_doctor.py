"""`yolograft doctor`: one table, and an exit code that says whether something failed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from yolograft.doctor import environment, examine
from yolograft.doctor.machine import Facts, TorchFacts

MODULES = """
import torch
from torch import nn


class Fine(nn.Module):
    def __init__(self, in_channels, *, k=3):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, in_channels, k, padding=k // 2)

    def forward(self, x):
        print("a stranger's print")
        return x + self.conv(x)


class Odd(nn.Module):
    def __init__(self, in_channels, **kwargs):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, in_channels, 3, padding=1)

    def forward(self, x):
        return x + self.conv(x).softmax(0)


class Still(Fine):
    def __init__(self, in_channels):
        super().__init__(in_channels)
        self.requires_grad_(False)
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with my_att.py, made the current one; compilers and exporters left out."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_att.py").write_text(MODULES, encoding="utf-8")
    for name in examine.SLOW:
        monkeypatch.delitem(examine.CHECKS, name)
    return tmp_path


def test_a_fine_module_is_one_table_and_exit_0(command: Any) -> None:
    answer = command("doctor", "my_att.py::Fine:k=5", "--channels", 16)
    assert answer.code == 0 and answer.err == "" and "stranger" not in answer.out
    assert "my_att.py::Fine:k=5, 16 channels: 23 passed, 0 with a warning, 0 failed" in answer.out
    assert "FAIL" not in answer.out and "Fine(in_channels=16, k=5)" in answer.out


def test_what_fails_is_said_with_its_fix_and_exit_2(command: Any) -> None:
    answer = command("doctor", "my_att.py::Odd")
    assert answer.code == 2 and answer.err == ""
    assert "an output changes by" in answer.out and "swallows" in answer.out
    assert "what to do (images independent in eval): keep dimension 0 out" in answer.out
    chinese = command("doctor", "my_att.py::Odd", "--lang", "zh")
    assert chinese.code == 2 and "失败" in chinese.out and "怎么改" in chinese.out


def test_json_is_one_document_with_stable_keys(command: Any) -> None:
    answer = command("doctor", "my_att.py::Odd", "--json", "--lang", "zh")
    assert answer.code == 2 and answer.json["passed"] is False
    rows = {row["check"]: row for row in answer.json["checks"]}
    assert list(rows) == list(examine.CHECKS)
    assert rows["batch"]["status"] == "fail" and rows["batch"]["key"] == "batch_mixed"
    assert "同批图片" in rows["batch"]["reason"]


@pytest.mark.parametrize(
    ("module", "code"),
    [("my_att.py::Nobody", "YG222"), ("sea", "YG201"), ("se:reducton", "YG116"), ("se+eca", "YG112")],
)
def test_a_module_that_is_not_there_is_one_line(command: Any, module: str, code: str) -> None:
    answer = command("doctor", module)
    assert answer.code == 2 and answer.out == "" and answer.err.startswith(f"{code} ")
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize("module", ["se@neck.p3", "", "  ", "my_att.py::Fine@neck.p3"])
def test_a_site_has_no_place_here(command: Any, module: str) -> None:
    answer = command("doctor", module)
    assert answer.code == 2 and answer.out == ""
    assert answer.err.startswith("YG112 ") and "no site here" in answer.err and "@here" not in answer.err


def test_a_warning_is_not_counted_as_passed(command: Any) -> None:
    answer = command("doctor", "my_att.py::Still")
    assert answer.code == 0 and "22 passed, 1 with a warning, 0 failed" in answer.out
    assert "注意 1 项" in command("doctor", "my_att.py::Still", "--lang", "zh").out


def test_alone_it_examines_the_machine(command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = Facts(
        (3, 11, 7), ">=3.11", TorchFacts("2.15.0"), ("opencv-python-headless",), "", {}, (), None, 1
    )
    monkeypatch.setattr(environment, "look", lambda folder: facts)
    answer = command("doctor")
    assert answer.code == 0 and "sudo apt install fonts-noto-cjk" in answer.out
    two = replace(facts, opencv=("opencv-python", "opencv-python-headless"))
    monkeypatch.setattr(environment, "look", lambda folder: two)
    answer = command("doctor", "--json")
    assert answer.code == 3
    assert [row["key"] for row in answer.json["checks"] if row["status"] == "fail"] == ["two_opencv"]
