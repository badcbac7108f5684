"""What a dataset folder states about its licence, wherever it says so; silence stays silence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yolograft.data.licence import LONGEST, Statement, stated_licences

MIT = "MIT License\n\nCopyright (c) 2017\n\nPermission is hereby granted, free of charge, to any person"
APACHE = "\n              Apache License\n              Version 2.0, January 2004\n"
GPL = "        GNU GENERAL PUBLIC LICENSE\n        Version 3, 29 June 2007\n"
AGPL = "        GNU AFFERO GENERAL PUBLIC LICENSE\n        Version 3, 19 November 2007\n"
BSD = "BSD 3-Clause License\n\nRedistribution and use in source and binary forms, with or without"
COCO = {"images": [], "annotations": [], "categories": []}


def said(folder: Path | str) -> list[tuple[str, str]]:
    found = stated_licences(str(folder))
    assert found is not None
    return [(item.text, item.file) for item in found]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (MIT, "MIT"),
        (APACHE, "Apache-2.0"),
        (BSD, "BSD"),
        (AGPL, "AGPL-3.0"),
        # Its section 13 names the other one.
        (GPL + "Use with the GNU Affero General Public License\n Version 3.", "GPL-3.0"),
        ("Creative Commons Legal Code\n\nCC0 1.0 Universal\n", "CC0-1.0"),
        ("\n\nAttribution 4.0 International\n\n====", "Attribution 4.0 International"),
        ("\ufeff仅供研究使用\n", "仅供研究使用"),
    ],
)
@pytest.mark.parametrize("file", ["LICENSE", "LICENCE.txt", "license.md", "COPYING", "LICENSE-images"])
def test_a_licence_file_is_known_by_its_words(text: str, name: str, file: str, tmp_path: Path) -> None:
    (tmp_path / file).write_text(text, encoding="utf-8")
    assert said(tmp_path) == [(name, file)]


@pytest.mark.parametrize(
    ("text", "licence"),
    [
        ("Provided by a Roboflow user\nLicense: CC BY 4.0\n", "CC BY 4.0"),
        ("- **Licence:** CC BY-NC 4.0\n", "CC BY-NC 4.0"),
        ("| License | : MIT |\n", "MIT"),
        ("# Set\n\n## License\n\nCC BY-SA 4.0, see below.\n", "CC BY-SA 4.0, see below."),
        ("许可证：仅限学术研究\n", "仅限学术研究"),
        ("## 许可证\n\nCC BY 4.0\n", "CC BY 4.0"),
    ],
)
def test_a_readme_is_read_for_its_licence(text: str, licence: str, tmp_path: Path) -> None:
    (tmp_path / "README.dataset.txt").write_text(text, encoding="utf-8")
    assert said(tmp_path) == [(licence, "README.dataset.txt")]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Images of cells.\n",
        "The licence plates are blurred.\n",
        "## License\n\n## Citation\n",
        "licence:\n",
    ],
)
def test_silence_is_not_a_licence(text: str, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(text, encoding="utf-8")
    (tmp_path / "LICENSE").write_bytes(b"")
    (tmp_path / "licence.png").write_bytes(b"\x89PNG")
    assert said(tmp_path) == []


def test_every_place_speaks_and_contradictions_stay(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text(
        "train: images\nnames: [a]\nlicense: AGPL-3.0\nroboflow: {license: CC BY 4.0}\n", encoding="utf-8"
    )
    (tmp_path / "LICENSE").write_text(MIT, encoding="utf-8")
    (tmp_path / "readme.md").write_text("License: research only\n", encoding="utf-8")
    listed = [{"id": 1, "name": "Public Domain"}, {"id": 2, "url": "https://x.invalid/"}, {"id": 3}, 4]
    for split in ("train", "val"):
        (tmp_path / split).mkdir()
        text = json.dumps({"info": {}, "licenses": listed, **COCO})
        (tmp_path / split / "_annotations.coco.json").write_text(text, encoding="utf-8")
    every = [
        ("AGPL-3.0", "data.yaml"),
        ("CC BY 4.0", "data.yaml"),
        ("MIT", "LICENSE"),
        ("research only", "readme.md"),
        ("Public Domain; https://x.invalid/", "train/_annotations.coco.json"),
    ]
    assert said(tmp_path) == every
    # A file of the set stands for it.
    assert said(tmp_path / "data.yaml") == every[:4]
    assert said(tmp_path / "train" / "_annotations.coco.json") == every[2:]


def test_a_split_of_ones_own_speaks_for_its_source(tmp_path: Path) -> None:
    source, own = tmp_path / "cells", tmp_path / "own"
    source.mkdir()
    own.mkdir()
    (source / "LICENSE").write_text(MIT, encoding="utf-8")
    document = {"yolograft": "split", "source": str(source), "splits": {"train": []}}
    (own / "split.json").write_text(json.dumps(document), encoding="utf-8")
    assert said(own) == [("MIT", "LICENSE")]


def test_what_is_gone_is_not_silent(tmp_path: Path) -> None:
    assert stated_licences(str(tmp_path / "nowhere")) is None
    assert stated_licences(str(tmp_path)) == ()


def test_long_words_are_shortened(tmp_path: Path) -> None:
    (tmp_path / "LICENSE").write_text("word " * 100, encoding="utf-8")
    (text, _) = said(tmp_path)[0]
    assert len(text) <= LONGEST and text.endswith("...")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("data.yaml", "names: [a]\ntrain: x\nlicense: [1, {2: 3}]\nroboflow: 5\n"),
        ("data.yaml", "names: train: [}"),
        ("a.json", '{"images": [], "annotations": [], "categories": [], "licenses": [' + "[" * 100_000),
        ("a.json", '{"images": [], "annotations": [], "categories": [], "licenses": 3}'),
        ("a.json", '{"images": [], "annotations": [], "categories": [], "licenses": [{"name": ' + "1" * 9999),
    ],
)
def test_a_faulty_document_states_nothing(file: str, text: str, tmp_path: Path) -> None:
    (tmp_path / file).write_text(text, encoding="utf-8")
    assert said(tmp_path) == []


def test_blank_lines_without_end_take_no_time(tmp_path: Path) -> None:
    for name, text in (("README.md", "\n" * 200_000), ("README.txt", "#" * 200_000 + "license"),
                       ("README.rst", "## license\n" * 20_000 + "\n" * 100_000)):  # fmt: skip
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert said(tmp_path) == []


@settings(max_examples=60)
@given(st.binary(max_size=300), st.sampled_from(["README.md", "LICENSE", "data.yaml", "a.json"]))
def test_no_bytes_raise(tmp_path_factory: pytest.TempPathFactory, data: bytes, name: str) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / name).write_bytes(b'names: train "images" "annotations" "categories" "licenses": [' + data)
    found = stated_licences(str(folder))
    assert found is None or all(isinstance(item, Statement) and item.text for item in found)


@pytest.mark.datasets
@pytest.mark.parametrize(
    ("name", "words", "file"),
    [
        ("bccd", "MIT", "LICENSE"),
        ("aerial_cars", "CC BY-SA", "LICENSE.txt"),
        ("chess", "Public Domain", "test/_annotations.coco.json"),
        ("deeppcb", "MIT", "derived_coco/test.json"),
        ("coco_cc_mini", "CC BY 4.0", "README.md"),
    ],
)
def test_real_sets(name: str, words: str, file: str, shared_datasets: Path) -> None:
    assert any(words in text and where == file for text, where in said(shared_datasets / name))
