"""The network a spec describes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from yolograft.errors import SpecError
from yolograft.graph.spec import IMAGE, ModelSpec
from yolograft.types import RawPredictions

if TYPE_CHECKING:
    from yolograft.models.catalog import Family
    from yolograft.models.facts import LayerFacts


def key_of(layer_name: str) -> str:
    """Layer name as a state-dict key; torch reserves the dot, and no layer name holds a slash."""
    return layer_name.replace(".", "/")


def check_input_size(imgsz: tuple[int, int], *, stride: int, model: str) -> None:
    """See that every map of a model has whole cells at an input of (height, width) pixels.

    Raises:
        SpecError: a side is no multiple of the widest stride (YG175).
    """
    if any(side % stride for side in imgsz):
        near = ",".join(str(-(-side // stride) * stride) for side in imgsz)
        cause = f"{imgsz[0]}x{imgsz[1]} pixels: {model} takes multiples of {stride}"
        raise SpecError("YG175", cause, fix=f"--imgsz {near}")


class Detector(nn.Module):
    """A detector: named layers run in order.

    ``forward`` takes normalised images [B, 3, H, W], H and W multiples of the widest stride, and returns
    `RawPredictions` in training and in evaluation alike; ``decode`` turns them into boxes and scores.
    State-dict keys are ``layers.<layer name, dots as slashes>.<weight>``.
    """

    def __init__(
        self,
        spec: ModelSpec,
        modules: Mapping[str, nn.Module],
        family: Family,
        facts: tuple[LayerFacts, ...],
    ) -> None:
        super().__init__()
        self.spec = spec
        self.family = family
        self.facts = facts
        self.layers = nn.ModuleDict({key_of(name): module for name, module in modules.items()})
        self._plan = _execution_plan(spec)

    @property
    def stride(self) -> int:
        """The widest stride of any layer: input sides are multiples of it."""
        return max(fact.stride for fact in self.facts)

    @property
    def head(self) -> Any:
        """The detection head."""
        return self.layers[key_of(self.spec.head.name)]

    def forward(self, images: Tensor) -> RawPredictions:
        maps: dict[str, Any] = {IMAGE: images}
        for name, module, inputs, many, done in self._steps():
            maps[name] = module([maps[i] for i in inputs] if many else maps[inputs[0]])
            for finished in done:
                del maps[finished]
        return maps[self.spec.head.name]

    def _steps(self) -> Any:
        for name, inputs, many, done in self._plan:
            yield name, self.layers[key_of(name)], inputs, many, done

    def normalise(self, images: Tensor) -> Tensor:
        """uint8 RGB [B, 3, H, W] to floats as the family expects them; memory format kept."""
        if self.family.channel_order == "bgr":
            images = images.flip(1)
        floats = images.to(torch.float32)
        return floats if self.family.pixel_scale == 1 else floats * self.family.pixel_scale

    def decode(self, raw: RawPredictions) -> tuple[Tensor, Tensor]:
        """Boxes float32 [B, A, 4] xyxy in input pixels, scores float32 [B, A, C] in 0..1."""
        return self.family.decode(raw, self.head)

    def auxiliary_loss(self) -> Tensor | None:
        """Sum of the weighted penalties of modules that define ``auxiliary_loss``; None without any."""
        terms = [
            module.auxiliary_loss()  # type: ignore[operator]
            for module in self.layers.modules()
            if callable(getattr(module, "auxiliary_loss", None))
        ]
        return torch.stack(terms).sum() if terms else None


def _execution_plan(spec: ModelSpec) -> tuple[tuple[str, tuple[str, ...], bool, tuple[str, ...]], ...]:
    """(layer, inputs, takes a list, maps nobody reads later) in order; finished maps are freed."""
    last_reader: dict[str, str] = {}
    for layer in spec.layers:
        for name in layer.inputs:
            last_reader[name] = layer.name
    plan = []
    for layer in spec.layers:
        done = tuple(name for name in dict.fromkeys(layer.inputs) if last_reader[name] == layer.name)
        many = len(layer.inputs) > 1 or layer is spec.layers[-1]
        plan.append((layer.name, layer.inputs, many, done))
    return tuple(plan)
