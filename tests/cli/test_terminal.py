"""What a stranger's text may do to a terminal: be read, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from yolograft.cli.app import run
from yolograft.cli.progress import TerminalProgress
from yolograft.cli.terminal import plain_table, print_json, printable, say
from yolograft.data.licence import stated_licences

# Colours, a window title, a C1 introducer, a line that runs backwards, a bell.
HOSTILE = "a\x1b[31mb\x1b]0;title\x07c\x9b2Jd\u202ee\x7f\rf"


def test_no_letter_moves_the_cursor() -> None:
    assert printable(HOSTILE).isprintable() and printable("one\ntwo") == "one\ntwo"
    assert printable("真涨点 é") == "真涨点 é" and printable("a\udcffb") == "a\\udcffb"


def test_every_way_out_is_plain(capsys: pytest.CaptureFixture[str]) -> None:
    say(HOSTILE)
    plain_table([HOSTILE], [[HOSTILE]])
    TerminalProgress().note(HOSTILE)
    assert run(["eval", f"{HOSTILE}.pt"]) == 2
    out, err = capsys.readouterr()
    assert all(line.isprintable() for line in (out + err).split("\n"))


def test_json_gives_the_very_letters_and_plain_bytes(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({HOSTILE: [HOSTILE, "真涨点"]})
    out = capsys.readouterr().out
    assert json.loads(out) == {HOSTILE: [HOSTILE, "真涨点"]}
    assert all(line.isprintable() for line in out.split("\n"))


@pytest.mark.parametrize("text", ["CC-BY [/b]", "MIT [year]", "[red]x[/red]", "[link=a]b"])
def test_brackets_in_a_table_are_brackets(capsys: pytest.CaptureFixture[str], text: str) -> None:
    plain_table([text, "n"], [[text, 1], [None, 2]])
    out = capsys.readouterr().out
    assert out.count(text) == 2 and [line.split()[-1] for line in out.splitlines()] == ["n", "1", "2"]


def test_a_licence_is_read_without_its_control_letters(tmp_path: Path) -> None:
    (tmp_path / "LICENSE").write_text("My \x1b[2Jlicence\x07 \x9b1m\n", encoding="utf-8")
    (tmp_path / "README.md").write_text("License: CC \x1b]0;x\x07BY\n", encoding="utf-8")
    (tmp_path / "data.yaml").write_text(
        'train: a\nval: a\nnames: [x]\nlicense: "free \\e[31m"\n', encoding="utf-8"
    )
    found = stated_licences(str(tmp_path)) or ()
    assert len(found) == 3 and all(item.text.isprintable() for item in found), found
