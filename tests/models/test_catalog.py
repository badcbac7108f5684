from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from yolograft.errors import MAX_LINE, ModuleError, SpecError
from yolograft.models.catalog import BY_NAME, ENTRIES, FAMILIES, find, model_names, split_model_name
from yolograft.models.identity import IdentityStart

KINDS = {"attention", "block", "control", "fusion", "head", "probe"}
ATTENTION = [entry for entry in ENTRIES if entry.kind == "attention"]


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
        assert re.search(r"arXiv \d{4}\.\d{5}|PMLR \d+:\d+-\d+", entry.paper)
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


@pytest.mark.parametrize("entry", ATTENTION, ids=lambda entry: entry.name)
def test_an_identity_start_comes_alive(entry) -> None:
    """A module that is itself the identity at first would keep the scale at zero for ever."""
    torch.manual_seed(0)
    module = IdentityStart(entry.cls(16), in_channels=16).train()
    optimiser = torch.optim.SGD(module.parameters(), lr=0.1)
    x, target = torch.randn(4, 16, 9, 8), torch.randn(4, 16, 9, 8)
    alive: list[set[str]] = []
    for _ in range(2):
        optimiser.zero_grad()
        y = module(x)
        alive.append({"the map"} if torch.equal(y, x) else set())
        (y - target).square().sum().backward()
        grads = {name: p.grad for name, p in module.named_parameters()}
        alive[-1] |= {name for name, grad in grads.items() if grad is not None and bool((grad != 0).any())}
        optimiser.step()
    assert alive == [{"the map", "scale"}, {name for name, _ in module.named_parameters()}]


def test_models() -> None:
    yolox = ("nano", "tiny", "s", "m", "l", "x")
    numbered = [f"yolov{number}{scale}" for number in (5, 8) for scale in "nsmlx"]
    assert set(model_names()) == {*numbered, *(f"yolox-{scale}" for scale in yolox)}
    family, scale = split_model_name("yolov8x")
    assert family is FAMILIES["yolov8"] and scale == "x"
    assert all(family.model_file.is_file() for family in FAMILIES.values())
    for wrong in ("yolov8", "yolov8q", "yolov8nn", "v8n", "", "YOLOV8N"):
        with pytest.raises(SpecError) as caught:
            split_model_name(wrong)
        assert caught.value.code == "YG106" and "yolov8n" in caught.value.fix
