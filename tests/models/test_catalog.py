from __future__ import annotations

import re

import pytest
from torch import nn

from yolograft.errors import MAX_LINE, ModuleError, SpecError
from yolograft.models.catalog import BY_NAME, ENTRIES, FAMILIES, MODELS, find, split_model_name

KINDS = {"attention", "block", "fusion", "head"}


def test_names_and_aliases_are_unique() -> None:
    names = [name for entry in ENTRIES for name in (entry.name, *entry.aliases)]
    assert len(set(names)) == len(names) == len(BY_NAME)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_every_row_is_whole(entry) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", entry.name)
    assert issubclass(entry.cls, nn.Module) and entry.kind in KINDS
    assert entry.summary and entry.licence
    assert (entry.cls.__doc__ or "").strip()
    if entry.kind == "attention":
        assert re.search(r"arXiv \d{4}\.\d{5}", entry.paper)
        assert entry.cls.__module__.rpartition(".")[2] == entry.name  # one paper, one file of that name


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_every_name_finds_its_row(entry) -> None:
    for name in (entry.name, *entry.aliases, entry.name.upper()):
        if name in BY_NAME or name.lower() in BY_NAME:
            assert find(name) is entry


@pytest.mark.parametrize(
    ("wrong", "near"), [("coord_at", "coord_att"), ("NAMAtention", "NAMAttention"), ("c2", "c2f")]
)
def test_a_wrong_name_offers_the_nearest(wrong: str, near: str) -> None:
    with pytest.raises(ModuleError, match=f"did you mean {near}") as caught:
        find(wrong)
    assert caught.value.code == "YG201" and "coord_att" in caught.value.fix
    assert len(str(caught.value)) <= MAX_LINE


def test_models() -> None:
    assert tuple(f"yolov8{scale}" for scale in "nsmlx") == MODELS
    family, scale = split_model_name("yolov8x")
    assert family is FAMILIES["yolov8"] and scale == "x"
    assert all(family.model_file.is_file() for family in FAMILIES.values())
    for wrong in ("yolov8", "yolov8q", "yolov8nn", "v8n", "", "YOLOV8N"):
        with pytest.raises(SpecError) as caught:
            split_model_name(wrong)
        assert caught.value.code == "YG106" and "yolov8n" in caught.value.fix
