"""`yolograft check`: findings, exit codes, JSON, and the fixed file beside the user's own."""

from __future__ import annotations

import json
import os
import shutil
import threading
from pathlib import Path

import pytest

from conftest import Command
from yolograft.doctor import index_check
from yolograft.graph.dialect.nodes import parse_nodes

SEEDS = Path(__file__).resolve().parents[1] / "seeds"


@pytest.fixture
def third(tmp_path: Path) -> Path:
    """The third post's file in a folder of its own."""
    return Path(shutil.copy(SEEDS / "seed_003_double_attention.yaml", tmp_path / "my_model.yaml"))


def test_a_clean_file_says_so_with_its_sites(command: Command) -> None:
    answer = command("check", SEEDS / "stock_yolov8.yaml")
    assert answer.code == 0
    assert "0 to change, 0 noted" in answer.out and "nothing to change" in answer.out
    assert "sites: stem 0, backbone.p2 2" in answer.out and "neck.p5 21" in answer.out


def test_findings_stand_line_by_line_and_in_the_table(command: Command, third: Path) -> None:
    answer = command("check", third)
    assert answer.code == 2 and answer.err == ""
    lines = [line for line in answer.out.splitlines() if line.startswith("YG")]
    assert [line.split()[0] for line in lines] == ["YG155", "YG161", "YG167", "YG150", "YG152"]
    assert all(len(line) <= 240 and " -> " in line and "my_model.yaml:" in line for line in lines)
    assert any("your own" in line and "YG155 YG161 YG167" in line for line in answer.out.splitlines())
    assert not list(third.parent.glob("*fixed*"))


def test_json_holds_rows_findings_and_sites(command: Command, third: Path) -> None:
    answer = command("check", third, "--json", "--lang", "zh").json
    assert not answer["clean"] and answer["stock"] == "yolov8" and answer["scale"] == "n"
    assert answer["rows"][3] == {
        **{"row": 3, "line": 12, "module": "DoubleAttentionLayer", "reads": [2]},
        **{"stands_for": None, "stock_row": None},
    }
    assert {finding["code"] for finding in answer["findings"]} >= {"YG150", "YG152", "YG161"}
    assert "位置信息" in next(f["why"] for f in answer["findings"] if f["code"] == "YG161")
    assert answer["sites"]["backbone.p2"] == 3


def test_fix_writes_beside_the_file_and_never_over_one(command: Command, third: Path) -> None:
    before = third.read_text(encoding="utf-8")
    first = command("check", third, "--fix")
    fixed = third.with_name("my_model.fixed.yaml")
    assert "+  - [[-1, 7], 1, Concat, [1]]" in first.out and f"wrote {fixed}: 0 to change" in first.out
    text = fixed.read_text(encoding="utf-8")
    assert text.startswith("nc: 80\nscales:\n") and third.read_text(encoding="utf-8") == before
    assert command("check", fixed).code == 0
    again = command("check", third, "--fix", "--json").json
    assert again["fixed"].endswith("my_model.fixed-2.yaml") and again["left"] == []
    assert fixed.read_text(encoding="utf-8") == text


def test_nothing_to_fix_writes_nothing(command: Command, tmp_path: Path) -> None:
    file = Path(shutil.copy(SEEDS / "stock_yolov8.yaml", tmp_path))
    assert "nothing written" in command("check", file, "--fix").out
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("Detect, [nc]", "Segment, [nc, 32, 256]", "head"),
        ("[[15, 18, 21], 1, Detect, [nc]]", "[[15, 18, 21], 1, Nobody, [nc]]\n  - [21, 1, SE, []]", ""),
        ("nc: 80", "{nc: 80", "style"),
    ],
)
def test_why_nothing_was_written_is_said(
    command: Command, tmp_path: Path, old: str, new: str, reason: str
) -> None:
    text = (SEEDS / "stock_yolov8.yaml").read_text(encoding="utf-8").replace("[-1, 12]", "[-1, 11]")
    if reason == "style":
        plain = {key: node.plain() for key, node in parse_nodes(text, name="my.yaml").value.items()}
        text = json.dumps(plain)
    file = tmp_path / "my.yaml"
    file.write_text(text.replace(old, new), encoding="utf-8")
    answer = command("check", file, "--fix", "--json").json
    assert answer.get("reason", "") == reason
    assert (answer["fixed"] is None) == bool(reason) == (not list(tmp_path.glob("*.fixed.yaml")))
    assert ("nothing written" in command("check", file, "--fix").out) == bool(reason)


def test_a_fix_that_would_bring_new_findings_is_not_written(
    command: Command, third: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def worse(checked: index_check.IndexCheck) -> str:
        return checked.text.replace("Conv, [128, 3, 2]", "Nobody, [128, 3, 2]")

    monkeypatch.setattr(index_check, "fixed_text", worse)
    assert "findings that yours have not" in command("check", third, "--fix").out
    assert not list(third.parent.glob("*fixed*"))


def test_a_scale_behind_the_name_and_a_file_that_can_be_read_once(command: Command, tmp_path: Path) -> None:
    stock = SEEDS / "stock_yolov8.yaml"
    assert command("check", f"{stock}:s", "--json").json["scale"] == "s"
    assert "YG130" in command("check", f"{stock}:q").err
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(stock.read_bytes(),), daemon=True)
    writer.start()
    assert "0 to change" in command("check", pipe).out
    writer.join(timeout=5)


def test_a_class_is_imported_only_where_it_is_named(command: Command, tmp_path: Path) -> None:
    code = tmp_path / "att.py"
    code.write_text(
        "from pathlib import Path\nfrom torch import nn\nPath(__file__).with_suffix('.ran').touch()\n"
        "class MyAtt(nn.Module):\n    def __init__(self, channels):\n        super().__init__()\n"
        "        self.conv = nn.Conv2d(channels, channels, 1)\n    def forward(self, x):\n"
        "        return x + self.conv(x)\n",
        encoding="utf-8",
    )
    stock = (SEEDS / "stock_yolov8.yaml").read_text(encoding="utf-8")
    file = tmp_path / "own.yaml"
    text = stock.replace("  - [[15, 18, 21]", "  - [-1, 1, MyAtt, []]\n  - [[15, 18, 22]")
    file.write_text(text, encoding="utf-8")
    answer = command("check", file)
    assert answer.code == 2 and "YG154" in answer.out and "--code my_att.py with class MyAtt" in answer.out
    assert not code.with_suffix(".ran").exists()
    answer = command("check", file, "--code", code)
    assert answer.code == 0 and code.with_suffix(".ran").exists(), answer.out


@pytest.mark.parametrize(
    "text", ["", "nc: [", "nc: 3\nbackbone: 5\nhead: 6\n", "!!python/object:os.system {}\n"]
)
def test_what_is_no_model_file_is_one_line(command: Command, tmp_path: Path, text: str) -> None:
    file = tmp_path / "no.yaml"
    file.write_text(text, encoding="utf-8")
    answer = command("check", file)
    assert answer.code == 2 and answer.err.count("\n") == 1 and answer.err.startswith("YG14")
