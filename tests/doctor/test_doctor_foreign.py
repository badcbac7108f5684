"""The table over a foreign package: its tool, and the two pages it wrote."""

from __future__ import annotations

import importlib.util
import re
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest

from yolograft.doctor.report import Report, Row, passed, warned

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    """`tools/foreign_modules.py` as a module."""
    import sys

    spec = importlib.util.spec_from_file_location("foreign_modules", ROOT / "tools" / "foreign_modules.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look a class's module up by name
    spec.loader.exec_module(module)
    return module


def test_both_pages_hold_every_module_once(tool: ModuleType) -> None:
    for name in ("fightingcv.md", "fightingcv.zh.md"):
        text = (ROOT / "docs" / name).read_text(encoding="utf-8")
        rows = [row.split("`")[1] for row in text.splitlines() if row.startswith("| `")]
        assert sorted(rows) == sorted(tool.ON_MAPS)
        assert re.search(r"A2Atttention::DoubleAttention.*softmax.*dim=.*YG242", text)


def test_a_module_is_refused_by_the_builder_or_by_a_step_of_training(tool: ModuleType) -> None:
    fine = Report("x", (Row("channels_last", passed("layout_same")),))
    copied = Report("x", (Row("channels_last", warned("contiguous_copy", place="b.py:3")),))
    taken, bad = ("", "", ""), ("YG242 b::C mixes images",) * 3
    good = [
        tool.Trial("a.b::C", "", taken, "", fine),
        tool.Trial("a.b::C", "", ("", "", "YG208 small map"), "", fine),
        tool.Trial("a.b::C", "", taken, "", fine, True),
        tool.Trial("a.b::C", "", taken, "", copied, True),
    ]
    words = ["nothing", "neck.p5: YG208", "gets a contiguous copy", "gets a contiguous copy"]
    for trial, part in zip(good, words, strict=True):
        assert not trial.refused and tool.findings(trial, "en").count(part) == 1
    refused = [
        (tool.Trial("a.b::C", "", bad, "", None), "YG242"),
        (
            tool.Trial("a.b::C", "", taken, "RuntimeError: view", fine),
            "a step of training fails: RuntimeError",
        ),
    ]
    for trial, part in refused:
        assert trial.refused and part in tool.refusal(trial, "en")
    page = tool.page([*good, *(trial for trial, _ in refused)], "zh")
    assert page.count("| `a.b::C` |") == 6 and "4 个可以嫁接，2 个被拒绝" in page


@pytest.mark.parametrize("there", ["", "fightingcv_attention"])
def test_without_what_it_needs_it_says_so_in_one_line(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], there: str
) -> None:
    found = ModuleSpec(there, None, origin="somewhere")
    monkeypatch.setattr(tool.importlib.util, "find_spec", lambda name: found if name == there else None)
    assert tool.main([]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and error.startswith("einops" if there else "fightingcv_attention")
