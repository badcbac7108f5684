"""What a built layer states about itself: channels, stride, parameters, and what speaks against it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from yolograft.errors import ModuleError, YolograftError
from yolograft.graph.spec import IMAGE, LayerSpec


@dataclass(frozen=True, slots=True)
class LayerFacts:
    """What a layer turned out to be. out_channels and stride are of its output; params count all weights.

    contiguous: the user's class in it gets contiguous copies of its maps.
    """

    name: str
    module: str
    inputs: tuple[str, ...]
    out_channels: int
    stride: int
    params: int
    note: str = ""
    contiguous: bool = False


def facts_of(layer: LayerSpec, module: nn.Module, facts: Mapping[str, LayerFacts], note: str) -> LayerFacts:
    """The facts of a layer, from its own promises and those of the layers it reads.

    Raises:
        ModuleError: a promise that no map can keep (YG207).
    """
    first = layer.inputs[0]
    in_channels, in_stride = (3, 1) if first == IMAGE else (facts[first].out_channels, facts[first].stride)
    promised = getattr(module, "out_channels", in_channels)
    promised = promised if isinstance(promised, int) else in_channels
    step = getattr(module, "stride", 1)
    step = step if isinstance(step, int | float) else 1
    if promised < 1 or not math.isfinite(step) or in_stride * step < 1:
        raise ModuleError(
            "YG207",
            f"{layer.module} at '{layer.name}' promises {promised} channels and stride {step} on a map of "
            f"stride {in_stride}",
            fix="set out_channels and stride to what forward returns",
        )
    return LayerFacts(
        name=layer.name,
        module=layer.ref.text() if "+" in layer.name else layer.module,
        inputs=layer.inputs,
        out_channels=int(promised),
        stride=int(in_stride * step),
        params=sum(p.numel() for p in module.parameters()),
        note=note,
    )


def advice(layer: LayerSpec, module: nn.Module) -> tuple[str, ...]:
    """What modules in here say against how they are used: their attribute ``advice``, (code, cause, fix)."""
    said = (getattr(part, "advice", None) for part in module.modules())
    lines = [
        YolograftError(item[0], item[1], where=layer.name, fix=item[2]).line()
        for item in said
        if isinstance(item, tuple) and len(item) == 3 and all(isinstance(part, str) for part in item)
    ]
    return tuple(dict.fromkeys(lines))
