"""Levels beyond P5 are built, also around classes of the user's own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from yolograft.errors import ModuleError
from yolograft.graph.spec import LayerSpec, ModelSpec
from yolograft.models.build import inspect_spec
from yolograft.models.usercode import load_user_class

OWN = """
from torch import nn
class Fine(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
    def forward(self, x):
        self.seen = x.mean().item()  # reads a value, which a shapes-only run has none of
        return self.conv(x)
class Even(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.halved, self.doubled = nn.AvgPool2d(2), nn.Upsample(scale_factor=2)
    def forward(self, x):
        return self.doubled(self.halved(x))
"""


def pyramid(own: str, last: int) -> ModelSpec:
    """Convolutions down to a stride, one level up again with a class of the user's own, a head on both."""
    options = (("kernel", 3), ("out_channels", 8), ("stride", 2))
    rows = [LayerSpec("conv0", "conv", ("image",), options)]
    for index in range(1, last.bit_length() - 1):
        rows.append(replace(rows[0], name=f"conv{index}", inputs=(f"conv{index - 1}",)))
    end, before = rows[-1].name, rows[-2].name
    rows.append(LayerSpec("up", "upsample", (end,)))
    rows.append(LayerSpec("cat", "concat", ("up", before)))
    rows.append(LayerSpec("own", own, ("cat",)))
    rows.append(LayerSpec("head", "yolov8_head", ("own", end)))
    return ModelSpec("yolov8", "n", 3, tuple(rows), ())


@pytest.fixture
def code(tmp_path: Path) -> Path:
    file = tmp_path / "own.py"
    file.write_text(OWN, encoding="utf-8")
    return file


@pytest.mark.parametrize("last", [32, 64, 128])
def test_levels_beyond_p5_are_built(code: Path, last: int) -> None:
    """Images of a side that 32 divides and 64 does not fit no pyramid with P6."""
    user = load_user_class(code, "Fine")
    facts = {f.name: f for f in inspect_spec(pyramid(user.reference, last), code={user.reference: user})}
    assert facts["own"].stride == last // 2 == facts["up"].stride and facts["own"].out_channels == 16


def test_maps_at_stride_32_stay_odd(code: Path) -> None:
    """A class that needs even sides fails at 416 px, and where it is built."""
    user = load_user_class(code, "Even")
    spec = pyramid("upsample", 32)
    rows = [x for x in spec if x.name not in ("up", "cat", "own")]
    rows.insert(-1, LayerSpec("own", user.reference, (rows[-2].name,)))
    rows[-1] = replace(rows[-1], inputs=("own",))
    with pytest.raises(ModuleError, match="YG207"):
        inspect_spec(replace(spec, layers=tuple(rows)), code={user.reference: user})
