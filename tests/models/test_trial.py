"""Strangers' classes in the layout of a run: channels_last, two images."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

from yolograft.errors import ModuleError
from yolograft.graph.expr import parse_graft
from yolograft.graph.graft import graft
from yolograft.models.build import build, inspect_spec, model_spec
from yolograft.models.codebook import from_grafts, own_failures_in_one_line
from yolograft.models.layout import to_channels_last

CODE = '''
import torch
from torch import nn

class Views(nn.Module):
    """Groups channels across the batch with a view: fails on channels_last, right on contiguous maps."""

    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, channels // 4, 1, 1))

    def forward(self, x):
        b, c, h, w = x.shape
        y = x.view(b * 4, c // 4, h, w)
        return (y * torch.sigmoid(y * self.weight)).view(b, c, h, w)

class ViewsInside(nn.Module):
    """Views what its own convolution returns: the layout of the weights decides."""

    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        b, c, h, w = x.shape
        return x + self.conv(x).view(b * 4, c // 4, h, w).view(b, c, h, w)

class Mixes(nn.Module):
    """A softmax without dim on a matrix of pooled values runs over the batch."""

    def __init__(self, channels):
        super().__init__()
        self.fc = nn.Linear(channels, channels)

    def forward(self, x):
        return x * torch.softmax(self.fc(x.mean((2, 3))), 0)[:, :, None, None]

class Experts(nn.Module):
    """Four kernels in one 5-D parameter."""

    def __init__(self, channels):
        super().__init__()
        self.kernels = nn.Parameter(torch.randn(4, channels, 1, 3, 3) / 3)

    def forward(self, x):
        kernel = self.kernels.mean(0)
        return x + torch.conv2d(x, kernel, padding=1, groups=x.shape[1])

class Table(nn.Module):
    """Positions up to 24 x 24: enough for the builder's probe, not for every map."""

    def __init__(self, channels):
        super().__init__()
        self.table = nn.Parameter(torch.ones(1, channels, 24, 24))

    def forward(self, x):
        return x * self.table[:, :, : x.shape[2], : x.shape[3]]

class Overwrites(nn.Module):
    """Scales the sigmoid that the backward pass needs, in place."""

    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 1)

    def forward(self, x):
        gate = torch.sigmoid(self.conv(x))
        gate *= 2
        return x * gate

class Noisy(nn.Module):
    """Draws in eval mode: not steady, hence not judged for mixing."""

    def __init__(self, channels):
        super().__init__()

    def forward(self, x):
        return x * torch.rand(x.shape[0], 1, 1, 1)
'''

TABLE_LINE = CODE[: CODE.index("return x * self.table")].count("\n") + 1


@pytest.fixture
def own(tmp_path: Path) -> Path:
    file = tmp_path / "own.py"
    file.write_text(CODE, encoding="utf-8")
    return file


def parts(own: Path, name: str, site: str):  # type: ignore[no-untyped-def]
    item = parse_graft(f"{own}::{name}@{site}")
    return graft(model_spec("yolov8n", num_classes=3), item), from_grafts([item])


@pytest.mark.parametrize("name", ["Views", "ViewsInside"])
@pytest.mark.parametrize("site", ["neck.p3", "inside:backbone.p3"])
def test_a_class_that_views_its_map_gets_a_contiguous_copy(own: Path, name: str, site: str) -> None:
    spec, code = parts(own, name, site)
    facts = {fact.name: fact for fact in inspect_spec(spec, code=code)}
    told = [fact for fact in facts.values() if fact.contiguous]
    assert len(told) == 1 and "contiguous copy" in told[0].note
    net = build(spec, code=code).train()
    to_channels_last(net, torch.device("cpu"))
    x = torch.rand(2, 3, 64, 64).contiguous(memory_format=torch.channels_last)
    for each in (net, copy.deepcopy(net)):
        raw = each(x)
        sum(t.sum() for level in raw.levels for t in level).backward()
    assert build(model_spec("yolov8n"), code=code) is not None


def test_the_copy_is_needed(own: Path) -> None:
    """The planted class does fail without it."""
    _, code = parts(own, "Views", "neck.p3")
    module = next(iter(code.values())).cls(8)
    tiled = torch.rand(2, 8, 5, 6).contiguous(memory_format=torch.channels_last)
    with pytest.raises(RuntimeError, match="view"):
        module(tiled)


def test_a_softmax_over_the_batch_is_refused_before_training(own: Path) -> None:
    spec, code = parts(own, "Mixes", "neck.p4")
    with pytest.raises(ModuleError, match=r"YG242 neck\.p4\+mixes: Mixes mixes images") as caught:
        inspect_spec(spec, code=code)
    assert len(caught.value.line()) <= 240


@pytest.mark.parametrize("name", ["Experts", "Noisy"])
def test_five_axes_and_noise_are_no_obstacle(own: Path, name: str) -> None:
    spec, code = parts(own, name, "neck.p5")
    net = build(spec, code=code).train()
    to_channels_last(net, torch.device("cpu"))
    assert any(p.ndim == 5 for p in net.parameters()) == (name == "Experts")
    convs = [p for p in net.parameters() if p.ndim == 4 and min(p.shape[:2]) > 1 and p.shape[2] > 1]
    assert convs and all(p.is_contiguous(memory_format=torch.channels_last) for p in convs)
    raw = net(torch.rand(2, 3, 64, 64))
    sum(t.sum() for level in raw.levels for t in level).backward()


@pytest.mark.parametrize(
    ("name", "words"), [("Table", f"own.py:{TABLE_LINE}"), ("Overwrites", "own.py::Overwrites")]
)
def test_what_fails_only_in_training_is_one_line_with_its_place(own: Path, name: str, words: str) -> None:
    spec, code = parts(own, name, "neck.p3")
    net = build(spec, code=code).train()
    with pytest.raises(ModuleError) as caught, own_failures_in_one_line(code):
        raw = net(torch.rand(2, 3, 256, 256))
        sum(t.sum() for level in raw.levels for t in level).backward()
    line = caught.value.line()
    assert line.startswith("YG208 ") and words in line and "fails in training" in line


def test_other_failures_keep_their_traceback(own: Path) -> None:
    _, code = parts(own, "Table", "neck.p3")
    for error in (RuntimeError("ours"), MemoryError(), torch.OutOfMemoryError("no room")):
        with pytest.raises(type(error)) as caught, own_failures_in_one_line(code):
            raise error
        assert caught.value is error
