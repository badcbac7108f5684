from __future__ import annotations

from pathlib import Path

import pytest

from yolograft.errors import MAX_LINE, SpecError
from yolograft.graph.zoofile import read_model_file, scaled_channels

HEAD = """# A model file.
family: toy
scales:
  n: {depth: 0.33, width: 0.25, max_channels: 1024}
  x: {depth: 1.0, width: 1.25, max_channels: 512}
layers:
  - {name: stem, module: conv, channels: 64, args: {kernel: 3, stride: 2}, site: stem}
"""


def written(folder: Path, rows: str, head: str = HEAD) -> Path:
    path = folder / "toy.yaml"
    path.write_text(head + rows, encoding="utf-8")
    return path


def test_a_file_becomes_a_spec(tmp_path: Path) -> None:
    rows = """  - name: deep
    module: c2f
    channels: 1024
    repeats: 6
    args: {shortcut: true, ratio: .5, word: hard, sizes: [3, 5]}
    site: [backbone.p2, backbone.p3]
  - {name: out, module: concat, from: [deep, stem]}
"""
    spec = read_model_file(written(tmp_path, rows), "n", 7)
    assert (spec.name, spec.num_classes) == ("toy-n", 7)
    stem, deep, out = spec.layers
    assert stem.inputs == ("image",) and deep.inputs == ("stem",) and out.inputs == ("deep", "stem")
    assert dict(stem.args) == {"kernel": 3, "stride": 2, "out_channels": 16}
    expected = {
        "shortcut": True,
        "ratio": 0.5,
        "word": "hard",
        "sizes": (3, 5),
        "out_channels": 256,
        "repeats": 2,
    }
    assert dict(deep.args) == expected
    # ruamel's own number types must not get into a spec that is stored and hashed.
    assert {type(v) for v in dict(deep.args).values()} == {bool, float, str, tuple, int}
    assert spec.sites == (("stem", "stem"), ("backbone.p2", "deep"), ("backbone.p3", "deep"))
    wide = read_model_file(written(tmp_path, rows), "x", 7)
    assert dict(wide.layers[1].args)["out_channels"] == 640 and dict(wide.layers[1].args)["repeats"] == 6


@pytest.mark.parametrize(
    ("channels", "width", "scaled"),
    [(64, 0.25, 16), (64, 0.3, 24), (8, 0.25, 8), (512, 1.25, 640), (100, 1.0, 104)],
)
def test_channels_round_up_to_eight(channels: int, width: float, scaled: int) -> None:
    assert scaled_channels(channels, width) == scaled


@pytest.mark.parametrize("repeats", [1, 2, 3, 6])
def test_repeats_never_fall_below_one(tmp_path: Path, repeats: int) -> None:
    path = written(tmp_path, f"  - {{name: a, module: c2f, channels: 8, repeats: {repeats}}}\n")
    assert dict(read_model_file(path, "n", 1).layers[1].args)["repeats"] == {1: 1, 2: 1, 3: 1, 6: 2}[repeats]


def test_an_unknown_scale_lists_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        read_model_file(written(tmp_path, ""), "q", 3)
    assert caught.value.code == "YG130" and caught.value.fix == "scales: n, x"


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("{module: conv}", "name and module"),
        ("{name: a}", "name and module"),
        ("just text", "name and module"),
        ("[a, conv]", "name and module"),
        ("{name: a, module: conv, chanels: 8}", "'chanels'"),
        ("{name: a, module: conv, channels: wide}", "channels: 'wide'"),
        ("{name: a, module: conv, channels: 0}", "channels: 0"),
        ("{name: a, module: conv, channels: true}", "channels: True"),
        ("{name: a, module: c2f, repeats: 1.5}", "repeats: 1.5"),
        ("{name: a, module: conv, args: {kernel: {x: 1}}}", "neither a number nor text"),
        ("{name: a, module: conv, args: {kernel: null}}", "neither a number nor text"),
        ("{name: a, module: conv, args: [3]}", "no mapping"),
        ("{name: stem, module: conv}", "'stem' is taken"),
        ("{name: image, module: conv}", "'image' is taken"),
        ("{name: a, module: conv, from: b}", "reads 'b'"),
        ("{name: a, module: concat, from: [stem, a]}", "reads 'a'"),
    ],
)
def test_a_wrong_row_gives_file_and_line(tmp_path: Path, row: str, words: str) -> None:
    fine = "  - {name: fine, module: conv, from: stem}\n"
    for before, line in (("", 8), (fine + "  # a comment\n\n", 11)):
        with pytest.raises(SpecError) as caught:
            read_model_file(written(tmp_path, f"{before}  - {row}\n"), "n", 3)
        error = caught.value
        assert error.code == "YG131" and error.where == f"toy.yaml:{line}"
        assert words in error.cause and len(str(error)) <= MAX_LINE
