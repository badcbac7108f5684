"""YAML made to choke or to trick a reader is one line with its place, at once."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from index_files import V8

from yolograft.errors import MAX_LINE, SpecError
from yolograft.graph.dialect.nodes import parse_nodes
from yolograft.graph.dialect.read import read_index_file

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
HOSTILE = {
    "aliases that multiply": (BOMB, 1),
    "a merge key": ("base: &b {nc: 3}\nmodel:\n  <<: *b\n", 1),
    "deep lists": ("nc: 3\na: " + "[" * 100_000, 2),
    "deep mappings": ("a: " + "{a: " * 100_000, 1),
    "a python object": ("nc: 1\na: !!python/object/apply:os.system ['true']\n", 2),
    "a tag": ("nc: !!int 3\n", 1),
    "an endless value": ("nc: " + "x" * 500_000, 1),
    "many values": ("a:\n" + "- 1\n" * 100_000, None),
    "a tab": ("nc: 3\nbackbone:\n\t- [-1, 1, Conv, [64]]\n", 3),
    "a zero byte": ("nc: 3\n\x00", 2),
    "an open bracket": ("nc: 3\nbackbone: [[-1, 1\n", None),
    "an open quote": ("nc: 'x\n", None),
    "a key twice": ("nc: 3\nnc: 4\n", 2),
    "a key twice in a scale": ("scales:\n  n: [1, 1]\n  n: [2, 2]\n", 3),
    "a key that is a list": ("? [1, 2]\n: 3\n", 1),
    "two documents": ("nc: 1\n---\nnc: 2\n", 1),
    "a number without end": ("nc: 3\na: [1024, 3, 1e999]\n", 2),
    "bad indentation": ("nc: 1\n  scales: 3\n", None),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_text_is_one_line_at_once(case: str) -> None:
    text, line = HOSTILE[case]
    start = time.process_time()
    with pytest.raises(SpecError, match="YG140") as caught:
        parse_nodes(text, name="my.yaml")
    assert time.process_time() - start < 10
    assert caught.value.where.startswith("my.yaml:") and len(caught.value.line()) <= MAX_LINE
    if line:
        assert caught.value.where == f"my.yaml:{line}"


@pytest.mark.parametrize(
    ("data", "where"),
    [
        (V8.encode() + "# 通道".encode("gb18030"), "my.yaml:33"),
        (b"\xff\xfe" + V8.encode("utf-16-le"), "my.yaml:1"),
        (b"#" * (2**20 + 1), "my.yaml"),
        (b"\x80\x81", "my.yaml:1"),
    ],
    ids=["GB18030", "UTF-16", "a megabyte and more", "bytes"],
)
def test_files_that_are_no_utf8_or_too_large(tmp_path: Path, data: bytes, where: str) -> None:
    file = tmp_path / "my.yaml"
    file.write_bytes(data)
    with pytest.raises(SpecError, match="YG140") as caught:
        read_index_file(file)
    assert caught.value.where == where


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(SpecError, match="YG140"):
            read_index_file(path)


def test_words_are_read_by_their_form() -> None:
    text = (
        "a: [1, -2, 1.5, 1.0e-3, .5, True, false, None, ~, null, '1', nc, 010, 1_000, 0x10, .inf, yes, 1e9]"
    )
    assert parse_nodes(text, name="").plain()["a"] == [
        *(
            1,
            -2,
            1.5,
            1e-3,
            0.5,
            True,
            False,
            None,
            None,
            None,
            "1",
            "nc",
            10,
            "1_000",
            "0x10",
            ".inf",
            "yes",
        ),
        1e9,
    ]
