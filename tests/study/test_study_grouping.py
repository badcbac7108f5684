"""Images that belong together: what a rule makes of paths, and what is refused."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_study_verdicts import planned

from yolograft.errors import DataError, StudyError
from yolograft.study.planning.grouping import FEWEST_GROUPS, group_facts, group_images, group_line, groups_of
from yolograft.study.planning.manifest import read_manifest

PATHS = ("val/a/cam_1_0001.jpg", "val/a/cam_1_0002.jpg", "val/b/cam_2_0001.jpg", "val/b/single.jpg")


def records(*paths: str) -> Any:
    return [SimpleNamespace(image_id=path) for path in paths]


@pytest.mark.parametrize(
    ("rule", "names"),
    [
        ("folder", ("val/a", "val/a", "val/b", "val/b")),
        ("prefix:5", ("cam_1", "cam_1", "cam_2", "singl")),
        ("prefix:_", ("cam_1", "cam_1", "cam_2", "single.jpg")),
        ("prefix:_0", ("cam_1", "cam_1", "cam_2", "single.jpg")),
    ],
)
def test_rules(rule: str, names: tuple[str, ...]) -> None:
    assert group_images(records(*PATHS), rule) == names


def test_a_table_names_paths_or_file_names(tmp_path: Path) -> None:
    table = tmp_path / "groups.csv"
    rows = ["image,group", f"{PATHS[0]},one", "cam_1_0002.jpg,one", "cam_2_0001.jpg,two", "single.jpg,two"]
    table.write_text("\ufeff" + "\n".join(rows), encoding="utf-8")
    assert group_images(records(*PATHS), str(table)) == ("one", "one", "two", "two")
    facts = group_facts(records(*PATHS), str(table))
    # The folder the table lay in is nobody's business, and it is not needed again.
    assert facts == {"group": "groups.csv", "groups": {"count": 2, "of": "0 0 1 1"}}


@pytest.mark.parametrize(
    "text",
    ["image,group\n", "image,group\nsingle.jpg,\n", "name,where\nsingle.jpg,a\n",
     "image,group\nsingle.jpg,a\nsingle.jpg,b\n", "image,group\nsingle.jpg,a\n"],
)  # fmt: skip
def test_tables_that_do_not_fit_are_refused(text: str, tmp_path: Path) -> None:
    table = tmp_path / "groups.csv"
    table.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match="YG641"):
        group_images(records(*PATHS), str(table))
    with pytest.raises(DataError, match="YG641"):
        group_images(records(*PATHS), str(tmp_path / "nowhere.csv"))
    table.write_bytes(b"image,group\n\xff\xfe,a\n")
    with pytest.raises(DataError, match="YG641"):
        group_images(records(*PATHS), str(table))


@pytest.mark.parametrize("rule", ["regex:.*", "prefix:", "prefix", "prefix:a/b", "0", "Folder", "prefix:99x"])
def test_other_rules_are_refused(rule: str) -> None:
    # The last one is a separator that no name holds: every image alone, and so a rule.
    if rule == "prefix:99x":
        assert len(set(group_images(records(*PATHS), rule))) == 4
        return
    with pytest.raises(StudyError, match="YG640"):
        group_images(records(*PATHS), rule)


def test_one_group_is_none() -> None:
    with pytest.raises(StudyError, match=r"YG640.*puts all 3 images into one group"):
        group_images(records("a/1.jpg", "a/2.jpg", "a/3.jpg"), "folder")


@given(st.lists(st.sampled_from("abcdef"), min_size=2, max_size=40).filter(lambda x: len(set(x)) > 1))
def test_what_the_manifest_keeps_is_the_partition(folders: list[str]) -> None:
    facts = group_facts(records(*(f"{name}/{i}.jpg" for i, name in enumerate(folders))), "folder")
    numbers = groups_of(facts)
    assert numbers is not None and len(numbers) == len(folders)
    for i, one in enumerate(folders):
        assert [numbers[j] == numbers[i] for j in range(len(folders))] == [x == one for x in folders]


@pytest.mark.parametrize("of", ["", "0 2", "a b", "-1 0", None])
def test_numbers_that_are_none_are_refused(of: object) -> None:
    with pytest.raises(StudyError, match="YG640"):
        groups_of({"groups": {"count": 2, "of": of}})


def test_few_groups_are_said_to_be_few() -> None:
    few = {"group": "folder", "groups": {"count": FEWEST_GROUPS - 1, "of": ""}}
    assert "this evaluation split only" in group_line(few, 100)
    enough = few | {"groups": {"count": FEWEST_GROUPS, "of": ""}}
    assert group_line(enough, 100) == "100 evaluation images in 20 groups (folder)"
    assert group_line({"group": None, "groups": None}, 100) == ""


def test_a_study_keeps_its_groups(tmp_path: Path) -> None:
    manifest = read_manifest(planned(tmp_path, "se@neck.p3", group="prefix:5"))
    assert manifest["group"] == "prefix:5" and groups_of(manifest) == (0, 1, 2, 3)
    assert groups_of(read_manifest(planned(tmp_path, "se@neck.p3"))) is None
