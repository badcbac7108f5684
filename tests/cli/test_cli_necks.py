"""Necks on the command line: shown, drawn, and told where they cannot start as the identity."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def test_a_neck_is_shown_and_all_of_them_drawn(command: Any, tmp_path: Path) -> None:
    file = tmp_path / "deep" / "necks.svg"
    words = ("show", "yolox-nano", "--imgsz", 64, "--neck-figure", file, "--graft")
    answer = command(*words, "neck:bifpn:init=identity")
    assert answer.code == 0 and "+ neck.td4.fuse: bifpn_add" in answer.out
    assert "identity start: none. another neck or join has no identity form" in answer.out
    assert str(file) in answer.out.replace("\n", "")
    assert all(name in file.read_text(encoding="utf-8") for name in ("pan", "fpn", "bifpn", "dualpath"))


def test_a_wrong_neck_is_told_in_one_line(command: Any) -> None:
    answer = command("show", "yolox-nano", "--graft", "neck:bifpm")
    assert answer.code == 2 and "YG180" in answer.err and "did you mean bifpn" in answer.err
