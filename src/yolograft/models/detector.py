"""The network a spec describes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from yolograft.errors import ModuleError, SpecError
from yolograft.graph.spec import IMAGE, ModelSpec
from yolograft.types import RawPredictions, Targets

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
        self._image_size = (0, 0)

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
        # An exported graph keeps no state, and its sizes may be symbols.
        if not torch.compiler.is_exporting():
            self._image_size = (images.shape[-2], images.shape[-1])
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

    def auxiliary_loss(self, targets: Targets | None = None) -> Tensor | None:
        """What grafted modules add to the criterion's total; None where none adds anything.

        The penalties of modules that define ``auxiliary_loss()``, and, given the targets of the last batch,
        what ``supervise(targets, image_size=(H, W))`` of every module in training mode returns: a batch mean,
        here times the batch size as a criterion's total is. Both come weighted.

        Raises:
            ModuleError: a module returns anything but a tensor of one element (YG208).
        """
        terms = [
            _one_number(m, "auxiliary_loss", m.auxiliary_loss()) for m in self._defining("auxiliary_loss")
        ]
        if targets is not None:
            for module in self._defining("supervise"):
                # A module that fine-tuning holds still learns nothing.
                if module.training:
                    mean = module.supervise(targets, image_size=self._image_size)
                    terms.append(_one_number(module, "supervise", mean) * targets.batch_size)
        # Not stacked: a zero that a module makes on the CPU adds to a term on a GPU, and stacks with none.
        return sum(terms[1:], terms[0]) if terms else None

    def _defining(self, method: str) -> Iterator[Any]:
        return (module for module in self.layers.modules() if callable(getattr(module, method, None)))

    def densities(self) -> Tensor | None:
        """How crowded each anchor's place is, float32 [B, A] in 0..1, in the order of `decode`.

        Read off the attribute ``density`` [B, 1, H, W] that grafted modules keep of the last forward pass, by
        the size of the map: of several on one level the last counts, a level without one has 0. None where no
        level has one.
        """
        maps = [getattr(module, "density", None) for module in self.layers.modules()]
        found = {
            tuple(density.shape[2:]): density.detach().float()
            for density in maps
            if isinstance(density, Tensor) and density.ndim == 4 and density.shape[1] == 1
        }
        sizes = [tuple(side // stride for side in self._image_size) for stride in self.head.strides]
        like = next((found[size] for size in sizes if size in found), None)
        if like is None:
            return None
        anchors = getattr(self.head, "anchors", None)
        repeats = 1 if anchors is None else anchors.shape[1]
        levels = []
        for size in sizes:
            density = found.get(size, like.new_zeros(len(like), 1, *size))
            levels.append(density.flatten(1).repeat(1, repeats))
        return torch.cat(levels, 1)


def _one_number(module: nn.Module, method: str, loss: object) -> Tensor:
    """A module's loss as a scalar: one of several elements would be spread over the batch unseen."""
    if isinstance(loss, Tensor) and loss.numel() == 1:
        return loss.reshape(())
    kind = f"shape {list(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
    cause = f"{type(module).__name__}.{method} returns {kind}, a tensor of one element expected"
    raise ModuleError("YG208", cause, fix="reduce it: loss.mean()")


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
